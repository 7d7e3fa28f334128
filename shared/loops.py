"""Loops that go on until they are cancelled, and no longer."""

import asyncio


def heed_cancellation() -> None:
    """Raise CancelledError where this task was cancelled and yet goes on; for the head of each round of a loop.

    What is awaited may end as if nothing were (asyncio.wait_for of Python 3.11, in our libraries too, when it comes
    with the result), or with an error of a driver's, which such a loop would outlive like any other.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
