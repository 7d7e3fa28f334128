"""Whether a process can do its work: named checks of what it depends on."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from shared.observability.telemetry import get_logger

log = get_logger(__name__)

# Raises when what it asks is away.
Check = Callable[[], Awaitable[None]]


class Unready(Exception):
    """Names what fails."""


@dataclass(frozen=True)
class Verdict:
    """Which checks pass, by name, and whether the process can do its work, or most of it."""

    passes: Mapping[str, bool]
    ready: bool

    @property
    def failed(self) -> list[str]:
        return [name for name, passes in self.passes.items() if not passes]

    @property
    def status(self) -> str:
        if not self.failed:
            return "ok"
        return "degraded" if self.ready else "unavailable"


@dataclass(kw_only=True)
class Readiness:
    """The checks of one service, by the name of what each asks. Those named in `partial` are of something that only a
    part of the work needs: while it is away that part is refused, and the rest goes on. `patience` is for each, in
    seconds: less than the five that a probe waits, so that what does not answer hides nothing else."""

    service: str
    dependencies: dict[str, Check] = field(default_factory=dict)
    partial: set[str] = field(default_factory=set)
    patience: float = 3.0

    async def judge(self) -> Verdict:
        """Ask all, at once."""
        checks = dict(self.dependencies)
        passed = await asyncio.gather(*(self._passes(name, check) for name, check in checks.items()))
        passes = dict(zip(checks, passed, strict=True))
        return Verdict(passes, all(passed or name in self.partial for name, passed in passes.items()))

    async def check(self) -> None:
        """Ask all as one check, for a process that is several services. Raises Unready."""
        verdict = await self.judge()
        if not verdict.ready:
            raise Unready(", ".join(verdict.failed))

    async def _passes(self, name: str, check: Check) -> bool:
        try:
            async with asyncio.timeout(self.patience):
                await check()
        except Exception as error:
            log.warning("readiness.failed", dependency=name, error=type(error).__name__)
            return False
        return True
