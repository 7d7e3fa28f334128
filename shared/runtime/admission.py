"""Lets no more work in at once than there is room for; a little more may wait, the rest is told to come again."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.errors import TooMany, Unavailable

# Seconds after which it is worth trying again.
RETRY_AFTER = 5


class Admission:
    """Room for work of a total weight of `capacity`, given in the order in which it is asked for.

    At most `waiting` wait for room, none longer than `patience` seconds. Where work says whose it is, nobody has more
    than `each` pieces of it, waiting or under way.
    """

    def __init__(self, capacity: int, *, waiting: int, patience: float = 15.0, each: int | None = None) -> None:
        self._capacity = capacity
        self._free = capacity
        self._waiting = waiting
        self._patience = patience
        self._each = each
        self._held: Counter[object] = Counter()
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def enter(self, weight: int = 1, owner: object = None) -> AsyncIterator[None]:
        """Hold room for as long as the block lasts.

        Raises Unavailable where there is none, TooMany where the owner has enough, ValueError for what never fits.
        """
        if weight > self._capacity:
            raise ValueError(f"{weight} never fits into {self._capacity}")
        if owner is not None and self._each is not None and self._held[owner] >= self._each:
            raise TooMany(retry_after=RETRY_AFTER)
        self._held[owner] += 1
        try:
            await self._wait(weight)
            try:
                yield
            finally:
                self._give_back(weight)
        finally:
            self._held[owner] -= 1
            if not self._held[owner]:
                del self._held[owner]

    async def _wait(self, weight: int) -> None:
        if not self._queue and weight <= self._free:
            self._free -= weight
            return
        if len(self._queue) >= self._waiting:
            raise Unavailable(retry_after=RETRY_AFTER)
        place = (weight, asyncio.get_running_loop().create_future())
        self._queue.append(place)
        try:
            async with asyncio.timeout(self._patience):
                await place[1]
        except BaseException as error:
            if place in self._queue:
                self._queue.remove(place)
                self._let_in()
            else:
                # The room came in the same moment.
                self._give_back(weight)
            if isinstance(error, TimeoutError):
                raise Unavailable(retry_after=RETRY_AFTER) from None
            raise

    def _give_back(self, weight: int) -> None:
        self._free += weight
        self._let_in()

    def _let_in(self) -> None:
        while self._queue and self._queue[0][0] <= self._free:
            weight, turn = self._queue.popleft()
            self._free -= weight
            if turn.done():
                # Cancelled, and about to give its room back.
                continue
            turn.set_result(None)
