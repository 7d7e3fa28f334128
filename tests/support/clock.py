"""The tests' clock. It does not follow the real one: however long a test takes, nothing expires unless it says so."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 2, 1, tzinfo=UTC)
"""Nine o'clock on a Monday in Shanghai."""


class ManualClock:
    """Stands at `start` until `advance`; with a `tick`, every question moves it on by that, so that no two moments are
    the same."""

    def __init__(self, start: datetime = START, tick: timedelta = timedelta()) -> None:
        self.moment = start
        self._tick = tick

    def now(self) -> datetime:
        self.moment += self._tick
        return self.moment

    def advance(self, **by: float) -> None:
        self.moment += timedelta(**by)
