"""The one wrapper around every handler: parse -> transaction -> inbox row -> handler -> commit -> settle.

A transport hands over deliveries and gets one verdict for each; how a verdict becomes an acknowledgement, a delayed
redelivery or a dead letter is the transport's affair.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from typing import Any

from pydantic import ValidationError
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.db import Database, is_transient
from shared.errors import Unavailable
from shared.messaging.events import E, Envelope, Event, Message, Received
from shared.messaging.topology import MAX_ATTEMPTS, Queue
from shared.privacy import Undecipherable
from shared.tables import InboxRow
from shared.telemetry import bind_trace, get_logger

log = get_logger(__name__)

Handler = Callable[[Any, AsyncSession, Sequence[Any]], Awaitable[None]]


class TooEarly(Exception):  # noqa: N818
    """The event's predecessor has not arrived yet: try again later."""


class Verdict(StrEnum):
    done = "done"
    retry = "retry"
    dead = "dead"


@dataclass(frozen=True)
class Outcome:
    """`counted` tells whether a retry uses up one of the message's attempts (an outage of ours does not)."""

    verdict: Verdict
    error: str = ""
    counted: bool = True


@dataclass(frozen=True)
class Subscription:
    """Which handlers serve a queue. `committed` runs after every batch that changed something."""

    queue: Queue
    handlers: Mapping[type[Event], Handler]
    committed: Callable[[Any], Awaitable[None]] | None = field(default=None)


DONE = Outcome(Verdict.done)


class Consumer:
    """Runs a subscription's handlers with a service's container as their first argument."""

    def __init__(self, subscription: Subscription, container: Any, database: Database) -> None:
        self.queue = subscription.queue
        self._handlers = {event.routing_key(): (event, handler) for event, handler in subscription.handlers.items()}
        self._committed = subscription.committed
        self._container = container
        self.database = database

    async def process(self, messages: Sequence[Message]) -> list[Outcome]:
        """Take effect of every message once. A batch is one transaction; if that fails, each message gets its own."""
        parsed = [self._parse(message) for message in messages]
        good = [received for received in parsed if isinstance(received, Received)]
        outcomes = await self._attempt(messages, parsed, good)
        return [entry if isinstance(entry, Outcome) else outcomes[entry.id] for entry in parsed]

    async def _attempt(
        self, messages: Sequence[Message], parsed: Sequence[Received[Any] | Outcome], good: list[Received[Any]]
    ) -> dict[Any, Outcome]:
        if not good:
            return {}
        try:
            await self._handle(good)
        except Exception as error:
            if len(good) == 1:
                attempts = next(m.attempts for m, p in zip(messages, parsed, strict=True) if p is good[0])
                return {good[0].id: self._classify(error, attempts)}
            outcomes: dict[Any, Outcome] = {}
            for received in good:
                outcomes |= await self._attempt(messages, parsed, [received])
            return outcomes
        return {received.id: DONE for received in good}

    def _parse(self, message: Message) -> Received[Any] | Outcome:
        try:
            envelope = Envelope.model_validate_json(message.body)
            contract, _ = self._handlers[envelope.routing_key]
            return Received(envelope.id, envelope.time, envelope.traceparent, contract.model_validate(envelope.data))
        except KeyError:
            return Outcome(Verdict.dead, "unknown event type")
        except ValidationError as error:
            fields = sorted({".".join(map(str, item["loc"])) for item in error.errors(include_input=False)})
            return Outcome(Verdict.dead, f"invalid: {', '.join(fields)}")

    async def _handle(self, received: Sequence[Received[Any]]) -> None:
        async with self.database.transaction() as session:
            fresh = await self._remember(session, received)
            for contract, batch in groupby(fresh, key=lambda item: type(item.event)):
                _, handler = self._handlers[contract.routing_key()]
                await handler(self._container, session, list(batch))
        if fresh and self._committed is not None:
            await self._committed(self._container)

    async def _remember(self, session: AsyncSession, received: Sequence[Received[Any]]) -> list[Received[Any]]:
        unique = {item.id: item for item in received}
        rows = [{"queue": self.queue.name, "event_id": event_id} for event_id in sorted(unique)]
        statement = insert(InboxRow).on_conflict_do_nothing().returning(InboxRow.event_id)
        new = set((await session.scalars(statement, rows)).all())
        return [item for event_id, item in unique.items() if event_id in new]

    def _classify(self, error: Exception, attempts: int) -> Outcome:
        name = type(error).__name__
        if isinstance(error, Undecipherable):
            return Outcome(Verdict.dead, name)
        if is_transient(error) or isinstance(error, Unavailable):
            log.warning("consumer.unavailable", queue=self.queue.name, error=name)
            return Outcome(Verdict.retry, name, counted=False)
        if attempts + 1 >= MAX_ATTEMPTS:
            log.error("consumer.dead", queue=self.queue.name, error=name)
            return Outcome(Verdict.dead, f"{name} after {attempts + 1} attempts")
        log.warning("consumer.retry", queue=self.queue.name, error=name, attempts=attempts)
        return Outcome(Verdict.retry, name)


def traced(batch: Sequence[Received[E]]) -> Iterator[Received[E]]:
    """Iterate a batch with each event's own trace context in force."""
    for received in batch:
        bind_trace(received.traceparent)
        yield received
