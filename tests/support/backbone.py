"""A toy service on the real backbone: two queues, handlers that do as they are told, effects that can be counted."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar, Protocol
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from shared.messaging import (
    BrokerTimings,
    Consumer,
    DeadLetters,
    Event,
    InProcessBus,
    Message,
    Outbox,
    Publisher,
    Queue,
    RabbitMQ,
    Received,
    Relay,
    Subscription,
)
from shared.messaging.tables import InboxMessage, OutboxMessage, PlatformBase
from shared.persistence.connections import STATEMENT_SECONDS
from shared.persistence.db import Database, after_commit
from shared.web.idempotency import IdempotencyBase
from tests.support.clock import START

OUTBOX = Outbox("test")


class Pinged(Event):
    type: ClassVar[str] = "test.pinged"
    subject_field: ClassVar[str] = "name"
    name: str


class Ponged(Event):
    type: ClassVar[str] = "test.ponged"
    subject_field: ClassVar[str] = "name"
    name: str


class Unheard(Event):
    type: ClassVar[str] = "test.unheard"
    subject_field: ClassVar[str] = "name"
    name: str


# Impatient: a message may be refused twice, and may crash its consumer five times.
_queue = partial(Queue, service="test", retry_delay_ms=300, delivery_limit=5, max_attempts=3)
FIRST = _queue("test.first", events=(Pinged, Ponged))
SECOND = _queue("test.second", events=(Pinged,))
QUEUES = (FIRST, SECOND)

# No unique constraint: a second effect must show.
EFFECTS = sa.Table(
    "effects",
    sa.MetaData(),
    sa.Column("queue", sa.Text, nullable=False),
    sa.Column("event_id", sa.Uuid, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
)


def create_tables(url: str) -> None:
    engine = sa.create_engine(url)
    PlatformBase.metadata.create_all(engine)
    IdempotencyBase.metadata.create_all(engine)
    EFFECTS.metadata.create_all(engine)
    engine.dispose()


@dataclass
class Orders:
    """What the handlers of a queue do. `failures[name]` is raised in turn, `broken[name]` always."""

    queue: Queue
    failures: defaultdict[str, list[Exception]] = field(default_factory=lambda: defaultdict(list))
    broken: dict[str, Exception] = field(default_factory=dict)
    batches: list[int] = field(default_factory=list)
    committed: int = 0

    def note_commit(self) -> None:
        self.committed += 1


async def take(orders: Orders, session: AsyncSession, batch: Sequence[Received[Pinged] | Received[Ponged]]) -> None:
    orders.batches.append(len(batch))
    after_commit(session, orders.note_commit)
    rows = [{"queue": orders.queue.name, "event_id": item.id, "name": item.event.name} for item in batch]
    await session.execute(sa.insert(EFFECTS), rows)
    for item in batch:
        # After the effect, which must go with it.
        if orders.failures[item.event.name]:
            raise orders.failures[item.event.name].pop(0)
        if item.event.name in orders.broken:
            raise orders.broken[item.event.name]


def subscription(queue: Queue) -> Subscription:
    return Subscription(queue, dict.fromkeys(queue.events, take))


async def count(database: Database, table: Any) -> int:
    async with database.transaction() as session:
        return await session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


async def emit(database: Database, *events: Event) -> list[UUID]:
    """Write events to the outbox; returns their ids."""
    async with database.transaction() as session:
        return OUTBOX.add(session, events, START)


async def outbox_rows(database: Database) -> int:
    return await count(database, OutboxMessage)


async def effects(database: Database, queue: Queue) -> Counter[str]:
    """How often each name took effect."""
    async with database.transaction() as session:
        return Counter((await session.scalars(sa.select(EFFECTS.c.name).where(EFFECTS.c.queue == queue.name))).all())


class Transport(Publisher, DeadLetters, Protocol):
    """What both buses are."""


@dataclass
class Backbone:
    """A relay and consumers at work. `orders` are by queue name."""

    database: Database
    transport: Transport
    orders: dict[str, Orders]

    async def emit(self, *events: Event) -> list[UUID]:
        return await emit(self.database, *events)

    async def publish(self, messages: Sequence[Message]) -> list[Exception | None]:
        return await self.transport.publish(messages)

    async def effects(self, queue: Queue = FIRST) -> Counter[str]:
        return await effects(self.database, queue)

    async def took(self, names: Iterable[str], queue: Queue = FIRST) -> bool:
        """Whether exactly these took effect, each once."""
        return await self.effects(queue) == Counter(names)

    async def outbox(self) -> int:
        return await outbox_rows(self.database)

    async def inbox(self) -> int:
        return await count(self.database, InboxMessage)


@asynccontextmanager
async def backbone(
    url: str,
    amqp_url: str | None,
    *,
    parts: Iterable[str] = ("relay", "consumers"),
    seconds: float = STATEMENT_SECONDS,
    timings: BrokerTimings = BrokerTimings(),
) -> AsyncIterator[Backbone]:
    """On RabbitMQ, or in-process without `amqp_url`."""
    database = Database(url, seconds=seconds)
    orders = {queue.name: Orders(queue) for queue in QUEUES}
    consumers = [Consumer(subscription(queue), orders[queue.name], database) for queue in QUEUES]
    tasks: list[asyncio.Task[None]] = []
    transport: InProcessBus | RabbitMQ
    if amqp_url is None:
        transport = InProcessBus(consumers)
    else:
        transport = RabbitMQ(amqp_url, QUEUES, name="test", timings=timings)
        await transport.declare()
        if "consumers" in parts:
            tasks += [asyncio.create_task(transport.consume(consumer)) for consumer in consumers]
    if "relay" in parts:
        relay = Relay(OUTBOX, database, transport, max_backoff=timedelta(milliseconds=300))
        tasks.append(asyncio.create_task(relay.run()))
    try:
        yield Backbone(database, transport, orders)
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        if isinstance(transport, RabbitMQ):
            await transport.close()
        await database.close()
    assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended
