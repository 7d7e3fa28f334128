"""Publishing many messages in one go: all in one write, and then nothing but their confirms is waited for.

aio-pika takes each message by itself, with a task, time limits and frames of its own, and waits for the socket after
each. Who confirms, returns or refuses what stays aiormq's affair: this enters what it has sent into the channel's own
record of it (`confirmations`, `message_id_delivery_tag`).
"""

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple, cast

import aiormq
import pamqp.frame
from aio_pika.abc import AbstractChannel
from aiormq.abc import ChannelFrame
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from shared.messaging.topology import EXCHANGE

_Confirm = asyncio.Future[Any]


class Sent(NamedTuple):
    """A message, and the keys to send it under. Its `properties` have a message id."""

    keys: Sequence[str]
    properties: Basic.Properties
    body: bytes


async def publish(channel: AbstractChannel, messages: Sequence[Sent], within: float) -> list[Exception | None]:
    """Publish to our exchange, each message under all of its keys, each of which must lead to a queue.

    The answer has one place per message: None means that the broker has it safely under every key, else it is what
    went wrong. What has no confirm after `within` seconds is a TimeoutError, and may come late.
    """
    deadline = asyncio.get_running_loop().time() + within
    try:
        async with asyncio.timeout_at(deadline):
            confirms = await _send(channel, messages)
    except Exception as error:
        return [error for _ in messages]
    if every := [confirm for own in confirms for confirm in own]:
        await asyncio.wait(every, timeout=deadline - asyncio.get_running_loop().time())
    return [next(filter(None, map(_error, own)), None) for own in confirms]


async def _send(channel: AbstractChannel, messages: Sequence[Sent]) -> list[list[_Confirm]]:
    underlay = cast(aiormq.Channel, await channel.get_underlay_channel())
    frames = []
    for keys, properties, body in messages:
        content = _content(underlay, properties, body)
        for key in keys:
            frames += [_heading(underlay.number, key), content]
    async with underlay.lock:
        await underlay.write_queue.put(ChannelFrame(payload=b"".join(frames), should_close=False))
        # In the order of what was written, and before anything that the broker answers is read.
        return [[_expect(underlay, properties) for _ in keys] for keys, properties, _ in messages]


@lru_cache(maxsize=1024)
def _heading(channel_number: int, key: str) -> bytes:
    return pamqp.frame.marshal(Basic.Publish(exchange=EXCHANGE, routing_key=key, mandatory=True), channel_number)


def _content(channel: aiormq.Channel, properties: Basic.Properties, body: bytes) -> bytes:
    header = ContentHeader(properties=properties, body_size=len(body))
    size = channel.max_content_size
    parts: list[ContentHeader | ContentBody] = [
        ContentBody(body[start : start + size]) for start in range(0, len(body), size)
    ]
    return b"".join([pamqp.frame.marshal(frame, channel.number) for frame in [header, *parts]])


def _expect(channel: aiormq.Channel, properties: Basic.Properties) -> _Confirm:
    """Have the channel note that one more message was sent."""
    channel.delivery_tag += 1
    tag, message_id = channel.delivery_tag, str(properties.message_id)
    confirm = channel.create_future()
    channel.confirmations[tag] = confirm
    channel.message_id_delivery_tag[message_id] = tag

    def forget(_: _Confirm) -> None:
        if channel.message_id_delivery_tag.get(message_id) == tag:
            del channel.message_id_delivery_tag[message_id]

    confirm.add_done_callback(forget)
    return confirm


def _error(confirm: _Confirm) -> Exception | None:
    if not confirm.done():
        # It stays on the channel's record, where a confirm for several counts on finding it.
        confirm.cancel()
        return TimeoutError()
    if confirm.cancelled():
        return ConnectionError("the channel was given up")
    error = confirm.exception()
    return error if error is None or isinstance(error, Exception) else ConnectionError(type(error).__name__)
