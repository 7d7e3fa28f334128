"""What only a broker can do: refuse declarations, lose queues and channels, freeze, and take messages back."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import pytest
from aio_pika.exceptions import ChannelPreconditionFailed
from sqlalchemy.ext.asyncio import AsyncSession

from shared.messaging import BrokerTimings, Consumer, RabbitMQ, Subscription
from shared.messaging.topology import EXCHANGE
from shared.persistence.db import Database
from tests.support.backbone import FIRST, QUEUES, SECOND, Orders, Pinged, backbone, effects, subscription, take
from tests.support.backing import RabbitMQ as Broker
from tests.support.events import message
from tests.support.wait import until


@asynccontextmanager
async def administrator(url: str) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    async with await aio_pika.connect(url) as connection:
        yield await connection.channel()


class TestTopology:
    async def test_a_queue_with_other_arguments_is_a_loud_error_everywhere(
        self, vhost: str, database: Database
    ) -> None:
        async with administrator(vhost) as channel:
            await channel.declare_queue(SECOND.name, durable=True)
        transport = RabbitMQ(vhost, QUEUES, name="test")
        with pytest.raises(ChannelPreconditionFailed, match=SECOND.name):
            await transport.declare()
        with pytest.raises(ChannelPreconditionFailed, match=SECOND.name):
            await transport.consume(Consumer(subscription(FIRST), Orders(FIRST), database))
        with pytest.raises(ChannelPreconditionFailed, match=SECOND.name):
            await transport.publish([message(Pinged(name="x"))])
        await transport.close()

    async def test_a_deleted_queue_comes_back_with_its_consumer(self, vhost: str, database_url: str) -> None:
        async with backbone(database_url, vhost) as bus:
            await bus.emit(Pinged(name="before"))
            await until(lambda: bus.took(["before"]), what="an effect before")
            async with administrator(vhost) as channel:
                await channel.queue_delete(FIRST.name)
                await until(lambda: consumed(vhost, FIRST.name), what="the queue and its consumer")
            await bus.emit(Pinged(name="after"))
            await until(lambda: bus.took(["before", "after"]), what="an effect after")

    async def test_a_publisher_whose_channel_the_broker_closes_goes_on(self, vhost: str) -> None:
        transport = RabbitMQ(vhost, QUEUES, name="test")
        assert await transport.publish([message(Pinged(name="before"))]) == [None]
        async with administrator(vhost) as channel:
            await channel.exchange_delete(EXCHANGE)
        lost = await transport.publish([message(Pinged(name="lost")), message(Pinged(name="lost too"))])
        assert all(isinstance(error, Exception) for error in lost)
        assert await transport.publish([message(Pinged(name="after"))]) == [None]
        await transport.close()


class TestFrozenBroker:
    async def test_publishing_ends_in_time_and_recovers(self, vhost: str) -> None:
        async with frozen_at_will(vhost) as (url, thawed):
            transport = RabbitMQ(url, QUEUES, name="test", timings=BrokerTimings(publish=1.0))
            await until(lambda: publishes(transport), what="a first publish")
            thawed.clear()
            (error,) = await transport.publish([message(Pinged(name="confirmed by nobody"))])
            assert isinstance(error, TimeoutError)
            with pytest.raises(TimeoutError):
                await transport.publish([message(Pinged(name="not even connected"))])
            thawed.set()
            await until(lambda: publishes(transport), what="publishing again")
            await transport.close()


class TestStopping:
    async def test_a_batch_in_hand_is_finished(self, vhost: str, rabbitmq: Broker, database: Database) -> None:
        async with slow_consumer(vhost, database, stop_grace=60) as (busy, release, task):
            await busy.wait()
            task.cancel()
            release.set()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await effects(database, FIRST) == {"slow": 1}
        assert await rabbitmq.queue_depth(vhost, FIRST.name) == 0

    async def test_a_batch_that_hangs_is_given_back_whole(
        self, vhost: str, rabbitmq: Broker, database: Database
    ) -> None:
        async with slow_consumer(vhost, database, stop_grace=0.1) as (busy, _release, task):
            await busy.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await effects(database, FIRST) == {}
        await until(lambda: depth_is(rabbitmq, vhost, 1), what="the message is back in the queue")

        heir = asyncio.create_task(
            RabbitMQ(vhost, QUEUES, name="heir").consume(Consumer(subscription(FIRST), Orders(FIRST), database))
        )
        await until(lambda: effects(database, FIRST), what="the effect by another consumer")
        heir.cancel()
        with suppress(asyncio.CancelledError):
            await heir


@asynccontextmanager
async def slow_consumer(
    vhost: str, database: Database, stop_grace: float
) -> AsyncIterator[tuple[asyncio.Event, asyncio.Event, asyncio.Task[None]]]:
    """A consumer that has written its effect, is `busy` and goes on at `release`."""
    busy, release = asyncio.Event(), asyncio.Event()

    async def linger(orders: Orders, session: AsyncSession, batch: Sequence[Any]) -> None:
        await take(orders, session, batch)
        busy.set()
        await release.wait()

    transport = RabbitMQ(vhost, QUEUES, name="test", timings=BrokerTimings(stop_grace=stop_grace))
    assert await transport.publish([message(Pinged(name="slow"))]) == [None]
    await transport.close()
    slow = Subscription(FIRST, dict.fromkeys(FIRST.events, linger))
    task = asyncio.create_task(transport.consume(Consumer(slow, Orders(FIRST), database)))
    yield busy, release, task


async def publishes(transport: RabbitMQ) -> bool:
    try:
        return await transport.publish([message(Pinged(name="x"))]) == [None]
    except TimeoutError:
        return False


async def consumed(vhost: str, name: str) -> bool:
    try:
        async with administrator(vhost) as channel:
            return bool((await channel.get_queue(name)).declaration_result.consumer_count)
    except aio_pika.exceptions.ChannelNotFoundEntity:
        return False


async def depth_is(rabbitmq: Broker, vhost: str, depth: int) -> bool:
    return await rabbitmq.queue_depth(vhost, FIRST.name) == depth


@asynccontextmanager
async def frozen_at_will(url: str) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A way to the broker on which bytes, and new connections, wait while the event is cleared."""
    thawed = asyncio.Event()
    thawed.set()
    broker = urlsplit(url)

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await thawed.wait()
                writer.write(data)
                await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await thawed.wait()
        upstream = await asyncio.open_connection(broker.hostname, broker.port)
        await asyncio.gather(pump(reader, upstream[1]), pump(upstream[0], writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield broker._replace(netloc=f"{broker.username}:{broker.password}@127.0.0.1:{port}").geturl(), thawed


async def test_what_its_delay_queue_does_not_take_goes_back_to_its_own(vhost: str, database_url: str) -> None:
    async with backbone(database_url, vhost) as bus:
        bus.orders[FIRST.name].failures["again"] = [ValueError()]
        await bus.emit(Pinged(name="before"))
        # Whoever connects declares what is missing; from now on nobody does.
        await until(lambda: bus.took(["before"]), what="all connections in use")
        async with administrator(vhost) as channel:
            await channel.queue_delete(FIRST.retry)
        await bus.emit(Pinged(name="again"))
        await until(lambda: bus.took(["before", "again"]), what="the effect, without the delay queue")
