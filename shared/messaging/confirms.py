"""Publishing many messages in one go: all in one write, and then nothing but their confirms is waited for.

aio-pika takes each message by itself, with a task, time limits and frames of its own, and waits for the socket after
each. Who confirms, returns or refuses what stays aiormq's affair: this enters what it has sent into the channel's own
record of it (`confirmations`, `message_id_delivery_tag`).
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    confirms: list[list[_Confirm]] = [[loop.create_future() for _ in sent.keys] for sent in messages]
    every = [confirm for own in confirms for confirm in own]
    try:
        async with asyncio.timeout_at(deadline):
            underlay = cast(aiormq.Channel, await channel.get_underlay_channel())
            tags = await _send(underlay, messages, every)
    except Exception as error:
        return [error for _ in messages]
    try:
        with _ending_with(underlay, every):
            if every:
                await asyncio.wait(every, timeout=deadline - loop.time())
    finally:
        _forget(underlay, messages, tags)
    errors = [list(map(_error, own)) for own in confirms]
    return [next(filter(None, own), None) for own in errors]


async def _send(channel: aiormq.Channel, messages: Sequence[Sent], confirms: Sequence[_Confirm]) -> range:
    """Write all of it, and have the channel expect `confirms`; gives the tags under which it does."""
    frames = []
    for keys, properties, body in messages:
        content = _content(channel, properties, body)
        for key in keys:
            frames += [_heading(channel.number, key), content]
    expected = iter(confirms)
    async with channel.lock:
        await channel.write_queue.put(ChannelFrame(payload=b"".join(frames), should_close=False))
        first = channel.delivery_tag + 1
        # In the order of what was written, and before anything that the broker answers is read.
        for keys, properties, _ in messages:
            for _ in keys:
                channel.delivery_tag += 1
                channel.confirmations[channel.delivery_tag] = next(expected)
                channel.message_id_delivery_tag[str(properties.message_id)] = channel.delivery_tag
        return range(first, channel.delivery_tag + 1)


def _forget(channel: aiormq.Channel, messages: Sequence[Sent], tags: range) -> None:
    """Have a message that comes back no longer looked for under these tags."""
    for _, properties, _ in messages:
        if channel.message_id_delivery_tag.get(str(properties.message_id)) in tags:
            del channel.message_id_delivery_tag[str(properties.message_id)]


@contextmanager
def _ending_with(channel: aiormq.Channel, confirms: Sequence[_Confirm]) -> Iterator[None]:
    """Let nobody wait for the confirms of a channel that is closed."""

    def end(_: object) -> None:
        for confirm in confirms:
            if not confirm.done():
                confirm.set_exception(ConnectionError("the channel was closed"))

    closing = channel.closing
    closing.add_done_callback(end)
    try:
        yield
    finally:
        closing.remove_done_callback(end)
        closing.cancel()


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


def _error(confirm: _Confirm) -> Exception | None:
    if not confirm.done():
        # It stays on the channel's record, where a confirm for several counts on finding it.
        confirm.cancel()
        return TimeoutError()
    return cast("Exception | None", confirm.exception())
