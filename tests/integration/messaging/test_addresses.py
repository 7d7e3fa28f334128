"""An event is safe only when every queue that hears it has it; what lacks something is declared anew, or waits."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import aio_pika
import pytest
from aio_pika.exceptions import ChannelPreconditionFailed, PublishError

from shared.messaging import BrokerTimings, QueueMonitor, RabbitMQ
from shared.messaging.topology import EXCHANGE
from tests.support.backbone import FIRST, OUTBOX, QUEUES, SECOND, Backbone, Pinged, backbone
from tests.support.backing import RabbitMQ as Broker
from tests.support.clock import START
from tests.support.events import message
from tests.support.wait import until

PING = SECOND.address(Pinged.routing_key())


@asynccontextmanager
async def administrator(url: str) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    async with await aio_pika.connect(url) as connection:
        yield await connection.channel()


async def lose(vhost: str, what: str) -> None:
    async with administrator(vhost) as channel:
        if what == "queue":
            await channel.queue_delete(SECOND.name)
        else:
            await (await channel.get_queue(SECOND.name)).unbind(EXCHANGE, PING)


@pytest.mark.parametrize("what", ["queue", "binding"])
async def test_one_queue_of_two_missing_is_no_success_and_is_mended(what: str, vhost: str, rabbitmq: Broker) -> None:
    transport = RabbitMQ(vhost, QUEUES, name="test", timings=BrokerTimings(reconnect=0.1))
    ping = message(Pinged(name="x"))
    assert await transport.publish([ping]) == [None]
    await lose(vhost, what)
    (error,) = await transport.publish([ping])
    assert isinstance(error, PublishError), "though the first queue has it"

    async def published() -> bool:
        return await transport.publish([ping]) == [None]

    await until(published, what="the queue to be there again, and bound")
    await transport.close()
    assert await rabbitmq.queue_depth(vhost, SECOND.name) == (1 if what == "queue" else 2)


async def test_who_comes_too_soon_declares_nothing(vhost: str) -> None:
    """The broker has to tell the consumers of a queue first that it is gone."""
    transport = RabbitMQ(vhost, QUEUES, name="test", timings=BrokerTimings(reconnect=3600))
    assert await transport.publish([message(Pinged(name="before"))]) == [None]
    await lose(vhost, "queue")
    for _ in range(3):
        (error,) = await transport.publish([message(Pinged(name="x"))])
        assert isinstance(error, PublishError)
    await transport.close()


async def test_nothing_is_lost_however_often_the_queue_goes(vhost: str, database_url: str) -> None:
    """What the queue held goes with it; nothing that is published while it is missing does."""
    async with backbone(database_url, vhost) as bus:
        await bus.emit(Pinged(name="before"))
        await until(lambda: bus.took(["before"], SECOND), what="the first effect")
        names = ["before"]
        for what in ("binding", "queue", "binding"):
            await lose(vhost, what)
            names += [f"{len(names) + n}" for n in range(5)]
            await bus.emit(*(Pinged(name=name) for name in names[-5:]))
            await until(partial(bus.took, tuple(names), SECOND), what=f"all effects after the {what}")
        await until(lambda: bus.took(names), what="all effects in the other queue")


async def test_what_is_for_one_queue_comes_to_no_other(bus: Backbone) -> None:
    async with bus.database.transaction() as session:
        OUTBOX.add(session, Pinged(name="second only"), START, to=SECOND)
    await until(lambda: bus.took(["second only"], SECOND), what="the effect in the second queue")
    await bus.emit(Pinged(name="both"))
    await until(lambda: bus.took(["second only", "both"], SECOND), what="both effects in the second queue")
    await until(lambda: bus.took(["both"]), what="one in the first")


async def test_a_publisher_of_the_version_before_is_heard(vhost: str, database_url: str) -> None:
    async with backbone(database_url, vhost) as bus:
        ping = message(Pinged(name="old"))
        async with administrator(vhost) as channel:
            exchange = await channel.get_exchange(EXCHANGE)
            await exchange.publish(
                aio_pika.Message(ping.body, message_id=str(ping.id), type=ping.routing_key), ping.routing_key
            )
        await until(lambda: bus.took(["old"]), what="the effect in the first queue")
        await until(lambda: bus.took(["old"], SECOND), what="the effect in the second queue")


async def test_queues_of_the_version_before_are_kept_as_they_are(vhost: str, database_url: str) -> None:
    async with administrator(vhost) as channel:
        for part in (part for queue in QUEUES for part in queue.parts()):
            await channel.declare_queue(part.name, durable=True, arguments=part.former)
    async with backbone(database_url, vhost) as bus:
        bus.orders[FIRST.name].failures["again"] = [ValueError()]
        bus.orders[FIRST.name].broken["bad"] = ValueError()
        await bus.emit(Pinged(name="again"), Pinged(name="bad"))
        await until(lambda: bus.took(["again"]), what="the effect after a retry")
        await until(lambda: bus.transport.list(FIRST.name), what="the dead letter")
        # Once more, by who knows the answer already.
        assert isinstance(bus.transport, RabbitMQ)
        await bus.transport.declare()
        async with administrator(vhost) as channel:
            await channel.queue_delete(SECOND.retry)
            await channel.declare_queue(SECOND.retry, durable=True)
        for transport in (bus.transport, RabbitMQ(vhost, QUEUES, name="stranger")):
            with pytest.raises(ChannelPreconditionFailed, match=SECOND.retry):
                await transport.declare()


async def test_what_is_there_may_become_what_this_version_declares(vhost: str) -> None:
    """Deleted by hand, a queue of the version before comes back as one of this version."""
    async with administrator(vhost) as channel:
        await channel.declare_queue(FIRST.retry, durable=True, arguments=FIRST.retry_arguments(""))
        transport = RabbitMQ(vhost, QUEUES, name="test")
        await transport.declare()
        await channel.queue_delete(FIRST.retry)
        await transport.declare()
        await RabbitMQ(vhost, QUEUES, name="test").declare()


async def test_a_monitor_declares_what_is_missing(vhost: str) -> None:
    transport = RabbitMQ(vhost, QUEUES, name="test")
    async with administrator(vhost) as channel:
        monitored = transport.monitor(QueueMonitor({}, stall_timeout=60, poll_interval=0.05))
        async with _running(monitored):
            await until(lambda: _bound(vhost), what="the binding")
            await lose(vhost, "binding")
            await until(lambda: _bound(vhost), what="the binding again")
            await channel.queue_delete(SECOND.dead)
            await until(lambda: _exists(vhost, SECOND.dead), what="the queue again")


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _bound(vhost: str) -> bool:
    async with await aio_pika.connect(vhost) as connection:
        channel = await connection.channel(on_return_raises=True)
        try:
            exchange = await channel.get_exchange(EXCHANGE)
            await exchange.publish(aio_pika.Message(b""), PING, mandatory=True)
        except (PublishError, aio_pika.exceptions.ChannelClosed):
            return False
        return True


async def _exists(vhost: str, name: str) -> bool:
    async with administrator(vhost) as channel:
        try:
            await channel.get_queue(name)
        except aio_pika.exceptions.ChannelNotFoundEntity:
            return False
        return True
