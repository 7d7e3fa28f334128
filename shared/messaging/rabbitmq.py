"""RabbitMQ by aio-pika: quorum queues, mandatory publishing with confirms, delayed retry and dead-letter queues."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import aio_pika
from aio_pika.abc import (
    AbstractIncomingMessage,
    AbstractRobustChannel,
    AbstractRobustConnection,
    AbstractRobustExchange,
)
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError, QueueEmpty

from shared.messaging.consumer import Consumer, Outcome, Verdict
from shared.messaging.dead_letters import DeadLetter
from shared.messaging.events import Message
from shared.messaging.topology import EXCHANGE, Queue
from shared.telemetry import get_logger

log = get_logger(__name__)

PUBLISH_TIMEOUT = 10.0
PREFETCH = 64
CONNECT_RETRY = 2.0


class RabbitMQ:
    """Connections of one process. Publishing and consuming are kept apart: a broker alarm blocks only publishers."""

    def __init__(self, url: str, queues: Iterable[Queue], *, name: str) -> None:
        self._url = url
        self._queues = {queue.name: queue for queue in queues}
        self._name = name
        self._connections: list[AbstractRobustConnection] = []
        self._publish_channel: AbstractRobustChannel | None = None
        self._exchange: AbstractRobustExchange | None = None
        self._opening = asyncio.Lock()

    async def _connect(self, purpose: str) -> AbstractRobustConnection:
        separator = "&" if "?" in self._url else "?"
        url = f"{self._url}{separator}heartbeat=20&reconnect_interval=2&name={self._name}-{purpose}"
        connection = await aio_pika.connect_robust(url, timeout=10)
        # The connection itself holds channels weakly, so this object keeps both.
        self._connections.append(connection)
        return connection

    async def _publishing(self) -> tuple[AbstractRobustChannel, AbstractRobustExchange]:
        async with self._opening:
            if self._publish_channel is None or self._exchange is None:
                connection = await self._connect("publish")
                channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
                self._exchange = await self._declare(channel)
                self._publish_channel = channel
            return self._publish_channel, self._exchange

    async def _declare(self, channel: Any) -> AbstractRobustExchange:
        exchange: AbstractRobustExchange = await channel.declare_exchange(
            EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True
        )
        for queue in self._queues.values():
            # Dead-letter targets first: a work queue without them would drop what it rejects.
            await channel.declare_queue(queue.dead, durable=True, arguments=queue.dead_arguments())
            await channel.declare_queue(queue.retry, durable=True, arguments=queue.retry_arguments())
            work = await channel.declare_queue(queue.name, durable=True, arguments=queue.arguments())
            for key in queue.routing_keys:
                await work.bind(exchange, key)
        return exchange

    async def publish(self, messages: Sequence[Message]) -> list[Exception | None]:
        """Pipelined on one channel; a lost confirm counts as not published."""
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT):
                _, exchange = await self._publishing()
        except (AMQPError, OSError, TimeoutError) as error:
            return [error] * len(messages)
        return await asyncio.gather(
            *(self._publish_one(exchange, message.routing_key, self._amqp(message)) for message in messages)
        )

    @staticmethod
    def _amqp(message: Message, headers: Mapping[str, str | int] | None = None) -> aio_pika.Message:
        return aio_pika.Message(
            message.body,
            message_id=str(message.id),
            type=message.routing_key,
            content_type="application/cloudevents+json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            headers=dict(headers or {}),
        )

    @staticmethod
    async def _publish_one(exchange: Any, routing_key: str, message: aio_pika.Message) -> Exception | None:
        try:
            # The client's own timeout does not cover waiting for a reconnection.
            async with asyncio.timeout(PUBLISH_TIMEOUT):
                await exchange.publish(message, routing_key, mandatory=True)
        except (AMQPError, OSError, TimeoutError, RuntimeError) as error:
            return error
        return None

    async def consume(self, consumer: Consumer) -> None:
        """Until cancelled. Survives broker restarts, queue deletion and handler failures."""
        while True:
            try:
                await self._consume_once(consumer)
            except (AMQPError, OSError, TimeoutError, RuntimeError) as error:
                log.warning("consumer.reconnect", queue=consumer.queue.name, error=type(error).__name__)
                await asyncio.sleep(CONNECT_RETRY)

    async def _consume_once(self, consumer: Consumer) -> None:
        connection = await self._connect(f"consume-{consumer.queue.name}")
        try:
            channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
            await channel.set_qos(prefetch_count=PREFETCH)
            await self._declare(channel)
            deliveries: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
            queue = await channel.get_queue(consumer.queue.name)
            await queue.consume(deliveries.put)
            while True:
                batch = [await deliveries.get()]
                while not deliveries.empty() and len(batch) < PREFETCH:
                    batch.append(deliveries.get_nowait())
                outcomes = await consumer.process([_message(delivery) for delivery in batch])
                for delivery, outcome in zip(batch, outcomes, strict=True):
                    await self._settle(channel, consumer.queue, delivery, outcome)
        finally:
            self._connections.remove(connection)
            await connection.close()

    async def _settle(self, channel: Any, queue: Queue, delivery: AbstractIncomingMessage, outcome: Outcome) -> None:
        message = _message(delivery)
        # A stale delivery cannot be settled any more: the broker sends it again and the inbox absorbs it.
        with suppress(ChannelInvalidStateError):
            if outcome.verdict is Verdict.done:
                await delivery.ack()
                return
            if outcome.verdict is Verdict.retry:
                target, attempts = queue.retry, message.attempts + int(outcome.counted)
            else:
                target, attempts = queue.dead, message.attempts
            copy = self._amqp(message, {"x-attempts": attempts, "x-error": outcome.error})
            if await self._publish_one(channel.default_exchange, target, copy) is None:
                await delivery.ack()
            else:
                await delivery.reject(requeue=True)

    async def list(self, queue: str) -> Sequence[DeadLetter]:
        letters = []
        connection = await self._connect("dead-letters")
        try:
            channel = await connection.channel()
            await self._declare(channel)
            dead = await channel.get_queue(self._queues[queue].dead)
            with suppress(QueueEmpty):
                while True:
                    # Unacknowledged on purpose: closing the channel puts all of them back.
                    delivery = await dead.get(no_ack=False, timeout=5)
                    message = _message(delivery)
                    error = str(delivery.headers.get("x-error", "delivery limit"))
                    letters.append(DeadLetter(queue, message.id, message.routing_key, error))
        finally:
            self._connections.remove(connection)
            await connection.close()
        return letters

    async def replay(self, queue: str, event_id: UUID | None = None) -> int:
        replayed = 0
        connection = await self._connect("dead-letters")
        try:
            channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
            await self._declare(channel)
            dead = await channel.get_queue(self._queues[queue].dead)
            with suppress(QueueEmpty):
                while True:
                    delivery = await dead.get(no_ack=False, timeout=5)
                    message = _message(delivery)
                    if event_id not in (None, message.id):
                        continue
                    error = await self._publish_one(channel.default_exchange, queue, self._amqp(message))
                    if error is not None:
                        raise error
                    await delivery.ack()
                    replayed += 1
        finally:
            self._connections.remove(connection)
            await connection.close()
        return replayed

    async def ready(self) -> None:
        """Raises when the broker cannot be published to."""
        async with asyncio.timeout(5):
            channel, _ = await self._publishing()
            await channel.ready()

    async def close(self) -> None:
        for connection in list(self._connections):
            await connection.close()


def _message(delivery: AbstractIncomingMessage) -> Message:
    try:
        event_id = UUID(delivery.message_id or "")
    except ValueError:
        event_id = UUID(int=0)
    attempts = delivery.headers.get("x-attempts", 0)
    return Message(
        event_id,
        delivery.type or delivery.routing_key or "",
        delivery.body,
        attempts if isinstance(attempts, int) else 0,
    )
