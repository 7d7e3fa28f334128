"""What hardly ever happens between us and a broker, with a broker that does it at once."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, Mock
from uuid import UUID

import aio_pika
import pytest
from aio_pika.exceptions import PublishError

from shared.messaging import BrokerTimings, Consumer, DeadLetter, Outcome, QueueMonitor, RabbitMQ, Verdict
from shared.messaging.amqp import by_risk
from shared.messaging.health import Activity, Stalled
from tests.support.backbone import FIRST, QUEUES, Pinged
from tests.support.events import message
from tests.support.wait import until

FOUND = message(Pinged(name="x"))


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> AsyncMock:
    """The channel of whatever connection is opened."""
    channel = AsyncMock()
    channel.is_closed = False
    connection = AsyncMock()
    connection.channel.return_value = channel
    monkeypatch.setattr(aio_pika, "connect", AsyncMock(return_value=connection))
    return channel


def delivery(**attributes: Any) -> Mock:
    return Mock(
        **{"message_id": str(FOUND.id), "type": FOUND.routing_key, "body": FOUND.body, "headers": {}, **attributes},
        ack=AsyncMock(),
    )


def dead_queue(channel: AsyncMock, *deliveries: Mock | None) -> None:
    channel.get_queue.return_value = AsyncMock(
        declaration_result=SimpleNamespace(message_count=len(deliveries)), get=AsyncMock(side_effect=deliveries)
    )


def test_what_has_been_tried_comes_by_itself_and_the_likeliest_culprit_last() -> None:
    fresh, another, once, twice = (delivery(headers={"x-delivery-count": tried}) for tried in (0, 0, 1, 2))
    assert list(by_risk([twice, fresh, once, another])) == [[fresh, another], [once], [twice]]
    assert list(by_risk([once])) == [[once]]


@pytest.mark.parametrize(("reconnect", "repaired"), [(3600, False), (-1, True)], ids=["at once", "a while later"])
async def test_what_lacks_is_declared_once_it_has_lacked_for_a_while(
    channel: AsyncMock, reconnect: float, repaired: bool
) -> None:
    returned = PublishError.__new__(PublishError)  # which is made of frames
    channel.get_exchange.return_value.publish = AsyncMock(side_effect=returned)
    rabbitmq = RabbitMQ("amqp://", QUEUES, name="test", timings=BrokerTimings(reconnect=reconnect))
    await rabbitmq.publish([FOUND])
    declared = channel.declare_queue.await_count
    (error,) = await rabbitmq.publish([FOUND])
    assert isinstance(error, PublishError)
    assert (channel.declare_queue.await_count > declared) == repaired
    await rabbitmq.close()


async def test_a_dead_letter_that_somebody_else_has_taken_meanwhile_ends_the_list(channel: AsyncMock) -> None:
    dead_queue(channel, delivery(), None)
    letters = await RabbitMQ("amqp://", QUEUES, name="test").list(FIRST.name)
    assert letters == [DeadLetter(FIRST.name, FOUND.id, FOUND.routing_key, "delivery limit")]


async def test_a_letter_from_elsewhere_has_no_event(channel: AsyncMock) -> None:
    dead_queue(channel, delivery(message_id="nonsense", headers={"x-error": "invalid", "x-attempts": "many"}))
    (letter,) = await RabbitMQ("amqp://", QUEUES, name="test").list(FIRST.name)
    assert (letter.event_id, letter.error) == (UUID(int=0), "invalid")


async def test_a_replay_that_the_broker_refuses_keeps_the_letter(channel: AsyncMock) -> None:
    kept = delivery()
    dead_queue(channel, kept)
    channel.get_exchange.return_value.publish = AsyncMock(side_effect=ValueError("refused"))
    with pytest.raises(ValueError, match="refused"):
        await RabbitMQ("amqp://", QUEUES, name="test").replay(FIRST.name)
    kept.ack.assert_not_awaited()


async def test_a_connection_that_is_given_up_is_an_error_and_no_cancellation(channel: AsyncMock) -> None:
    channel.get_exchange.return_value.publish = AsyncMock(side_effect=asyncio.CancelledError)
    (error,) = await RabbitMQ("amqp://", QUEUES, name="test").publish([FOUND])
    assert isinstance(error, ConnectionError)


async def test_a_monitor_ends_with_its_channel(channel: AsyncMock) -> None:
    channel.is_closed = True
    with pytest.raises(ConnectionError):
        await QueueMonitor({FIRST.name: FIRST.states}).poll(channel, AsyncMock())


async def test_a_consumer_that_has_let_go_is_stalled_though_the_broker_still_counts_it(channel: AsyncMock) -> None:
    def read_once(_: str) -> Mock:
        channel.is_closed = True
        return Mock(declaration_result=SimpleNamespace(message_count=0, consumer_count=1))

    channel.get_queue.side_effect = read_once
    monitor, activity = QueueMonitor({FIRST.name: FIRST.states}, poll_interval=0), Activity()
    with pytest.raises(ConnectionError):
        await monitor.poll(channel, AsyncMock())
    with activity.subscription():
        await monitor.check_consumer(FIRST.name, activity)
    with pytest.raises(Stalled):
        await monitor.check_consumer(FIRST.name, activity)


async def test_a_consumer_that_gets_nothing_of_a_backlog_subscribes_anew(channel: AsyncMock) -> None:
    monitor, activity, renew = QueueMonitor({FIRST.name: FIRST.states}, stall_timeout=0), Activity(), Mock()
    channel.get_queue.return_value = Mock(declaration_result=SimpleNamespace(message_count=1, consumer_count=1))
    task = asyncio.create_task(monitor.poll(channel, AsyncMock()))

    async def stalled() -> bool:
        try:
            await monitor.check_consumer(FIRST.name, activity)
        except Stalled:
            return True
        return False

    async def renewed() -> bool:
        return await stalled() and renew.called

    with activity.subscription(renew):
        await until(renewed, what="a new subscription")
        renew.reset_mock()
        with activity.batch():
            await until(stalled, what="a handler that lasts")
        renew.assert_not_called()
    assert activity.renew is None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_the_delay_queue_does_not_take_goes_back_to_its_own(channel: AsyncMock) -> None:
    refused = delivery(reject=AsyncMock())

    async def hand_over(put: Callable[[Mock], Awaitable[None]]) -> str:
        await put(refused)
        return "tag"

    channel.close_callbacks = set()
    channel.get_underlay_channel.return_value = Mock()
    channel.get_queue.return_value.consume = AsyncMock(side_effect=hand_over)
    channel.get_exchange.return_value.publish = AsyncMock(side_effect=ValueError("refused"))
    retry = AsyncMock(return_value=[Outcome(Verdict.retry, "too early")])
    consumer = Mock(spec=Consumer, queue=FIRST, activity=Activity(), process=retry)
    task = asyncio.create_task(RabbitMQ("amqp://", QUEUES, name="test").consume(consumer))
    await until(lambda: refused.reject.await_count, what="the delivery to be given back")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    refused.reject.assert_awaited_with(requeue=True)
    refused.ack.assert_not_awaited()
