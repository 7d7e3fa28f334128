"""Virtual time: a clock that stands, and a list of what is to happen, done one after the other."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from heapq import heappop, heappush

from shared.observability.telemetry import bind_trace
from shared.values.clock import SHANGHAI

Act = Callable[[], Awaitable[object]]

_TICK = timedelta(microseconds=1)


class Agenda:
    """The platform's clock. It stands while something happens, but for a microsecond for each time it is asked, so that
    no two moments are the same; between two acts it jumps.

    `entered` is the moment at which the present act began, by which databases go.
    """

    def __init__(self, start: datetime) -> None:
        self.entered = self._moment = start
        self._acts: list[tuple[datetime, int, Act]] = []
        self._serial = 0

    def now(self) -> datetime:
        self._moment += _TICK
        return self._moment

    def at(self, moment: datetime, act: Act) -> None:
        """Have something done at this moment, or at once if it has passed; of two at one moment the first comes
        first."""
        self._serial += 1
        heappush(self._acts, (moment, self._serial, act))

    def after(self, delay: timedelta, act: Act) -> None:
        self.at(self.entered + delay, act)

    async def run_until(self, end: datetime) -> None:
        """Do all that is due up to `end`, and let it be that time."""
        while self._acts and self._acts[0][0] <= end:
            moment, _, act = heappop(self._acts)
            self._enter(moment)
            # No act is of the trace of the one before.
            bind_trace(None)
            await act()
        self._enter(end)

    def local(self) -> str:
        """Say what time it is in Shanghai."""
        return self.entered.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")

    def _enter(self, moment: datetime) -> None:
        self.entered = self._moment = max(self._moment, moment)
