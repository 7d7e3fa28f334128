"""The one wrapper around every handler: parse -> transaction -> inbox row -> handler -> commit -> settle.

A transport hands over deliveries and gets one verdict for each; how a verdict becomes an acknowledgement, a delayed
redelivery or a dead letter is the transport's affair.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from shared.errors import Unavailable
from shared.messaging.events import E, Envelope, EnvelopeOf, Event, Message, Received
from shared.messaging.health import Activity
from shared.messaging.tables import InboxMessage
from shared.messaging.topology import Queue, event_key
from shared.messaging.tracing import consuming
from shared.observability.metrics import EVENT_AGE, MESSAGES
from shared.observability.telemetry import bind_trace, get_logger
from shared.persistence.bulk import BulkInsert
from shared.persistence.cipher import DecryptionFailed
from shared.persistence.db import Database, is_outage

log = get_logger(__name__)

Handler = Callable[[Any, AsyncSession, Sequence[Any]], Awaitable[None]]


class PredecessorMissing(Exception):
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
    """Which handlers serve a queue. A handler gets all of a batch's events of its type, in the order of arrival."""

    queue: Queue
    handlers: Mapping[type[Event], Handler]


DONE = Outcome(Verdict.done)

_INBOX = BulkInsert(InboxMessage, ("queue", "event_id"), on_conflict="DO NOTHING", returning=("event_id",))


class Consumer:
    """Runs a subscription's handlers with a service's container as their first argument."""

    def __init__(self, subscription: Subscription, container: Any, database: Database) -> None:
        self.queue = subscription.queue
        self._handlers = {event.routing_key(): (event, handler) for event, handler in subscription.handlers.items()}
        self._envelopes = {event.routing_key(): EnvelopeOf[event] for event in subscription.handlers}  # type: ignore[valid-type]
        self._container = container
        self.database = database
        self.activity = Activity()

    async def process(self, messages: Sequence[Message]) -> list[Outcome]:
        """Take effect of every message once. A batch is one transaction; if that fails, each message gets its own."""
        parsed = [self._parse(message) for message in messages]
        good = {
            entry.id: (entry, message.attempts)
            for entry, message in zip(parsed, messages, strict=True)
            if isinstance(entry, Received)
        }
        tried = await self._attempt(good)
        outcomes = [entry if isinstance(entry, Outcome) else tried[entry.id] for entry in parsed]
        for verdict, count in Counter(outcome.verdict for outcome in outcomes).items():
            MESSAGES.labels(self.queue.name, verdict).inc(count)
        return outcomes

    async def _attempt(self, good: Mapping[UUID, tuple[Received[Any], int]]) -> dict[UUID, Outcome]:
        if not good:
            return {}
        try:
            await self._handle([received for received, _ in good.values()])
        except Exception as error:
            if is_outage(error) or isinstance(error, Unavailable):
                # No message is to blame, and to try each would take as long as all their time-outs.
                name = type(error).__name__
                log.warning("consumer.unavailable", queue=self.queue.name, error=name)
                return dict.fromkeys(good, Outcome(Verdict.retry, name, counted=False))
            if len(good) == 1:
                return {event_id: self._classify(error, attempts) for event_id, (_, attempts) in good.items()}
            outcomes: dict[UUID, Outcome] = {}
            for event_id, entry in good.items():
                outcomes |= await self._attempt({event_id: entry})
            return outcomes
        return dict.fromkeys(good, DONE)

    def _parse(self, message: Message) -> Received[Any] | Outcome:
        """Read it as what the transport says that it is; where that is not so, the envelope's word counts."""
        key = event_key(message.routing_key)
        if key in self._envelopes:
            with suppress(ValidationError):
                envelope = self._envelopes[key].model_validate_json(message.body)
                if envelope.routing_key == key:
                    return Received(envelope.id, envelope.time, envelope.traceparent, envelope.data)
        return self._examine(message)

    def _examine(self, message: Message) -> Received[Any] | Outcome:
        try:
            envelope = Envelope.model_validate_json(message.body)
            contract, _ = self._handlers[envelope.routing_key]
            return Received(envelope.id, envelope.time, envelope.traceparent, contract.model_validate(envelope.data))
        except KeyError:
            return self._dead("unknown event type")
        except ValidationError as error:
            fields = sorted({".".join(map(str, item["loc"])) for item in error.errors(include_input=False)})
            return self._dead(f"invalid: {', '.join(fields) or 'not an envelope'}")

    async def _handle(self, messages: Sequence[Received[Any]]) -> None:
        with consuming(self.queue, messages) as received:
            async with self.database.transaction() as session:
                fresh = await self._remember(session, received)
                batches: defaultdict[type[Event], list[Received[Any]]] = defaultdict(list)
                for item in fresh:
                    batches[type(item.event)].append(item)
                for contract, batch in batches.items():
                    _, handler = self._handlers[contract.routing_key()]
                    await handler(self._container, session, batch)
            oldest = min(item.time for item in received)
            EVENT_AGE.labels(self.queue.name).observe(max(0.0, time.time() - oldest.timestamp()))

    async def _remember(self, session: AsyncSession, received: Sequence[Received[Any]]) -> list[Received[Any]]:
        # Sorted, so that two consumers with the same events in their batches wait for each other and do not deadlock.
        rows = [(self.queue.name, event_id) for event_id in sorted(item.id for item in received)]
        new = {row.event_id for row in await _INBOX.write_async(session, rows)}
        return [item for item in received if item.id in new]

    def _classify(self, error: Exception, attempts: int) -> Outcome:
        name = type(error).__name__
        if isinstance(error, DecryptionFailed):
            return self._dead(name)
        if attempts + 1 >= self.queue.max_attempts:
            return self._dead(f"{name} after {attempts + 1} attempts")
        log.warning("consumer.retry", queue=self.queue.name, error=name, attempts=attempts)
        return Outcome(Verdict.retry, name)

    def _dead(self, error: str) -> Outcome:
        log.error("consumer.dead", queue=self.queue.name, error=error)
        return Outcome(Verdict.dead, error)


def traced(batch: Sequence[Received[E]]) -> Iterator[Received[E]]:
    """Iterate a batch with each event's own trace context in force."""
    for received in batch:
        bind_trace(received.traceparent)
        yield received
