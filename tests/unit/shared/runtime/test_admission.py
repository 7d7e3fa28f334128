import asyncio
from contextlib import AsyncExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import TooMany, Unavailable
from shared.runtime.admission import Admission


async def test_what_does_not_fit_waits_and_what_cannot_wait_is_told_to_come_again() -> None:
    room = Admission(2, waiting=1)
    release = asyncio.Event()
    inside: list[int] = []

    async def work(number: int) -> None:
        async with room.enter():
            inside.append(number)
            await release.wait()

    tasks = [asyncio.create_task(work(number)) for number in range(3)]
    await asyncio.sleep(0)
    assert inside == [0, 1]
    with pytest.raises(Unavailable) as caught:
        async with room.enter():
            pass
    assert caught.value.members["retry_after"] > 0
    release.set()
    await asyncio.gather(*tasks)
    assert inside == [0, 1, 2]


async def test_patience_ends() -> None:
    room = Admission(1, waiting=1, patience=0)
    async with room.enter():
        with pytest.raises(Unavailable):
            async with room.enter():
                pass
    async with room.enter():
        pass


async def test_nobody_takes_more_than_a_share() -> None:
    room = Admission(9, waiting=0, each=2)
    async with AsyncExitStack() as stack:
        for owner in ("a", "a", "b"):
            await stack.enter_async_context(room.enter(owner=owner))
        with pytest.raises(TooMany):
            await stack.enter_async_context(room.enter(owner="a"))
        await stack.enter_async_context(room.enter(owner="b"))
        await stack.enter_async_context(room.enter())
    async with room.enter(owner="a"), room.enter(owner="a"):
        pass


async def test_a_large_piece_is_not_overtaken() -> None:
    room = Admission(10, waiting=9)
    order: list[str] = []
    release = asyncio.Event()

    async def work(name: str, weight: int) -> None:
        async with room.enter(weight):
            order.append(name)
            await release.wait()

    tasks = [asyncio.create_task(work(*each)) for each in (("first", 6), ("large", 10), ("small", 1))]
    await asyncio.sleep(0)
    assert order == ["first"]
    release.set()
    await asyncio.gather(*tasks)
    assert order == ["first", "large", "small"]


async def test_what_never_fits_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="never fits"):
        async with Admission(3, waiting=3).enter(4):
            pass


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 6), st.booleans()), max_size=12),
    st.lists(st.integers(0, 11), max_size=12),
)
async def test_all_room_is_given_back_whoever_leaves_and_when(
    work: list[tuple[int, int, bool]], cancelled: list[int]
) -> None:
    room = Admission(5, waiting=6)
    held = most = 0

    async def one(weight: int, steps: int, fails: bool) -> None:
        nonlocal held, most
        async with room.enter(weight):
            held += weight
            most = max(most, held)
            try:
                for _ in range(steps):
                    await asyncio.sleep(0)
                if fails:
                    raise LookupError
            finally:
                held -= weight

    tasks = [asyncio.create_task(one(*each)) for each in work]
    for number in cancelled:
        await asyncio.sleep(0)
        if number < len(tasks):
            tasks[number].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert held == 0
    assert most <= 5
    async with room.enter(5):
        pass
