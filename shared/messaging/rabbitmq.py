"""RabbitMQ by aio-pika: quorum queues, mandatory publishing with confirms, delayed retry and dead-letter queues.

Connections are aio-pika's plain ones, not its robust ones: what breaks is dropped whole and built anew from the
topology table. So no delivery outlives its channel, a deleted queue comes back, and a refused declaration is seen.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from uuid import UUID

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import ChannelPreconditionFailed, PublishError
from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic

from shared.loops import heed_cancellation
from shared.messaging import confirms
from shared.messaging.amqp import headers_of, properties_of, tag_of, to_message
from shared.messaging.confirms import Sent
from shared.messaging.consumer import Consumer
from shared.messaging.dead_letters import DeadLetter
from shared.messaging.declaration import Declaration
from shared.messaging.events import Message
from shared.messaging.health import QueueMonitor
from shared.messaging.settling import Intake
from shared.messaging.topology import Queue, addresses
from shared.observability.telemetry import get_logger

log = get_logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class BrokerTimings:
    """Says how long to wait for the broker, in seconds."""

    connect: float = 10.0
    publish: float = 10.0
    close: float = 1.0
    heartbeat: int = 10
    reconnect: float = 1.0
    """between two tries"""
    stop_grace: float = 1.5
    """for a batch in hand when its consumer is stopped"""


class RabbitMQ:
    """The broker as one process of the service `name` sees it; `queues` is the whole table. Publishing and consuming
    have connections of their own: a broker alarm blocks only publishers."""

    def __init__(
        self, url: str, queues: Iterable[Queue], *, name: str, timings: BrokerTimings = BrokerTimings()
    ) -> None:
        self._url = url
        self._timings = timings
        self._queues = {queue.name: queue for queue in queues}
        self._name = name
        self._declaration = Declaration(self._queues.values(), name)
        self._missed_at: float | None = None
        self._publishing: AbstractChannel | None = None
        self._publishing_ends = AsyncExitStack()
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def _channel(self, purpose: str) -> AsyncIterator[AbstractChannel]:
        """Open a channel on its own connection to a broker that holds what we may declare."""
        async with self._connection(purpose) as connection:
            yield await self._ready_channel(connection)

    async def _ready_channel(self, connection: AbstractConnection) -> AbstractChannel:
        await self._declaration.make(connection)
        return await connection.channel(publisher_confirms=True, on_return_raises=True)

    @asynccontextmanager
    async def _connection(self, purpose: str) -> AsyncIterator[AbstractConnection]:
        connection = await aio_pika.connect(
            self._url,
            timeout=self._timings.connect,
            heartbeat=self._timings.heartbeat,
            name=f"{self._name}-{purpose}",
        )
        try:
            yield connection
        finally:
            with suppress(Exception):
                async with asyncio.timeout(self._timings.close):
                    await connection.close()

    async def _keep_at(self, purpose: str, work: Callable[[AbstractChannel], Awaitable[None]]) -> None:
        """Try `work` until it returns, each time on a new channel. Raises ChannelPreconditionFailed."""

        async def on_channel(connection: AbstractConnection) -> None:
            await work(await self._ready_channel(connection))

        await self._keep_connected(purpose, on_channel)

    async def _keep_connected(self, purpose: str, work: Callable[[AbstractConnection], Awaitable[None]]) -> None:
        while True:
            heed_cancellation()
            try:
                async with self._connection(purpose) as connection:
                    return await _unless_cancelled(work(connection))
            except ChannelPreconditionFailed as error:
                log.error("broker.topology_differs", purpose=purpose, error=str(error))  # noqa: TRY400 - broker's words
                raise
            except Exception as error:
                log.warning("broker.reconnect", purpose=purpose, error=type(error).__name__)
                await asyncio.sleep(self._timings.reconnect)

    async def declare(self) -> None:
        """Return when the broker holds the topology. Raises ChannelPreconditionFailed if it holds a different one."""

        async def nothing(_channel: AbstractChannel) -> None:
            return None

        await self._keep_at("declare", nothing)

    async def monitor(self, monitor: QueueMonitor) -> None:
        """Keep `monitor` polling until cancelled. A binding that is missing is made anew each time, a queue with a new
        connection."""

        async def watch(connection: AbstractConnection) -> None:
            channel = await self._ready_channel(connection)
            await monitor.poll(channel, partial(self._declaration.bind, connection))

        await self._keep_connected("monitor", watch)

    async def publish(self, messages: Sequence[Message]) -> list[Exception | None]:
        """Publish to each queue by itself: what one of them lacks is not published, nor is what no confirm comes for.
        Takes `publish` seconds at most. Raises when the broker is away."""
        deadline = asyncio.get_running_loop().time() + self._timings.publish
        async with asyncio.timeout_at(deadline):
            channel = await _unless_cancelled(self._publisher())
        queues = self._queues.values()
        sent = [
            Sent(addresses(queues, message.routing_key), properties_of(message), message.body) for message in messages
        ]
        results = await confirms.publish(channel, sent, deadline - asyncio.get_running_loop().time())
        if any(isinstance(result, TimeoutError) for result in results):
            await self.close()
        if any(isinstance(result, PublishError) for result in results):
            async with asyncio.timeout_at(deadline):
                await self._repair()
        else:
            self._missed_at = None
        return results

    async def _repair(self) -> None:
        """Declare what messages do not get to, once they have not for as long as we wait between two connections."""
        now = time.monotonic()
        if self._missed_at is None:
            self._missed_at = now
        elif now - self._missed_at > self._timings.reconnect:
            self._missed_at = now
            async with self._connection("repair") as connection:
                await self._declaration.make(connection)

    async def _publisher(self) -> AbstractChannel:
        async with self._opening:
            if self._publishing is None or self._publishing.is_closed:
                await self.close()
                self._publishing = await self._publishing_ends.enter_async_context(self._channel("publish"))
            return self._publishing

    async def close(self) -> None:
        """Close what publishing holds open; the next publish opens it anew."""
        self._publishing = None
        await self._publishing_ends.aclose()

    async def consume(self, consumer: Consumer) -> None:
        """Give a consumer what its queue holds, until cancelled. Goes on after the broker's restarts, the queue's
        deletion and failures of handlers."""
        await self._keep_at(f"consume-{consumer.queue.name}", partial(self._consume, consumer))

    async def _consume(self, consumer: Consumer, channel: AbstractChannel) -> None:
        timings = self._timings
        await Intake(consumer, channel, publish=timings.publish, stop_grace=timings.stop_grace).run()

    async def depths(self) -> dict[str, dict[str, int]]:
        """Count messages by queue and state, as the broker does now; not those that a consumer holds."""
        async with self._channel("depths") as channel:
            return {
                queue.name: {
                    state: (await channel.get_queue(name)).declaration_result.message_count or 0
                    for state, name in queue.states.items()
                }
                for queue in self._queues.values()
            }

    async def list(self, queue: str) -> Sequence[DeadLetter]:
        letters = []
        async with self._channel("dead-letters") as channel:
            # Unacknowledged on purpose: closing the channel puts all of them back.
            async for delivery in self._dead(channel, queue):
                message = to_message(delivery)
                error = str(headers_of(delivery).get("x-error", "delivery limit"))
                letters.append(DeadLetter(queue, message.id, message.routing_key, error))
        return letters

    async def replay(self, queue: str, event_id: UUID | None = None) -> int:
        replayed = 0
        async with self._channel("dead-letters") as channel:
            underlay = await channel.get_underlay_channel()
            async for delivery in self._dead(channel, queue):
                message = to_message(delivery)
                if event_id in (None, message.id):
                    copy = Sent([queue], properties_of(message), message.body)
                    (error,) = await confirms.publish(channel, [copy], self._timings.publish)
                    if error is not None:
                        raise error
                    await underlay.basic_ack(tag_of(delivery))
                    replayed += 1
        return replayed

    async def _dead(self, channel: AbstractChannel, queue: str) -> AsyncIterator[DeliveredMessage]:
        """Take the dead letters that are there now, not those that a replay brings back meanwhile."""
        dead = await channel.get_queue(self._queues[queue].dead)
        underlay = await channel.get_underlay_channel()
        for _ in range(dead.declaration_result.message_count or 0):
            delivery = await underlay.basic_get(dead.name, timeout=5)
            if isinstance(delivery.delivery, Basic.GetEmpty):
                return
            yield delivery


async def _unless_cancelled(work: Awaitable[T]) -> T:
    """aiormq cancels those who wait for a connection that it gives up. Unless our own task is being cancelled, that is
    an error like others; as a cancellation it would end the task without a sound."""
    try:
        return await work
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise ConnectionError("the connection was given up") from None
