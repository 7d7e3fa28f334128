"""`add` is the only way to publish: a row on the caller's session, committed or rolled back with its effects."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from shared.messaging.events import MAX_ENVELOPE_BYTES, Event, write
from shared.messaging.tables import OutboxMessage
from shared.messaging.topology import Queue
from shared.persistence.bulk import BulkInsert
from shared.persistence.db import after_commit

_ROWS = BulkInsert(OutboxMessage, ("event_id", "routing_key", "envelope"))


class Outbox:
    """The outbox of one service, named as the source of its events. `listeners` are announced to from the beginning."""

    def __init__(self, service: str, *listeners: Callable[[], object]) -> None:
        self.service = service
        self._listeners = list(listeners)

    @contextmanager
    def announced_to(self, listener: Callable[[], object]) -> Iterator[None]:
        """Call `listener` after every commit that wrote rows through this object, in whatever thread commits, for as
        long as the block lasts."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def add(
        self, session: AsyncSession | Session, events: Event | Iterable[Event], at: datetime, *, to: Queue | None = None
    ) -> list[UUID]:
        """Write events that happened `at` this time, for all who hear them or for one queue: with the commit, by one
        statement for all of a transaction. Talks to nobody. Returns their ids.

        Raises ValueError for an event over 256 KiB.
        """
        rows = []
        for event in [events] if isinstance(events, Event) else events:
            event_id = uuid4()
            envelope = write(event, self.service, at, event_id)
            if len(envelope) > MAX_ENVELOPE_BYTES:
                raise ValueError(f"{event.type} is over {MAX_ENVELOPE_BYTES} bytes")
            key = to.address(event.routing_key()) if to else event.routing_key()
            rows.append((event_id, key, envelope.decode()))
        if rows:
            _ROWS.write_at_commit(session, rows)
            after_commit(session, self._announce)
        return [row[0] for row in rows]

    def _announce(self) -> None:
        for listener in tuple(self._listeners):
            listener()
