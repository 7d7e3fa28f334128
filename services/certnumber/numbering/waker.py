"""Tells the numbering that approvals wait. A hint only: the sweep finds what no hint announced."""

import asyncio
from abc import ABC, abstractmethod
from functools import partial
from typing import Any

from celery import Celery

from shared.observability.telemetry import bind_trace, current_traceparent, get_logger

log = get_logger(__name__)

TASK = "certnumber.assign_numbers"
SWEEP_SECONDS = 10.0
# From one wake-up to the next: under load a run numbers what several batches of events have brought.
PAUSE_SECONDS = 0.05
# Without the time-outs a publisher waits for the broker's confirm for ever. Without the retries it keeps a connection
# that the broker has closed, and beat would never be heard again.
PUBLISH_OPTIONS: dict[str, Any] = {
    "timeout": 5,
    "confirm_timeout": 5,
    "retry": True,
    "retry_policy": {"max_retries": 2, "interval_start": 0, "interval_step": 0.5, "interval_max": 0.5},
}


class Waker(ABC):
    """Acts at most once at a time. Any number of wake-ups during an act make one more."""

    def __init__(self) -> None:
        self._wanted = False
        self._acting: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Ask for an act; returns at once and never raises: call it on the event loop, after the commit."""
        self._wanted = True
        if self._acting is None or self._acting.done():
            self._acting = asyncio.create_task(self._act_while_wanted())

    async def join(self) -> None:
        """Wait until everything asked for so far is done."""
        if self._acting is not None:
            await self._acting

    async def _act_while_wanted(self) -> None:
        while self._wanted:
            self._wanted = False
            try:
                await self._act()
            except Exception as error:
                log.warning("numbering.not_woken", error=type(error).__name__)

    @abstractmethod
    async def _act(self) -> None:
        """Do it once; anything raised is logged."""

    @abstractmethod
    async def sweep(self) -> None:
        """Sweep as this way to run does, until cancelled; returns at once if another process sweeps."""


def _trace() -> dict[str, str]:
    return {"traceparent": current_traceparent()}


class CeleryWaker(Waker):
    """Sends the task to Celery's workers. Their sweep is Celery's beat."""

    def __init__(self, celery: Celery) -> None:
        super().__init__()
        self._send = partial(celery.tasks[TASK].apply_async, **PUBLISH_OPTIONS)

    async def _act(self) -> None:
        await asyncio.to_thread(self._send, headers=_trace())
        await asyncio.sleep(PAUSE_SECONDS)

    async def sweep(self) -> None:
        return


class EagerWaker(Waker):
    """Runs the task here, in a thread."""

    def __init__(self, celery: Celery) -> None:
        super().__init__()
        self._run = partial(celery.tasks[TASK].apply, throw=True)

    async def _act(self) -> None:
        await asyncio.to_thread(self._run, headers=_trace())

    async def sweep(self) -> None:
        while True:
            bind_trace(None)
            self.wake()
            await asyncio.sleep(SWEEP_SECONDS)
