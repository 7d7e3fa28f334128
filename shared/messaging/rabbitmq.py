"""RabbitMQ by aio-pika: quorum queues, mandatory publishing with confirms, delayed retry and dead-letter queues.

Connections are aio-pika's plain ones, not its robust ones: what breaks is dropped whole and built anew from the
topology table. So no delivery outlives its channel, a deleted queue comes back, and a refused declaration is seen.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, AbstractIncomingMessage
from aio_pika.exceptions import ChannelInvalidStateError, ChannelPreconditionFailed, PublishError

from shared.messaging.amqp import by_risk, to_amqp, to_message, tries
from shared.messaging.consumer import Consumer, Outcome, Verdict
from shared.messaging.dead_letters import DeadLetter
from shared.messaging.declaration import Declaration
from shared.messaging.events import Message
from shared.messaging.health import QueueMonitor
from shared.messaging.topology import EXCHANGE, Queue, addresses
from shared.observability.telemetry import get_logger

log = get_logger(__name__)

T = TypeVar("T")

PREFETCH = 64


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
        """Publish pipelined on one channel, to each queue by itself: what one of them lacks is not published, nor is
        what no confirm comes for. Raises when the broker is away."""
        async with asyncio.timeout(self._timings.publish):
            channel = await _unless_cancelled(self._publisher())
        exchange = await channel.get_exchange(EXCHANGE, ensure=False)
        results = await asyncio.gather(*(self._send(exchange, message) for message in messages))
        if any(isinstance(result, TimeoutError) for result in results):
            await self.close()
        if any(isinstance(result, PublishError) for result in results):
            await self._repair()
        else:
            self._missed_at = None
        return results

    async def _send(self, exchange: AbstractExchange, message: Message) -> Exception | None:
        keys = addresses(self._queues.values(), message.routing_key)
        results = await asyncio.gather(*(self._publish(exchange, key, to_amqp(message)) for key in keys))
        return next((result for result in results if result is not None), None)

    async def _repair(self) -> None:
        """Declare what messages do not get to, once they have not for as long as we wait between two connections."""
        now = time.monotonic()
        if self._missed_at is None:
            self._missed_at = now
        elif now - self._missed_at > self._timings.reconnect:
            self._missed_at = now
            async with asyncio.timeout(self._timings.publish), self._connection("repair") as connection:
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
        deliveries: asyncio.Queue[AbstractIncomingMessage | None] = asyncio.Queue()

        def lose(*_: object) -> None:
            deliveries.put_nowait(None)

        channel.close_callbacks.add(lose)
        (await channel.get_underlay_channel()).on_consumer_cancel_callbacks.add(lose)
        queue = await channel.get_queue(consumer.queue.name, ensure=False)
        # A message that crashes this process takes all unacknowledged ones along towards the delivery limit. So one
        # at a time, until the broker has given us one that nobody has tried before.
        await channel.set_qos(prefetch_count=1)
        probation = await queue.consume(deliveries.put)
        trusted = False
        with consumer.activity.subscription(lose):
            while True:
                batch = [await deliveries.get()]
                while not deliveries.empty():
                    batch.append(deliveries.get_nowait())
                held = [delivery for delivery in batch if delivery is not None]
                if len(held) < len(batch):
                    raise ConnectionError("the broker ended the subscription")
                with consumer.activity.batch():
                    await self._finish(self._handle(channel, consumer, held))
                if not trusted and not any(map(tries, held)):
                    trusted = True
                    await queue.cancel(probation)
                    await channel.set_qos(prefetch_count=PREFETCH)
                    await queue.consume(deliveries.put)

    async def _handle(
        self, channel: AbstractChannel, consumer: Consumer, batch: Sequence[AbstractIncomingMessage]
    ) -> None:
        for part in by_risk(batch):
            outcomes = await consumer.process([to_message(delivery) for delivery in part])
            for delivery, outcome in zip(part, outcomes, strict=True):
                await self._settle(channel, consumer.queue, delivery, outcome)

    async def _settle(
        self, channel: AbstractChannel, queue: Queue, delivery: AbstractIncomingMessage, outcome: Outcome
    ) -> None:
        message = to_message(delivery)
        # A stale delivery cannot be settled any more: the broker sends it again and the inbox absorbs it.
        with suppress(ChannelInvalidStateError):
            if outcome.verdict is Verdict.done:
                await delivery.ack()
                return
            if outcome.verdict is Verdict.retry:
                target, attempts = queue.retry, message.attempts + int(outcome.counted)
            else:
                target, attempts = queue.dead, message.attempts
            copy = to_amqp(message, {"x-attempts": attempts, "x-error": outcome.error})
            exchange = await channel.get_exchange(EXCHANGE, ensure=False)
            if await self._publish(exchange, target, copy) is None:
                await delivery.ack()
            else:
                await delivery.reject(requeue=True)

    async def _finish(self, work: Coroutine[Any, Any, None]) -> None:
        """A batch in hand is finished even when its consumer is stopped, for a while."""
        task = asyncio.create_task(work)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task], timeout=self._timings.stop_grace)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise

    async def _publish(
        self, exchange: AbstractExchange, routing_key: str, message: aio_pika.Message
    ) -> Exception | None:
        try:
            async with asyncio.timeout(self._timings.publish):
                await _unless_cancelled(exchange.publish(message, routing_key, mandatory=True))
        except Exception as error:
            return error
        return None

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
                error = str(delivery.headers.get("x-error", "delivery limit"))
                letters.append(DeadLetter(queue, message.id, message.routing_key, error))
        return letters

    async def replay(self, queue: str, event_id: UUID | None = None) -> int:
        replayed = 0
        async with self._channel("dead-letters") as channel:
            exchange = await channel.get_exchange(EXCHANGE, ensure=False)
            async for delivery in self._dead(channel, queue):
                message = to_message(delivery)
                if event_id in (None, message.id):
                    error = await self._publish(exchange, queue, to_amqp(message))
                    if error is not None:
                        raise error
                    await delivery.ack()
                    replayed += 1
        return replayed

    async def _dead(self, channel: AbstractChannel, queue: str) -> AsyncIterator[AbstractIncomingMessage]:
        """Take the dead letters that are there now, not those that a replay brings back meanwhile."""
        dead = await channel.get_queue(self._queues[queue].dead)
        for _ in range(dead.declaration_result.message_count or 0):
            delivery = await dead.get(no_ack=False, fail=False, timeout=5)
            if delivery is None:
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
