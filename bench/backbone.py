"""The relay against raw publishing, and the consumer against raw consuming: 1 KB events, quorum queue, confirms."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4

import aio_pika
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from bench.run import compare
from shared.messaging import Consumer, Event, Message, Outbox, Queue, RabbitMQ, Received, Relay, Subscription
from shared.messaging.tables import OutboxMessage, PlatformBase
from shared.persistence.db import Database
from tests.support.backing import Backing

EVENTS = 3000
WINDOW = 200


class Measured(Event):
    type: ClassVar[str] = "bench.measured"
    subject_field: ClassVar[str] = "subject_id"

    subject_id: UUID
    filler: str


QUEUE = Queue("bench.measured", "bench", (Measured,))
PASSIVE = Queue("bench.raw", "bench", ())
OUTBOX = Outbox("bench")


class Counting:
    """Counts what its handler was given, and says when all of it came."""

    def __init__(self) -> None:
        self.count = 0
        self.all = asyncio.Event()

    async def handle(self, _container: Any, _session: AsyncSession, batch: Sequence[Received[Measured]]) -> None:
        self.count += len(batch)
        if self.count >= EVENTS:
            self.all.set()


def message() -> Message:
    return Message(uuid4(), Measured.routing_key(), b"x" * 1024)


async def backbone(backing: Backing, rounds: int) -> None:
    """Measure the relay and the consumer against their raw limits, and print."""
    url = await backing.rabbitmq.create_vhost()
    with backing.postgres.temporary() as database_url:
        database = Database(database_url, pool_size=4)
        async with database.engine.begin() as connection:
            await connection.run_sync(PlatformBase.metadata.create_all)
        broker = RabbitMQ(url, [QUEUE, PASSIVE], name="bench")
        await broker.declare()
        connection_of_raw = await aio_pika.connect(url)
        channel = await connection_of_raw.channel()

        async def raw_pipelined() -> float:
            await _purge(channel)
            gate = asyncio.Semaphore(WINDOW)

            async def publish() -> None:
                async with gate:
                    body = aio_pika.Message(b"x" * 1024, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
                    await channel.default_exchange.publish(body, QUEUE.name)

            started = time.perf_counter()
            await asyncio.gather(*(publish() for _ in range(EVENTS)))
            return EVENTS / (time.perf_counter() - started)

        async def raw_serial() -> float:
            await _purge(channel)
            count = EVENTS // 5
            started = time.perf_counter()
            for _ in range(count):
                body = aio_pika.Message(b"x" * 1024, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
                await channel.default_exchange.publish(body, QUEUE.name)
            return count / (time.perf_counter() - started)

        async def relay() -> float:
            await _purge(channel)
            await _fill(database)
            worker = Relay(OUTBOX, database, broker)
            started = time.perf_counter()
            while await worker.drain():
                pass
            return EVENTS / (time.perf_counter() - started)

        async def raw_consume() -> float:
            await relay()
            done = asyncio.Event()
            count = 0

            async def take(delivery: aio_pika.abc.AbstractIncomingMessage) -> None:
                nonlocal count
                await delivery.ack()
                count += 1
                if count == EVENTS:
                    done.set()

            await channel.set_qos(prefetch_count=WINDOW)
            queue = await channel.get_queue(QUEUE.name)
            started = time.perf_counter()
            tag = await queue.consume(take)
            await done.wait()
            elapsed = time.perf_counter() - started
            await queue.cancel(tag)
            return EVENTS / elapsed

        async def consumer() -> float:
            await relay()
            counting = Counting()
            subscription = Subscription(QUEUE, {Measured: counting.handle})
            started = time.perf_counter()
            task = asyncio.create_task(broker.consume(Consumer(subscription, None, database)))
            await counting.all.wait()
            elapsed = time.perf_counter() - started
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return EVENTS / elapsed

        await compare(
            "Publishing",
            "events/s",
            "raw pipelined",
            {"raw pipelined": raw_pipelined, "raw serial confirms": raw_serial, "outbox relay": relay},
            rounds,
        )
        await compare(
            "Consuming", "events/s", "raw, ack each", {"raw, ack each": raw_consume, "inbox consumer": consumer}, rounds
        )
        await connection_of_raw.close()
        await broker.close()
        await database.close()
    await backing.rabbitmq.delete_vhost(url)


async def _purge(channel: Any) -> None:
    await (await channel.get_queue(QUEUE.name)).purge()


async def _fill(database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(sa.delete(OutboxMessage))
        events = [Measured(subject_id=uuid4(), filler="x" * 700) for _ in range(EVENTS)]
        OUTBOX.add(session, events, datetime.now(UTC))
