"""A consumer or relay that has silently stopped shows, whatever stopped it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Any

import aio_pika
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from shared.messaging import Consumer, Message, QueueMonitor, RabbitMQ, Relay, Subscription
from shared.messaging.health import Activity, Stalled
from shared.observability.metrics import exposition
from shared.persistence.db import Database
from tests.support.backbone import FIRST, OUTBOX, QUEUES, Orders, Pinged, effects, emit, subscription
from tests.support.events import message
from tests.support.wait import until

Check = Any
BRIEF = timedelta(seconds=1)


def quick_monitor(queue: str, states: Mapping[str, str]) -> QueueMonitor:
    return QueueMonitor({queue: states}, stall_timeout=1.0, poll_interval=0.05)


@asynccontextmanager
async def watched(vhost: str) -> AsyncIterator[tuple[RabbitMQ, QueueMonitor, list[asyncio.Task[None]]]]:
    """A broker with a monitor on FIRST; the tasks added to the list end with the block."""
    broker, monitor = RabbitMQ(vhost, QUEUES, name="test"), quick_monitor(FIRST.name, FIRST.states)
    tasks = [asyncio.create_task(broker.monitor(monitor))]
    yield broker, monitor, tasks
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await broker.close()


async def passes(check: Check) -> bool:
    try:
        await check()
    except Stalled:
        return False
    return True


async def fails(check: Check) -> bool:
    return not await passes(check)


async def takes_effect(broker: RabbitMQ, database: Database, sent: Message) -> bool:
    """Send it once more, and look whether it has been handled."""
    with suppress(Exception):
        await broker.publish([sent])
    return await effects(database, FIRST) != {}


class TestConsumer:
    @pytest.fixture
    def consumer(self, database: Database) -> Consumer:
        return Consumer(subscription(FIRST), Orders(FIRST), database)

    async def test_a_cancelled_one_fails(self, vhost: str, consumer: Consumer) -> None:
        async with watched(vhost) as (broker, monitor, tasks):
            check = partial(monitor.check_consumer, FIRST.name, consumer.activity)
            assert await fails(check)
            task = asyncio.create_task(broker.consume(consumer))
            tasks.append(task)
            await until(lambda: passes(check), what="a consumer at work")
            task.cancel()
            await until(lambda: fails(check), what="the check to fail")

    async def test_one_whose_queue_was_deleted_passes_again(
        self, vhost: str, consumer: Consumer, database: Database
    ) -> None:
        async with watched(vhost) as (broker, monitor, tasks), await aio_pika.connect(vhost) as administrator:
            check = partial(monitor.check_consumer, FIRST.name, consumer.activity)
            tasks.append(asyncio.create_task(broker.consume(consumer)))
            await until(lambda: passes(check), what="a consumer at work")
            await (await administrator.channel()).queue_delete(FIRST.name)
            # How long it is away is nobody's to say: the monitor may have declared it again already.
            sent = message(Pinged(name="back"))

            async def is_back() -> bool:
                # To be asked is what makes a consumer whose deliveries the broker has lost subscribe anew.
                well = await passes(check)
                return await takes_effect(broker, database, sent) and well

            await until(is_back, what="an event to take effect")

    async def test_one_whose_handler_hangs_fails(self, vhost: str, database: Database) -> None:
        async def hang(_orders: Orders, _session: AsyncSession, _batch: Sequence[Any]) -> None:
            await asyncio.Event().wait()

        hanging = Consumer(Subscription(FIRST, dict.fromkeys(FIRST.events, hang)), Orders(FIRST), database)
        async with watched(vhost) as (broker, monitor, tasks):
            check = partial(monitor.check_consumer, FIRST.name, hanging.activity)
            tasks.append(asyncio.create_task(broker.consume(hanging)))
            await until(lambda: passes(check), what="a consumer at work")
            assert await broker.publish([message(Pinged(name="x"))]) == [None]
            await until(lambda: fails(check), what="the check to fail")

    async def test_one_that_gets_nothing_of_a_backlog_fails(self, vhost: str) -> None:
        async with watched(vhost) as (broker, monitor, _), await aio_pika.connect(vhost) as other:
            await broker.declare()
            channel = await other.channel()
            await channel.set_qos(prefetch_count=1)
            # To the broker somebody consumes.
            await (await channel.get_queue(FIRST.name)).consume(asyncio.Queue[Any]().put)
            activity = Activity(subscribed=True)
            check = partial(monitor.check_consumer, FIRST.name, activity)
            await until(lambda: passes(check), what="the first look")
            assert await broker.publish([message(Pinged(name=str(n))) for n in range(3)]) == [None] * 3
            await until(lambda: fails(check), what="the check to fail")

            with activity.batch():
                assert await passes(check), "it has got something"


class TestBroker:
    async def test_a_queue_nobody_declared_anew_fails(self, vhost: str) -> None:
        celery, monitor = RabbitMQ(vhost, (), name="test"), quick_monitor("alien", {"ready": "alien"})
        task = asyncio.create_task(celery.monitor(monitor))
        async with await aio_pika.connect(vhost) as administrator:
            channel = await administrator.channel()
            await channel.declare_queue("alien", durable=True)
            await until(lambda: passes(monitor.check), what="the queue to be seen")
            await channel.queue_delete("alien")
            await until(lambda: fails(monitor.check), what="the check to fail")
        task.cancel()

    async def test_depths_are_measured(self, vhost: str) -> None:
        async with watched(vhost) as (broker, monitor, _):
            assert await broker.publish([message(Pinged(name="x"))] * 3) == [None] * 3

            async def measured() -> bool:
                shown = (await exposition([monitor.sample])).decode()
                expected = {("ready", 3), ("retry", 0), ("dead", 0)}
                return f'ganzheng_queue_consumers{{queue="{FIRST.name}"}} 0.0' in shown and all(
                    f'ganzheng_queue_messages{{queue="{FIRST.name}",state="{state}"}} {depth}.0' in shown
                    for state, depth in expected
                )

            await until(measured, what="the depths")


class TestRelay:
    async def test_one_that_cannot_publish_fails_and_passes_again(self, database: Database) -> None:
        class Broker:
            away = True

            async def publish(self, messages: Sequence[Message]) -> list[Exception | None]:
                if self.away:
                    raise ConnectionError
                return [None] * len(messages)

        broker = Broker()
        relay = Relay(OUTBOX, database, broker, stall_timeout=BRIEF)
        task = asyncio.create_task(relay.run())
        try:
            assert await passes(relay.check)
            await emit(database, Pinged(name="x"))
            await until(lambda: fails(relay.check), what="the check to fail")
            broker.away = False
            await until(lambda: passes(relay.check), what="the relay to move")
        finally:
            task.cancel()

    async def test_one_that_ended_fails(self, database: Database) -> None:
        relay = Relay(OUTBOX, database, RabbitMQ("amqp://127.0.0.1:1", QUEUES, name="test"), stall_timeout=BRIEF)
        task = asyncio.create_task(relay.run())
        await until(lambda: passes(relay.check), what="the relay to move")
        task.cancel()
        await until(lambda: fails(relay.check), what="the check to fail")
