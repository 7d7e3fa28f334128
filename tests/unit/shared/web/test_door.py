"""Who is let in, who waits and who is sent away, and what the latter are told."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.web.door import FIRST_PACE, LONGEST_ABSENCE, SAMPLE, Caller, Door, Full
from tests.support.wait import PATIENCE


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Crowd:
    """Those who come to one door, in a time of their own."""

    def __init__(self, at_once: int = 2, longest_wait: float = 1.0) -> None:
        self.time = Time()
        self.door = Door(at_once, longest_wait, patience=PATIENCE, clock=self.time)
        self.sent_away: list[Full] = []
        self.entered: list[int] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def come(self, caller: Caller = Caller.anonymous) -> bool:
        """Knock, and tell whether one was let in or may wait."""
        number = len(self.tasks)

        async def enter() -> None:
            try:
                await self.door.enter(lambda: caller)
            except Full as full:
                self.sent_away.append(full)
            else:
                self.entered.append(number)

        before = len(self.sent_away)
        self.tasks.append(asyncio.create_task(enter()))
        await turns()
        return len(self.sent_away) == before

    async def serve(self, count: int = 1, seconds: float = 0.0) -> None:
        for _ in range(count):
            self.time.now += seconds
            self.door.leave()
            await turns()

    async def fill(self, caller: Caller = Caller.authority) -> int:
        """Let come as many as are let in or may wait."""
        count = 0
        while await self.come(caller):
            count += 1
        return count


async def turns() -> None:
    """Let all run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
async def crowd() -> Crowd:
    return Crowd()


async def test_who_finds_a_place_is_not_asked_who_it_is() -> None:
    door = Door(1)

    def ask() -> Caller:
        raise AssertionError

    assert await door.enter(ask) == 0
    assert (door.inside, door.waiting) == (1, 0)


async def test_the_line_is_in_the_order_of_coming(crowd: Crowd) -> None:
    for caller in (Caller.anonymous, Caller.enterprise, Caller.anonymous, Caller.authority):
        assert await crowd.come(caller)
    assert crowd.entered == [0, 1]
    await crowd.serve(2)
    assert crowd.entered == [0, 1, 2, 3]


async def test_strangers_are_sent_away_first_then_enterprises_and_the_authority_last(crowd: Crowd) -> None:
    let_in = {caller: await crowd.fill(caller) for caller in (Caller.anonymous, Caller.enterprise, Caller.authority)}
    # By the first pace a hundred are a second's work.
    assert let_in == {Caller.anonymous: 2 + 25, Caller.enterprise: 50, Caller.authority: 25}


async def test_where_all_are_signed_in_strangers_are_let_in_when_the_line_is_short(crowd: Crowd) -> None:
    await crowd.fill(Caller.authority)
    assert not await crowd.come(Caller.anonymous)
    await crowd.serve(crowd.door.waiting - 5)
    assert await crowd.come(Caller.anonymous)


@pytest.mark.parametrize("pace", [0.005, 0.05, 0.4])
async def test_the_line_is_as_long_as_can_be_served_in_the_time(crowd: Crowd, pace: float) -> None:
    for _ in range(12 * SAMPLE):
        while not crowd.door.waiting:
            assert await crowd.come(Caller.authority)
        await crowd.serve(seconds=pace)
    assert crowd.door.pace == pytest.approx(pace, rel=0.01)
    await crowd.fill()
    assert crowd.door.waiting == pytest.approx(1 / pace, rel=0.02, abs=1)


async def test_while_nobody_waits_the_pace_is_not_taken_for_what_can_be_served(crowd: Crowd) -> None:
    for _ in range(5 * SAMPLE):
        await crowd.come()
        await crowd.serve(seconds=3)
    assert crowd.door.pace == FIRST_PACE


async def test_a_line_that_does_not_move_takes_nobody_more(crowd: Crowd) -> None:
    for _ in range(3):
        assert await crowd.come()
    crowd.time.now += 0.3
    assert not await crowd.come(Caller.anonymous)
    assert await crowd.come(Caller.authority)
    crowd.time.now += 0.8
    assert not await crowd.come(Caller.authority)


async def test_each_is_told_another_moment_and_how_many_were_told_before(crowd: Crowd) -> None:
    await crowd.fill(Caller.anonymous)
    told = [crowd.sent_away[0].ahead]
    for _ in range(100):
        assert not await crowd.come(Caller.anonymous)
        told.append(crowd.sent_away[-1].ahead)
    assert [later - before for before, later in pairwise(told)] == [1] * 100
    # A hundred more at a hundred a second.
    assert (crowd.sent_away[0].retry_after, crowd.sent_away[-1].retry_after) == (1, 2)


async def test_nobody_is_told_to_stay_away_for_very_long(crowd: Crowd) -> None:
    await crowd.fill(Caller.anonymous)
    for _ in range(int(2 * LONGEST_ABSENCE / FIRST_PACE)):
        await crowd.come(Caller.anonymous)
    assert crowd.sent_away[-1].retry_after == LONGEST_ABSENCE


async def test_what_was_promised_passes_with_time(crowd: Crowd) -> None:
    await crowd.fill(Caller.anonymous)
    for _ in range(1500):
        await crowd.come(Caller.anonymous)
    long = crowd.sent_away[-1].retry_after
    await crowd.serve(2 + 25)
    crowd.time.now += long
    await crowd.fill(Caller.anonymous)
    assert long > 10
    assert crowd.sent_away[-1].retry_after == 1


async def test_who_gives_up_waiting_leaves_the_place_to_the_next(crowd: Crowd) -> None:
    for _ in range(4):
        await crowd.come()
    crowd.tasks[2].cancel()
    await crowd.serve()
    assert crowd.entered == [0, 1, 3]


async def test_who_gives_up_as_the_place_comes_gives_it_on(crowd: Crowd) -> None:
    for _ in range(4):
        await crowd.come()
    crowd.door.leave()
    crowd.tasks[2].cancel()
    await turns()
    assert crowd.entered == [0, 1, 3]
    assert (crowd.door.inside, crowd.door.waiting) == (2, 0)


async def test_who_would_wait_for_ever_is_sent_away() -> None:
    door = Door(1, patience=0.01)
    await door.enter(lambda: Caller.authority)
    with pytest.raises(Full):
        await door.enter(lambda: Caller.authority)
    assert (door.inside, door.waiting) == (1, 0)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("come"), st.sampled_from(Caller)),
        st.tuples(st.sampled_from(["serve", "give_up"]), st.integers(0, 5)),
        st.tuples(st.just("wait"), st.floats(0, 0.2)),
    ),
    max_size=80,
)


@given(STEPS, st.integers(1, 4))
def test_whoever_is_let_wait_is_served_whatever_happens(steps: list[tuple[str, object]], at_once: int) -> None:
    asyncio.run(_play(steps, at_once))


async def _play(steps: list[tuple[str, object]], at_once: int) -> None:
    crowd = Crowd(at_once, longest_wait=5.0)
    gave_up: set[int] = set()
    doing: dict[str, Callable[[int], Awaitable[None]]] = {"serve": _serve(crowd), "give_up": _give_up(crowd, gave_up)}
    for step, what in steps:
        if isinstance(what, Caller):
            await crowd.come(what)
        elif isinstance(what, float):
            crowd.time.now += what
        elif isinstance(what, int):
            await doing[step](what)
        assert crowd.door.inside <= at_once
        assert not (crowd.door.waiting and crowd.door.inside < at_once)
    while crowd.door.inside:
        await crowd.serve()
    outcomes = Counter(entered=len(crowd.entered), sent_away=len(crowd.sent_away), gave_up=len(gave_up))
    assert outcomes.total() == len(crowd.tasks)
    assert crowd.door.waiting == 0
    assert crowd.entered == sorted(crowd.entered)


def _serve(crowd: Crowd) -> Callable[[int], Awaitable[None]]:
    async def serve(count: int) -> None:
        await crowd.serve(min(count, crowd.door.inside))

    return serve


def _give_up(crowd: Crowd, gave_up: set[int]) -> Callable[[int], Awaitable[None]]:
    async def give_up(which: int) -> None:
        waiting = [number for number, task in enumerate(crowd.tasks) if not task.done()]
        if waiting:
            number = waiting[which % len(waiting)]
            crowd.tasks[number].cancel()
            gave_up.add(number)
            await turns()

    return give_up
