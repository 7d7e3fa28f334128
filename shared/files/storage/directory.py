"""Objects as files under one directory, for the embedded run."""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TypeVar

from shared.files.storage.store import PAGE, ObjectMissing, StoreUnavailable, check_key

_T = TypeVar("_T")
_ABANDONED_AFTER = timedelta(hours=1)


class DirectoryStore:
    """An ObjectStore in `root`, which one process at a time or several may use.

    Files being written wait in `root/.incoming`: no key can name it, since no part of a key starts with a dot.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / ".incoming"

    async def put(self, key: str, data: bytes, content_type: str) -> None:  # noqa: ARG002 - kept by the caller's row
        await _in_thread(self._write, self._path(key), data)

    async def get(self, key: str) -> bytes:
        return await _in_thread(self._read, self._path(key))

    async def delete(self, key: str) -> None:
        await _in_thread(self._remove, self._path(key))

    async def presigned_url(self, key: str, expires: timedelta) -> str | None:  # noqa: ARG002 - files have no URLs
        check_key(key)
        return None

    async def list_keys(self, prefix: str, older_than: timedelta) -> AsyncIterator[str]:
        await _in_thread(self._probe)
        keys = self._walk(prefix, time.time() - older_than.total_seconds())
        while page := await _in_thread(lambda: list(islice(keys, PAGE))):
            for key in page:
                yield key

    async def ready(self) -> None:
        await _in_thread(self._probe)

    async def ensure_bucket(self) -> None:
        await _in_thread(self._prepare)

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)

    def _write(self, path: Path, data: bytes) -> None:
        self._probe()  # a root that vanished (an unmounted volume) must not be made anew under its mount point
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self._incoming)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        _sync_directories(path.parent, self._root)

    def _read(self, path: Path) -> bytes:
        self._probe()
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise ObjectMissing(self._key(path)) from error

    def _remove(self, path: Path) -> None:
        self._probe()
        try:
            path.unlink()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return
        _sync_directories(path.parent, path.parent)

    def _walk(self, prefix: str, written_before: float) -> Iterator[str]:
        for directory, below, names in os.walk(self._root):
            place = Path(directory)
            below[:] = [name for name in below if place / name != self._incoming]
            for name in names:
                key = self._key(place / name)
                if key.startswith(prefix) and _written(place / name) <= written_before:
                    yield key

    def _probe(self) -> None:
        if not os.access(self._incoming, os.W_OK | os.X_OK):
            raise StoreUnavailable(f"{self._root} is missing or cannot be written to")

    def _prepare(self) -> None:
        self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in self._incoming.iterdir():  # what a crash left half written may be a person's image
            if _written(path) < time.time() - _ABANDONED_AFTER.total_seconds():
                path.unlink(missing_ok=True)

    def _key(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


def _written(path: Path) -> float:
    """The file's last write in seconds since the epoch; a file deleted meanwhile counts as never old enough."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _sync_directories(path: Path, root: Path) -> None:
    """Makes a rename or an unlink outlive a power cut: the name lives in the directory, and it in its parents."""
    for directory in (path, *path.parents):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        if directory == root:
            return


async def _in_thread(work: Callable[..., _T], *arguments: object) -> _T:
    try:
        return await asyncio.to_thread(work, *arguments)
    except OSError as error:
        raise StoreUnavailable(error.strerror or type(error).__name__) from error
