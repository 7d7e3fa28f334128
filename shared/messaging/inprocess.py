"""The in-process bus of the embedded run: same outbox, same inbox, same handlers, no broker.

`publish` returns when every handler has committed or given up. A message that has to wait stays in the sender's outbox,
which is therefore the delay queue; a message that cannot be handled goes to the receiver's dead_letters table.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from shared.messaging.consumer import Consumer, Verdict
from shared.messaging.dead_letters import DeadLetter
from shared.messaging.events import Message
from shared.messaging.tables import StoredDeadLetter
from shared.messaging.topology import event_key


class Unroutable(Exception):
    """No queue is bound to the message's routing key."""


class Deferred(Exception):
    """A handler asked for the message to come again later."""


class InProcessBus:
    """Publisher and dead-letter store in one, for all `consumers` of the process."""

    def __init__(self, consumers: Iterable[Consumer]) -> None:
        self._consumers = {consumer.queue.name: consumer for consumer in consumers}
        # By queue, as each has handlers of its own; a restart begins the count anew, and nothing else.
        self._attempts: Counter[tuple[str, UUID]] = Counter()

    async def publish(self, messages: Sequence[Message]) -> list[Exception | None]:
        results: dict[int, Exception | None] = {
            position: Unroutable(message.routing_key) for position, message in enumerate(messages)
        }
        for consumer in self._consumers.values():
            name = consumer.queue.name
            bound = [position for position, message in enumerate(messages) if consumer.queue.hears(message.routing_key)]
            if not bound:
                continue
            batch = [
                replace(messages[position], attempts=self._attempts[name, messages[position].id]) for position in bound
            ]
            outcomes = await consumer.process(batch)
            for position, message, outcome in zip(bound, batch, outcomes, strict=True):
                if outcome.verdict is Verdict.retry:
                    self._attempts[name, message.id] += int(outcome.counted)
                    results[position] = Deferred(outcome.error)
                    continue
                if outcome.verdict is Verdict.dead:
                    await self._dead_letter(consumer, message, outcome.error)
                del self._attempts[name, message.id]
                if isinstance(results[position], Unroutable):
                    results[position] = None
        return list(results.values())

    async def list(self, queue: str) -> Sequence[DeadLetter]:
        async with self._consumers[queue].database.transaction() as session:
            statement = (
                sa.select(StoredDeadLetter).where(StoredDeadLetter.queue == queue).order_by(StoredDeadLetter.dead_at)
            )
            rows = await session.scalars(statement)
            return [DeadLetter(queue, row.event_id, row.routing_key, row.error) for row in rows]

    async def replay(self, queue: str, event_id: UUID | None = None) -> int:
        consumer = self._consumers[queue]
        chosen = sa.select(StoredDeadLetter).where(StoredDeadLetter.queue == queue).order_by(StoredDeadLetter.dead_at)
        if event_id is not None:
            chosen = chosen.where(StoredDeadLetter.event_id == event_id)
        async with consumer.database.transaction() as session:
            rows = (await session.scalars(chosen)).all()
        messages = [Message(row.event_id, row.routing_key, row.envelope.encode()) for row in rows]
        outcomes = await consumer.process(messages)
        done = [
            message.id for message, outcome in zip(messages, outcomes, strict=True) if outcome.verdict is Verdict.done
        ]
        # After the effects: a crash in between leaves letters that the inbox will absorb.
        async with consumer.database.transaction() as session:
            await session.execute(
                sa.delete(StoredDeadLetter).where(StoredDeadLetter.queue == queue, StoredDeadLetter.event_id.in_(done))
            )
        return len(messages)

    async def _dead_letter(self, consumer: Consumer, message: Message, error: str) -> None:
        row = {
            "queue": consumer.queue.name,
            "event_id": message.id,
            "routing_key": event_key(message.routing_key),
            "envelope": message.body.decode(errors="replace").replace("\0", ""),
            "error": error,
        }
        async with consumer.database.transaction() as session:
            await session.execute(insert(StoredDeadLetter).values(row).on_conflict_do_nothing())
