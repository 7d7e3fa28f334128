"""A loop that was cancelled ends, whatever the cancellation met with."""

import asyncio

import pytest

from shared.loops import heed_cancellation
from tests.support.wait import until


async def go_round(meet: asyncio.Event, rounds: list[int]) -> None:
    while True:
        heed_cancellation()
        rounds.append(1)
        meet.clear()
        # Of Python 3.11, it returns as if nothing were where both come at once.
        await asyncio.wait_for(meet.wait(), 60)


async def test_a_cancellation_that_an_await_has_swallowed_ends_the_loop() -> None:
    meet, rounds = asyncio.Event(), list[int]()
    task = asyncio.create_task(go_round(meet, rounds))
    await until(lambda: rounds, what="the loop to wait")
    meet.set()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert rounds == [1]


async def test_a_cancellation_that_became_a_failure_ends_the_loop() -> None:
    async def fail() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ConnectionError from None

    async def go_on() -> None:
        while True:
            heed_cancellation()
            try:
                await fail()
            except ConnectionError:
                continue

    task = asyncio.create_task(go_on())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_whoever_is_not_cancelled_goes_on() -> None:
    heed_cancellation()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.Event().wait()
    heed_cancellation()
