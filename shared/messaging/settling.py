"""Turns deliveries into verdicts and those into acknowledgements: one subscription on RabbitMQ.

Nothing is acknowledged that is not settled: its effect is committed, or another queue has confirmed a copy of it.
"""

import asyncio
from collections.abc import Collection, Coroutine, Sequence
from contextlib import suppress
from typing import Any, cast

import aiormq
from aio_pika.abc import AbstractChannel
from aiormq.abc import DeliveredMessage
from aiormq.exceptions import ChannelInvalidStateError

from shared.loops import heed_cancellation
from shared.messaging import confirms
from shared.messaging.amqp import by_risk, properties_of, tag_of, to_message, tries
from shared.messaging.confirms import Sent
from shared.messaging.consumer import Consumer, Outcome, Verdict
from shared.messaging.topology import Queue

# So many make one transaction; as many again come meanwhile.
BATCH = 200
PREFETCH = 2 * BATCH


class Intake:
    """Gives a consumer what its queue holds, on a channel of its own. Times are in seconds: `publish` for a copy to be
    confirmed, `stop_grace` for a batch in hand when it is stopped."""

    def __init__(self, consumer: Consumer, channel: AbstractChannel, *, publish: float, stop_grace: float) -> None:
        self._consumer = consumer
        self._channel = channel
        self._publish = publish
        self._stop_grace = stop_grace
        self._arrived: asyncio.Queue[DeliveredMessage | None] = asyncio.Queue()

    async def run(self) -> None:
        """Go on until cancelled. Raises ConnectionError when the subscription ends."""
        underlay = cast(aiormq.Channel, await self._channel.get_underlay_channel())
        self._channel.close_callbacks.add(self._lose)
        underlay.on_consumer_cancel_callbacks.add(self._lose)
        # A message that crashes this process takes all unacknowledged ones along towards the delivery limit. So one
        # at a time, until the broker has given us one that nobody has tried before.
        await self._channel.set_qos(prefetch_count=1)
        probation = (await underlay.basic_consume(self._consumer.queue.name, self._arrive)).consumer_tag
        trusted = False
        with self._consumer.activity.subscription(self._lose):
            while True:
                heed_cancellation()
                batch = await self._next()
                with self._consumer.activity.batch():
                    await self._finish(self._handle(underlay, batch))
                if not trusted and not any(map(tries, batch)):
                    trusted = True
                    await underlay.basic_cancel(str(probation))
                    await self._channel.set_qos(prefetch_count=PREFETCH)
                    await underlay.basic_consume(self._consumer.queue.name, self._arrive)

    async def _arrive(self, delivery: DeliveredMessage) -> None:
        self._arrived.put_nowait(delivery)

    def _lose(self, *_: object) -> None:
        self._arrived.put_nowait(None)

    async def _next(self) -> list[DeliveredMessage]:
        batch = [await self._arrived.get()]
        while len(batch) < BATCH and not self._arrived.empty():
            batch.append(self._arrived.get_nowait())
        held = [delivery for delivery in batch if delivery is not None]
        if len(held) < len(batch):
            raise ConnectionError("the broker ended the subscription")
        return held

    async def _finish(self, work: Coroutine[Any, Any, None]) -> None:
        """A batch in hand is finished even when its consumer is stopped, for a while."""
        task = asyncio.create_task(work)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task], timeout=self._stop_grace)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise

    async def _handle(self, channel: aiormq.Channel, batch: Sequence[DeliveredMessage]) -> None:
        held = [tag_of(delivery) for delivery in batch]
        for part in by_risk(batch):
            outcomes = await self._consumer.process([to_message(delivery) for delivery in part])
            returned = await self._pass_on(part, outcomes)
            settled = {tag_of(delivery) for delivery in part} - returned
            # A stale delivery cannot be settled any more: the broker sends it again and the inbox absorbs it.
            with suppress(ChannelInvalidStateError):
                for tag in returned:
                    await channel.basic_reject(tag, requeue=True, wait=False)
                held = [tag for tag in held if tag not in returned]
                for tag, multiple in acknowledgements(held, settled):
                    await channel.basic_ack(tag, multiple, wait=False)
            held = [tag for tag in held if tag not in settled]

    async def _pass_on(self, part: Sequence[DeliveredMessage], outcomes: Sequence[Outcome]) -> set[int]:
        """Send what is not done to where it waits or lies; gives the tags of what did not get there."""
        pairs = zip(part, outcomes, strict=True)
        undone = [(delivery, outcome) for delivery, outcome in pairs if outcome.verdict is not Verdict.done]
        if not undone:
            return set()
        copies = [_copy(self._consumer.queue, delivery, outcome) for delivery, outcome in undone]
        errors = await confirms.publish(self._channel, copies, self._publish)
        return {tag_of(delivery) for (delivery, _), error in zip(undone, errors, strict=True) if error is not None}


def acknowledgements(held: Sequence[int], settled: Collection[int]) -> list[tuple[int, bool]]:
    """Give the fewest acknowledgements of all that is `settled` and nothing else, as tags with or without all before.

    `held` are the tags that are not acknowledged yet, oldest first.
    """
    count = next((place for place, tag in enumerate(held) if tag not in settled), len(held))
    beginning = [(held[count - 1], count > 1)] if count else []
    return beginning + [(tag, False) for tag in held[count:] if tag in settled]


def _copy(queue: Queue, delivery: DeliveredMessage, outcome: Outcome) -> Sent:
    message = to_message(delivery)
    retry = outcome.verdict is Verdict.retry
    attempts = message.attempts + int(retry and outcome.counted)
    properties = properties_of(message, {"x-attempts": attempts, "x-error": outcome.error})
    return Sent([queue.retry if retry else queue.dead], properties, message.body)
