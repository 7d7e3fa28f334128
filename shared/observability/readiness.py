"""Whether a process can do its work: named checks of what it depends on."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from shared.observability.telemetry import get_logger

log = get_logger(__name__)

# Raises when what it asks is away.
Check = Callable[[], Awaitable[None]]


class Unready(Exception):
    """Names what fails."""


@dataclass(kw_only=True)
class Readiness:
    """The checks of one service, by the name of what each asks."""

    service: str
    dependencies: dict[str, Check] = field(default_factory=dict)

    async def failing_dependencies(self) -> list[str]:
        """Ask all and name those that fail."""
        failed = []
        for name, check in self.dependencies.items():
            try:
                await check()
            except Exception as error:
                log.warning("readiness.failed", dependency=name, error=type(error).__name__)
                failed.append(name)
        return failed

    async def check(self) -> None:
        """Ask all as one check, for a process that is several services. Raises Unready."""
        if failed := await self.failing_dependencies():
            raise Unready(", ".join(failed))
