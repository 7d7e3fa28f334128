import asyncio

from services.certnumber.numbering.waker import Waker


class Slow(Waker):
    """Acts when told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.acts = 0
        self.go_on = asyncio.Event()

    async def _act(self) -> None:
        self.acts += 1
        await self.go_on.wait()
        if self.acts == 1:
            raise ConnectionRefusedError

    async def sweep(self) -> None:
        return


async def test_a_burst_makes_two_acts() -> None:
    waker = Slow()
    waker.wake()
    await asyncio.sleep(0)
    for _ in range(100):
        waker.wake()
    waker.go_on.set()
    await waker.join()
    assert waker.acts == 2


async def test_a_failure_does_not_stop_the_next_one() -> None:
    waker = Slow()
    waker.go_on.set()
    for _ in range(3):
        waker.wake()
        await waker.join()
    assert waker.acts == 3


async def test_join_without_a_wake_up_returns() -> None:
    await Slow().join()
