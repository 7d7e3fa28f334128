"""The door of a process: how many requests are worked on at once, who waits for a place, and who is sent away.

Whoever comes while there is a place enters. Others wait in one line, in the order in which they came, if by the pace at
which requests are served it will not be for too long: then whoever is let wait is served. Whoever would wait longer is
told so at once, and when to come again. How long is too long depends on who comes, so that when there is not room for
all, those who are signed in find some where strangers do not. The line is thus measured in seconds, and the same
settings fit a fast machine and a slow one.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from enum import StrEnum


class Caller(StrEnum):
    """Who knocks, as far as it is known for sure."""

    authority = "authority"
    enterprise = "enterprise"
    anonymous = "anonymous"


# What part of the longest wait each may have before him: the rest of the line is kept free for those above.
SHARES = {Caller.authority: 1.0, Caller.enterprise: 0.75, Caller.anonymous: 0.25}
# Until it was measured: seconds per request.
FIRST_PACE = 0.01
# Requests by which the pace is measured.
SAMPLE = 16
# Nobody is told to stay away for longer, in seconds.
LONGEST_ABSENCE = 60.0


class Full(Exception):
    """There is no room: come again in `retry_after` whole seconds; `ahead` are those who were told so before."""

    retry_after: int
    ahead: int

    def __init__(self, retry_after: int, ahead: int) -> None:
        self.retry_after = retry_after
        self.ahead = ahead
        super().__init__(retry_after)


class Door:
    """Lets `at_once` requests in at once, and others wait for about `longest_wait` seconds at most: by the pace. Where
    that has misled, and nobody is served any more, they are sent away after `patience` seconds."""

    def __init__(
        self,
        at_once: int,
        longest_wait: float = 1.0,
        *,
        patience: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.at_once = at_once
        self.longest_wait = longest_wait
        self.inside = 0
        self.pace = FIRST_PACE
        """seconds per request, measured while somebody waits"""
        self._clock = clock
        self._patience = 2 * longest_wait if patience is None else patience
        self._line: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._sample: tuple[float, int] | None = None
        self._promised = 0.0

    @property
    def waiting(self) -> int:
        return len(self._line)

    async def enter(self, caller: Callable[[], Caller]) -> float:
        """Take a place, and give the seconds waited for it. Who it is for is asked only if there is none free.

        Raises Full.
        """
        if not self._line and self.inside < self.at_once:
            self.inside += 1
            return 0.0
        now = self._clock()
        if self._expected(now) > SHARES[caller()] * self.longest_wait:
            raise self._full(now)
        place = (now, asyncio.get_running_loop().create_future())
        self._line.append(place)
        try:
            async with asyncio.timeout(self._patience):
                await place[1]
        except BaseException as error:
            if place in self._line:
                self._line.remove(place)
            else:
                # The place came in the same moment.
                self.give_back()
            if isinstance(error, TimeoutError):
                raise self._full(self._clock()) from None
            raise
        return self._clock() - now

    def leave(self) -> None:
        """Give the place back, having been served."""
        self._measure()
        self.give_back()

    def give_back(self) -> None:
        """Give the place to the next, without having been served."""
        self.inside -= 1
        while self._line and self.inside < self.at_once:
            _, turn = self._line.popleft()
            self.inside += 1
            if turn.done():
                # Cancelled, and about to give its place back.
                continue
            turn.set_result(None)

    def take_again(self) -> None:
        """Go on inside, whether there is a place or not: nobody who was let in is sent away."""
        self.inside += 1

    def _expected(self, now: float) -> float:
        """How many seconds one more would wait: by the pace, and no less than the first in line has already."""
        first = now - self._line[0][0] if self._line else 0.0
        return max(first, (len(self._line) + 1) * self.pace)

    def _full(self, now: float) -> Full:
        """Promise the next moment at which, at this pace, those will have been served who are here or were sent away
        before."""
        promised = max(self._promised, now + len(self._line) * self.pace) + self.pace
        self._promised = min(promised, now + LONGEST_ABSENCE)
        absence = self._promised - now
        return Full(max(1, math.ceil(absence)), int(absence / self.pace))

    def _measure(self) -> None:
        if not self._line:
            # Where nobody waits, the pace is that of those who come.
            self._sample = None
            return
        now = self._clock()
        if self._sample is None:
            self._sample = (now, 0)
            return
        began, served = self._sample
        if served + 1 < SAMPLE:
            self._sample = (began, served + 1)
            return
        self.pace += ((now - began) / SAMPLE - self.pace) / 2
        self._sample = (now, 0)


class Place:
    """One request's place at a door."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._aside = 0

    def step_aside(self) -> None:
        """Leave the place to others until `step_back`; within such a time another makes no difference."""
        self._aside += 1
        if self._aside == 1:
            self._door.give_back()

    def step_back(self) -> None:
        self._aside -= 1
        if self._aside == 0:
            self._door.take_again()


PLACE: ContextVar[Place | None] = ContextVar("place", default=None)


@asynccontextmanager
async def aside() -> AsyncIterator[None]:
    """Leave this request's place to others for as long as the block lasts: it waits for something that is not this
    process nor its database, and that has a limit of its own."""
    place = PLACE.get()
    if place is None:
        yield
        return
    place.step_aside()
    try:
        yield
    finally:
        place.step_back()
