"""What the broker has to hold, declared by whoever may.

A service declares the queues of its own. Where the broker knows no rights (a developer's, a test's) whoever comes first
declares all of them; where it does, an event for a queue that is missing waits in its outbox for the queue's owner.
"""

from collections.abc import Iterable
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import ChannelClosed, ChannelNotFoundEntity, ChannelPreconditionFailed

from shared.messaging.topology import EXCHANGE, Part, Queue


class Declaration:
    """The exchange, the queues and their bindings, as `service` sees them.

    It remembers what the broker has answered: whose queues are not ours to declare, and which are still as the version
    before declared them.
    """

    def __init__(self, queues: Iterable[Queue], service: str) -> None:
        table = tuple(queues)
        self._own = [queue for queue in table if queue.service == service]
        self._others = [queue for queue in table if queue.service != service]
        self._former: set[str] = set()

    async def make(self, connection: AbstractConnection) -> None:
        """Declare what is missing. Raises ChannelPreconditionFailed where a queue has arguments that are not ours."""
        if not self._own and not self._others:
            return
        channels = _Channels(connection)
        try:
            # Asked for first: to declare what is there takes the right to delete it.
            await (await channels.open()).declare_exchange(EXCHANGE, passive=True)
        except ChannelNotFoundEntity:
            await (await channels.open()).declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
        await self._declare(channels, self._own)
        try:
            await self._declare(channels, self._others)
        except ChannelPreconditionFailed:
            raise
        except ChannelClosed:
            # Not ours to declare here, nor at the next connection.
            self._others = []
        await (await channels.open()).close()

    async def bind(self, connection: AbstractConnection) -> None:
        """Bind our own queues again. Raises ChannelNotFoundEntity where one is missing: declared at once it might be
        there before the broker has told its consumers that it was gone."""
        channel = await connection.channel()
        for part in (part for queue in self._own for part in queue.parts()):
            queue = await channel.get_queue(part.name, ensure=False)
            for key in part.keys:
                await queue.bind(EXCHANGE, key)
        await channel.close()

    async def _declare(self, channels: "_Channels", queues: Iterable[Queue]) -> None:
        for part in (part for queue in queues for part in queue.parts()):
            if part.name not in self._former:
                try:
                    await _declare_part(await channels.open(), part, part.arguments)
                    continue
                except ChannelPreconditionFailed:
                    self._former.add(part.name)
            try:
                await _declare_part(await channels.open(), part, part.former)
            except ChannelPreconditionFailed:
                self._former.discard(part.name)
                raise


class _Channels:
    """A channel at a time: the broker closes one over whatever it refuses."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self._channel: AbstractChannel | None = None

    async def open(self) -> AbstractChannel:
        if self._channel is None or self._channel.is_closed:
            self._channel = await self._connection.channel()
        return self._channel


async def _declare_part(channel: AbstractChannel, part: Part, arguments: dict[str, Any]) -> None:
    queue = await channel.declare_queue(part.name, durable=True, arguments=arguments)
    for key in part.keys:
        await queue.bind(EXCHANGE, key)
