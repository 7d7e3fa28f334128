"""The relay moves committed outbox rows to the broker.

A batch is one transaction: its rows are locked, published under the locks, and deleted when they are confirmed. Other
relays pass over what is locked. A relay that dies lets go of its rows with its connection: they are published again,
and the receiver's inbox absorbs it. So its commits need not wait for the disk either.

The relay of 0.1.0, which may run beside this one, commits a lease instead, for as long as which a row is not due.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from shared.loops import heed_cancellation
from shared.messaging.events import Message
from shared.messaging.health import STALL_TIMEOUT, Stalled
from shared.messaging.outbox import Outbox
from shared.messaging.tables import OutboxMessage
from shared.messaging.tracing import note_published
from shared.observability.metrics import PUBLISHED
from shared.observability.telemetry import get_logger
from shared.persistence.db import Database

log = get_logger(__name__)

_DUE = (
    sa.select(OutboxMessage.id, OutboxMessage.event_id, OutboxMessage.routing_key, OutboxMessage.envelope)
    .where(OutboxMessage.due_at <= sa.func.now())
    .order_by(OutboxMessage.due_at, OutboxMessage.id)
    .limit(sa.bindparam("batch"))
    .with_for_update(skip_locked=True)
)
_IDS = OutboxMessage.id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.BigInteger)))
_DELETED = sa.delete(OutboxMessage).where(_IDS)
# Not now(), which is the time of the claim: publishing may have taken longer than the pause.
_NOW = sa.func.statement_timestamp()
_PAUSE = sa.func.least(
    sa.func.make_interval(0, 0, 0, 0, 0, 0, 0.1 * sa.func.power(2, sa.func.least(OutboxMessage.attempts + 1, 10))),
    sa.bindparam("max_backoff", type_=sa.Interval),
)
_PUT_OFF = (
    sa.update(OutboxMessage)
    .where(_IDS)
    .values(lease=None, attempts=OutboxMessage.attempts + 1, due_at=_NOW + _PAUSE)
    .returning(sa.func.extract("epoch", OutboxMessage.due_at - _NOW))
)
_NEED_NOT_WAIT = sa.text("SET LOCAL synchronous_commit = off")


class Publisher(Protocol):
    async def publish(self, messages: Sequence[Message]) -> list[Exception | None]:
        """Publish all, at least once. The answer has one place per message: None means safe with the receiver.

        It must end before `idle_in_transaction_session_timeout`. Raises when nothing can be published at present,
        whatever it is.
        """


class Relay:
    """Empties the outbox of one service. Rows that this process writes through `outbox` are published at once, those of
    others when `wake` is called, or else found by polling.

    `retry` is the first pause after a failure; each further one is twice as long, up to `max_backoff`.
    """

    def __init__(
        self,
        outbox: Outbox,
        database: Database,
        publisher: Publisher,
        *,
        batch: int = 200,
        poll: timedelta = timedelta(seconds=1),
        retry: timedelta = timedelta(milliseconds=200),
        max_backoff: timedelta = timedelta(seconds=5),
        stall_timeout: timedelta = timedelta(seconds=STALL_TIMEOUT),
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._outbox = outbox
        self._service = outbox.service
        self._batch = batch
        self._poll = poll
        self._retry = retry
        self._max_backoff = max_backoff
        self._stall_timeout = stall_timeout
        self._wake = asyncio.Event()
        self._moved_at = time.monotonic()

    async def check(self) -> None:
        """Check that the loop got through of late; an empty outbox counts, no broker does not. Raises Stalled."""
        if time.monotonic() - self._moved_at > self._stall_timeout.total_seconds():
            raise Stalled

    def wake(self) -> None:
        """Have rows looked for at once; call it on the event loop."""
        self._wake.set()

    async def run(self) -> None:
        """Move rows until cancelled; nothing short of that ends the loop."""
        # Called from whatever thread commits.
        wake = partial(asyncio.get_running_loop().call_soon_threadsafe, self._wake.set)
        with self._outbox.announced_to(wake):
            await self._run()

    async def _run(self) -> None:
        pause = self._retry
        while True:
            heed_cancellation()
            self._wake.clear()
            try:
                await self.empty()
            except Exception as error:
                log.warning("relay.failed", error=type(error).__name__)
                # New rows do not shorten this: an outage must not become a storm of claims.
                await asyncio.sleep(pause.total_seconds())
                pause = min(2 * pause, self._max_backoff)
                continue
            pause = self._retry
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll.total_seconds()):
                    await self._wake.wait()

    async def empty(self) -> None:
        """Drain until less than a batch is due: two at once, so that one is read while the other is confirmed. Raises
        what `drain` does."""
        if await self.drain() == self._batch:
            ends = await asyncio.gather(self._drain_on(), self._drain_on(), return_exceptions=True)
            for end in ends:
                if end is not None:
                    raise end

    async def _drain_on(self) -> None:
        while await self.drain() == self._batch:
            pass

    async def drain(self) -> int:
        """Publish one batch and delete what is confirmed; returns how many rows were due. Raises what the publisher
        raises."""
        async with self._database.transaction() as session:
            rows = (await session.execute(_DUE, {"batch": self._batch})).all()
            if rows:
                messages = [Message(row.event_id, row.routing_key, row.envelope.encode()) for row in rows]
                started = time.time_ns()
                results = await self._publisher.publish(messages)
                note_published(self._service, messages, results, started)
                await self._settle(session, [row.id for row in rows], results)
        self._moved_at = time.monotonic()
        return len(rows)

    async def _settle(self, session: AsyncSession, ids: Sequence[int], results: Sequence[Exception | None]) -> None:
        confirmed = [row_id for row_id, error in zip(ids, results, strict=True) if error is None]
        refused = [row_id for row_id, error in zip(ids, results, strict=True) if error is not None]
        PUBLISHED.labels(self._service, "confirmed").inc(len(confirmed))
        PUBLISHED.labels(self._service, "failed").inc(len(refused))
        await session.execute(_NEED_NOT_WAIT)
        if confirmed:
            await session.execute(_DELETED, {"ids": confirmed})
        if refused:
            parameters = {"ids": refused, "max_backoff": self._max_backoff}
            for seconds in {float(each) for each in await session.scalars(_PUT_OFF, parameters)}:
                asyncio.get_running_loop().call_later(seconds, self._wake.set)
            error = next(result for result in results if result is not None)
            log.warning("relay.unconfirmed", rows=len(refused), error=type(error).__name__)
