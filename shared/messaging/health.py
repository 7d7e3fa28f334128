"""Whether the backbone really moves: what readiness asks of a worker, and the depths its queues have."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from aio_pika.abc import AbstractChannel

from shared.observability.metrics import QUEUE_CONSUMERS, QUEUE_MESSAGES
from shared.observability.telemetry import get_logger

log = get_logger(__name__)

# With one poll more, what has silently stopped is known within half a minute.
STALL_TIMEOUT = 20.0


class Stalled(Exception):
    """Something that should move has not for its stall timeout."""


@dataclass
class Activity:
    """What one consumer is doing; `since` is when that last changed, and `renew` has it subscribe anew."""

    subscribed: bool = False
    busy: bool = False
    since: float = field(default_factory=time.monotonic)
    renew: Callable[[], object] | None = None

    @contextmanager
    def subscription(self, renew: Callable[[], object] | None = None) -> Iterator[None]:
        self.subscribed, self.since, self.renew = True, time.monotonic(), renew
        try:
            yield
        finally:
            self.subscribed, self.renew = False, None

    @contextmanager
    def batch(self) -> Iterator[None]:
        self.busy, self.since = True, time.monotonic()
        try:
            yield
        finally:
            self.busy, self.since = False, time.monotonic()


@dataclass(frozen=True)
class _Reading:
    """What the broker said of a queue; `backlog_since` is the first poll of those that all found it not empty."""

    messages: Mapping[str, int]
    consumers: int
    backlog_since: float | None


class QueueMonitor:
    """Polls queues of the broker: `queues` are the states of each and the broker's names for them. Times are in
    seconds; the interval is a fourth of the time-out where it is not given."""

    def __init__(
        self,
        queues: Mapping[str, Mapping[str, str]],
        *,
        stall_timeout: float = STALL_TIMEOUT,
        poll_interval: float | None = None,
    ) -> None:
        self._queues = queues
        self._stall_timeout = stall_timeout
        self._poll_interval = stall_timeout / 4 if poll_interval is None else poll_interval
        self._readings: dict[str, _Reading] = {}
        self._polled_at = float("-inf")

    async def poll(self, channel: AbstractChannel, bind: Callable[[], Awaitable[None]]) -> None:
        """Read the queues again and again, each time after `bind`. Raises ConnectionError when the channel breaks,
        and what a missing queue is answered with."""
        while not channel.is_closed:
            async with asyncio.timeout(self._stall_timeout):
                await bind()
                # An answer of the broker, also where there is nothing to bind.
                await channel.set_qos(prefetch_count=1)
                for queue, states in self._queues.items():
                    self._readings[queue] = await self._read(channel, queue, states)
            self._polled_at = time.monotonic()
            await asyncio.sleep(self._poll_interval)
        raise ConnectionError("the channel is closed")

    async def _read(self, channel: AbstractChannel, queue: str, states: Mapping[str, str]) -> _Reading:
        found = {state: (await channel.get_queue(name)).declaration_result for state, name in states.items()}
        messages = {state: result.message_count or 0 for state, result in found.items()}
        before = self._readings.get(queue)
        since = (before and before.backlog_since) or time.monotonic()
        return _Reading(messages, found["ready"].consumer_count or 0, since if messages["ready"] else None)

    async def check(self) -> None:
        """Check that the broker, holding all the queues, was seen of late. Raises Stalled."""
        if time.monotonic() - self._polled_at > self._stall_timeout:
            raise Stalled

    async def check_subscribed(self, queue: str) -> None:
        """Check that the broker has a consumer of the queue. Raises Stalled."""
        if queue not in self._readings or not self._readings[queue].consumers:
            raise Stalled

    async def check_consumer(self, queue: str, activity: Activity) -> None:
        """Check that this consumer is subscribed, in the broker's eyes as well, and gets on. Raises Stalled.

        One that waits beside a backlog subscribes anew: a broker that has lost sight of what it handed to a consumer,
        as RabbitMQ 3.10 may where a queue is deleted and declared again, never tells.
        """
        await self.check_subscribed(queue)
        if not activity.subscribed:
            raise Stalled
        reading, now = self._readings[queue], time.monotonic()
        began = activity.since if activity.busy else reading.backlog_since
        if began is not None and now - max(began, activity.since) > self._stall_timeout:
            if activity.renew is not None and not activity.busy:
                log.warning("consumer.renewed", queue=queue)
                activity.renew()
            raise Stalled

    async def sample(self) -> None:
        await self.check()
        for queue, reading in self._readings.items():
            QUEUE_CONSUMERS.labels(queue).set(reading.consumers)
            for state, messages in reading.messages.items():
                QUEUE_MESSAGES.labels(queue, state).set(messages)
