"""What hardly ever happens between us and a broker, with a broker that does it at once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, Mock, call
from uuid import UUID

import aio_pika
import pytest
from aio_pika.exceptions import PublishError
from aiormq.abc import DeliveredMessage
from aiormq.exceptions import ChannelInvalidStateError
from hypothesis import given
from hypothesis import strategies as st
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from shared.messaging import BrokerTimings, Consumer, DeadLetter, Outcome, QueueMonitor, RabbitMQ, Verdict, confirms
from shared.messaging.amqp import by_risk, to_message, tries
from shared.messaging.confirms import Sent
from shared.messaging.health import Activity, Stalled
from shared.messaging.settling import PREFETCH, acknowledgements
from tests.support.backbone import FIRST, QUEUES, Pinged
from tests.support.events import message
from tests.support.wait import until

FOUND = message(Pinged(name="x"))


@pytest.fixture
def underlay() -> AsyncMock:
    """aiormq's part of the channel."""
    return AsyncMock(on_consumer_cancel_callbacks=set())


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch, underlay: AsyncMock) -> AsyncMock:
    """The channel of whatever connection is opened."""
    channel = AsyncMock(is_closed=False, close_callbacks=set())
    channel.get_underlay_channel.return_value = underlay
    connection = AsyncMock()
    connection.channel.return_value = channel
    monkeypatch.setattr(aio_pika, "connect", AsyncMock(return_value=connection))
    return channel


def delivery(tag: int = 1, message_id: str = str(FOUND.id), headers: dict[str, Any] | None = None) -> DeliveredMessage:
    properties = Basic.Properties(message_id=message_id, message_type=FOUND.routing_key, headers=headers or {})
    header = ContentHeader(properties=properties, body_size=len(FOUND.body))
    return DeliveredMessage(Basic.GetOk(delivery_tag=tag), header, FOUND.body, Mock())


def dead_queue(channel: AsyncMock, underlay: AsyncMock, *deliveries: DeliveredMessage) -> None:
    channel.get_queue.return_value = Mock(declaration_result=SimpleNamespace(message_count=2))
    nothing = DeliveredMessage(Basic.GetEmpty(), ContentHeader(), b"", Mock())
    underlay.basic_get.side_effect = [*deliveries, nothing]


async def refuse(_channel: object, messages: Sequence[Sent], _within: float) -> list[Exception | None]:
    return [ValueError("refused") for _ in messages]


def test_what_has_been_tried_comes_by_itself_and_the_likeliest_culprit_last() -> None:
    fresh, another, once, twice = (delivery(headers={"x-delivery-count": tried}) for tried in (0, 0, 1, 2))
    assert list(by_risk([twice, fresh, once, another])) == [[fresh, another], [once], [twice]]
    assert list(by_risk([once])) == [[once]]


@pytest.mark.parametrize(("reconnect", "repaired"), [(3600, False), (-1, True)], ids=["at once", "a while later"])
async def test_what_lacks_is_declared_once_it_has_lacked_for_a_while(
    channel: AsyncMock, monkeypatch: pytest.MonkeyPatch, reconnect: float, repaired: bool
) -> None:
    returned = PublishError.__new__(PublishError)  # which is made of frames
    monkeypatch.setattr(confirms, "publish", AsyncMock(return_value=[returned]))
    rabbitmq = RabbitMQ("amqp://", QUEUES, name="test", timings=BrokerTimings(reconnect=reconnect))
    await rabbitmq.publish([FOUND])
    declared = channel.declare_queue.await_count
    (error,) = await rabbitmq.publish([FOUND])
    assert isinstance(error, PublishError)
    assert (channel.declare_queue.await_count > declared) == repaired
    await rabbitmq.close()


async def test_a_dead_letter_that_somebody_else_has_taken_meanwhile_ends_the_list(
    channel: AsyncMock, underlay: AsyncMock
) -> None:
    dead_queue(channel, underlay, delivery())
    letters = await RabbitMQ("amqp://", QUEUES, name="test").list(FIRST.name)
    assert letters == [DeadLetter(FIRST.name, FOUND.id, FOUND.routing_key, "delivery limit")]


async def test_a_letter_from_elsewhere_has_no_event(channel: AsyncMock, underlay: AsyncMock) -> None:
    found = delivery(
        message_id="nonsense", headers={"x-error": "invalid", "x-attempts": "many", "x-delivery-count": "few"}
    )
    dead_queue(channel, underlay, found)
    (letter,) = await RabbitMQ("amqp://", QUEUES, name="test").list(FIRST.name)
    assert (letter.event_id, letter.error) == (UUID(int=0), "invalid")
    assert (to_message(found).attempts, tries(found)) == (0, 0)


async def test_a_replay_that_the_broker_refuses_keeps_the_letter(
    channel: AsyncMock, underlay: AsyncMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead_queue(channel, underlay, delivery())
    monkeypatch.setattr(confirms, "publish", refuse)
    with pytest.raises(ValueError, match="refused"):
        await RabbitMQ("amqp://", QUEUES, name="test").replay(FIRST.name)
    underlay.basic_ack.assert_not_awaited()


async def test_a_connection_that_is_given_up_is_an_error_and_no_cancellation(channel: AsyncMock) -> None:
    channel.get_underlay_channel.side_effect = ConnectionError
    (error,) = await RabbitMQ("amqp://", QUEUES, name="test").publish([FOUND])
    assert isinstance(error, ConnectionError)
    assert await RabbitMQ("amqp://", QUEUES, name="test").publish([]) == []


async def test_a_connection_that_is_given_up_while_it_opens_is_an_error_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aio_pika, "connect", AsyncMock(side_effect=asyncio.CancelledError))
    with pytest.raises(ConnectionError):
        await RabbitMQ("amqp://", QUEUES, name="test").publish([FOUND])


async def test_our_own_cancellation_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    opening = AsyncMock(side_effect=never)
    monkeypatch.setattr(aio_pika, "connect", opening)
    task = asyncio.create_task(RabbitMQ("amqp://", QUEUES, name="test").publish([FOUND]))
    await until(lambda: opening.await_count, what="it waits for a connection")
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


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


async def test_what_the_delay_queue_does_not_take_goes_back_to_its_own(
    channel: AsyncMock, underlay: AsyncMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hand_over(_queue: str, arrive: Callable[[DeliveredMessage], Awaitable[None]]) -> Mock:
        for tag in (1, 2, 3):
            await arrive(delivery(tag))
        return Mock(consumer_tag="tag")

    assert channel.close_callbacks == set()
    underlay.basic_consume.side_effect = hand_over
    monkeypatch.setattr(confirms, "publish", refuse)
    done = Outcome(Verdict.done)
    retry = AsyncMock(return_value=[done, Outcome(Verdict.retry, "too early"), done])
    consumer = Mock(spec=Consumer, queue=FIRST, activity=Activity(), process=retry)
    task = asyncio.create_task(RabbitMQ("amqp://", QUEUES, name="test").consume(consumer))
    await until(lambda: underlay.basic_ack.await_count, what="the others to be acknowledged")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert underlay.basic_reject.await_args_list[0] == call(2, requeue=True, wait=False)
    assert underlay.basic_ack.await_args_list[0] == call(3, True, wait=False)


async def test_what_is_stale_is_the_broker_s_again(channel: AsyncMock, underlay: AsyncMock) -> None:
    async def hand_over(_queue: str, arrive: Callable[[DeliveredMessage], Awaitable[None]]) -> Mock:
        await arrive(delivery())
        return Mock(consumer_tag="tag")

    underlay.basic_consume.side_effect = hand_over
    underlay.basic_ack.side_effect = ChannelInvalidStateError
    process = AsyncMock(return_value=[Outcome(Verdict.done)])
    consumer = Mock(spec=Consumer, queue=FIRST, activity=Activity(), process=process)
    task = asyncio.create_task(RabbitMQ("amqp://", QUEUES, name="test").consume(consumer))
    await until(lambda: process.await_count > 1, what="the consumer to go on")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert channel.set_qos.await_args_list[-1] == call(prefetch_count=PREFETCH)


@given(st.lists(st.integers(1, 50), unique=True).map(sorted), st.data())
def test_acknowledgements_cover_what_is_settled_and_nothing_else(held: list[int], data: st.DataObject) -> None:
    settled = data.draw(st.sets(st.sampled_from(held))) if held else set()
    unacknowledged = list(held)
    sent = acknowledgements(held, settled)
    for tag, multiple in sent:
        assert tag in unacknowledged
        unacknowledged = [other for other in unacknowledged if (other > tag if multiple else other != tag)]
    assert unacknowledged == [tag for tag in held if tag not in settled]
    if settled == set(held):
        assert len(sent) <= 1
