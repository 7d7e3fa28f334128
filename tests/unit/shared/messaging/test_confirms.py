"""Many messages in one write, and what becomes of each."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pamqp.frame
import pytest
from aiormq.abc import ChannelFrame
from aiormq.exceptions import PublishError
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from shared.messaging import confirms
from shared.messaging.amqp import properties_of
from shared.messaging.confirms import Sent
from tests.support.backbone import Pinged
from tests.support.events import message
from tests.support.wait import until


class Underlay:
    """The part of aiormq's channel that is used; `sent` are the payloads."""

    number = 7
    max_content_size = 100
    delivery_tag = 4

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.write_queue: asyncio.Queue[ChannelFrame] = asyncio.Queue(maxsize=1)
        self.confirmations: dict[int, asyncio.Future[Any]] = {}
        self.message_id_delivery_tag: dict[str, int] = {}

        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def closing(self) -> asyncio.Future[None]:
        """Of its own for whoever asks, as aiormq's."""
        observer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed.add_done_callback(lambda _: observer.set_result(None))
        return observer


@pytest.fixture
async def underlay() -> Underlay:
    return Underlay()


def sent(name: str, *keys: str, body: bytes | None = None) -> Sent:
    found = message(Pinged(name=name))
    return Sent(keys, properties_of(found), found.body if body is None else body)


async def start(
    underlay: Underlay, messages: Sequence[Sent], within: float = 60
) -> asyncio.Task[list[Exception | None]]:
    channel: Any = SimpleNamespace(get_underlay_channel=AsyncMock(return_value=underlay))
    task = asyncio.create_task(confirms.publish(channel, messages, within))
    await until(lambda: underlay.confirmations or task.done(), what="all of it sent")
    return task


def frames(payload: bytes) -> list[Any]:
    found = []
    while payload:
        length, number, frame = pamqp.frame.unmarshal(payload)
        assert number == Underlay.number
        found.append(frame)
        payload = payload[length:]
    return found


async def test_goes_out_in_one_write_each_body_in_parts_of_what_a_frame_takes(underlay: Underlay) -> None:
    body = bytes(range(250))
    task = await start(underlay, [sent("a", "first", "second", body=body), sent("b", "third", body=b"")])
    (frame,) = [underlay.write_queue.get_nowait()]
    found = frames(frame.payload)
    kinds = [Basic.Publish, ContentHeader, ContentBody, ContentBody, ContentBody]
    assert [type(each) for each in found] == [*kinds, *kinds, Basic.Publish, ContentHeader]
    published = [each for each in found if isinstance(each, Basic.Publish)]
    assert [(each.exchange, each.routing_key, each.mandatory) for each in published] == [
        ("ganzheng.events", key, True) for key in ("first", "second", "third")
    ]
    assert b"".join(each.value for each in found[2:5]) == body
    assert list(underlay.confirmations) == [5, 6, 7]
    assert underlay.delivery_tag == 7
    for confirm in underlay.confirmations.values():
        confirm.set_result(Basic.Ack())
    assert await task == [None, None]
    assert underlay.message_id_delivery_tag == {}


async def test_each_message_has_the_first_error_of_its_keys(underlay: Underlay) -> None:
    returned = PublishError.__new__(PublishError)  # which is made of frames
    task = await start(underlay, [sent("safe", "k"), sent("returned", "k", "l", "m")])
    safe, first, second, third = underlay.confirmations.values()
    for confirm in (safe, first):
        confirm.set_result(Basic.Ack())
    second.set_exception(returned)
    third.set_exception(ValueError("no place is looked at twice"))
    assert await task == [None, returned]


async def test_nobody_waits_for_the_confirms_of_a_channel_that_is_closed(underlay: Underlay) -> None:
    task = await start(underlay, [sent("confirmed", "k"), sent("lost", "k")])
    underlay.confirmations[5].set_result(Basic.Ack())
    underlay.closed.set_result(None)
    confirmed, lost = await task
    assert confirmed is None
    assert isinstance(lost, ConnectionError)


async def test_what_is_not_confirmed_in_time_stays_on_the_channel_s_record(underlay: Underlay) -> None:
    task = await start(underlay, [sent("a", "k")], within=0.01)
    (error,) = await task
    assert isinstance(error, TimeoutError)
    assert underlay.confirmations[5].cancelled()


async def test_what_cannot_be_sent_is_not_expected(underlay: Underlay) -> None:
    underlay.write_queue.put_nowait(ChannelFrame(payload=b"", should_close=False))
    errors = await (await start(underlay, [sent("a", "k"), sent("b", "k")], within=0.01))
    assert [type(error) for error in errors] == [TimeoutError, TimeoutError]
    assert (underlay.confirmations, underlay.delivery_tag) == ({}, 4)


async def test_the_same_message_twice_is_returned_as_its_last_copy(underlay: Underlay) -> None:
    twin = sent("a", "k")
    task = await start(underlay, [twin, twin])
    assert underlay.message_id_delivery_tag == {twin.properties.message_id: 6}
    for confirm in underlay.confirmations.values():
        confirm.set_result(Basic.Ack())
    assert await task == [None, None]
    assert underlay.message_id_delivery_tag == {}


async def test_nothing_is_nothing(underlay: Underlay) -> None:
    assert await (await start(underlay, [])) == []
