"""Pictures in memory, whose age is told by the virtual clock; and their decoder in this process."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from shared.files.storage import ObjectMissing
from shared.values.clock import Clock

T = TypeVar("T")


class MemoryStore:
    """An ObjectStore. `written` is when each object was last written."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._objects: dict[str, bytes] = {}
        self.written: dict[str, datetime] = {}

    async def put(self, key: str, data: bytes, content_type: str) -> None:  # noqa: ARG002
        self._objects[key], self.written[key] = data, self._clock.now()

    async def get(self, key: str) -> bytes:
        if key not in self._objects:
            raise ObjectMissing(key)
        return self._objects[key]

    async def delete(self, key: str) -> None:
        self._objects.pop(key, None)
        self.written.pop(key, None)

    async def presigned_url(self, key: str, expires: timedelta) -> str | None:  # noqa: ARG002
        return None

    async def list_keys(self, prefix: str, older_than: timedelta) -> AsyncIterator[str]:
        before = self._clock.now() - older_than
        for key in [key for key, at in self.written.items() if key.startswith(prefix) and at <= before]:
            yield key

    async def ready(self) -> None:
        return

    async def ensure_bucket(self) -> None:
        return


class Inline:
    """Decodes at once what is ours and small, where Children start a process for each."""

    async def run(self, function: Callable[..., T], *arguments: Any, memory: int) -> T:  # noqa: ARG002
        return function(*arguments)
