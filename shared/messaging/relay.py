"""The relay moves committed outbox rows to the broker.

Rows are claimed with SKIP LOCKED under a lease, published outside any transaction, and deleted when confirmed. A relay
that dies in between leaves a lease that runs out: the row is published again, and the receiver's inbox absorbs it.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Protocol
from uuid import UUID, uuid4

import sqlalchemy as sa

from shared.messaging.events import Message
from shared.messaging.health import STALL_TIMEOUT, Stalled
from shared.messaging.outbox import Outbox
from shared.messaging.tables import OutboxMessage
from shared.messaging.tracing import note_published
from shared.observability.metrics import PUBLISHED
from shared.observability.telemetry import get_logger
from shared.persistence.db import Database

log = get_logger(__name__)


class Publisher(Protocol):
    async def publish(self, messages: Sequence[Message]) -> list[Exception | None]:
        """Publish all, at least once. The answer has one place per message: None means safe with the receiver.

        Raises when nothing can be published at present, whatever it is.
        """


class Relay:
    """Empties the outbox of one service. Rows that this process writes through `outbox` are published at once, those of
    others are found by polling."""

    def __init__(
        self,
        outbox: Outbox,
        database: Database,
        publisher: Publisher,
        *,
        batch: int = 200,
        lease: timedelta = timedelta(seconds=30),
        poll: timedelta = timedelta(milliseconds=200),
        max_backoff: timedelta = timedelta(seconds=5),
        stall_timeout: timedelta = timedelta(seconds=STALL_TIMEOUT),
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._outbox = outbox
        self._service = outbox.service
        self._batch = batch
        self._lease = lease
        self._poll = poll
        self._max_backoff = max_backoff
        self._stall_timeout = stall_timeout
        self._wake = asyncio.Event()
        self._moved_at = time.monotonic()

    async def check(self) -> None:
        """Check that the loop got through of late; an empty outbox counts, no broker does not. Raises Stalled."""
        if time.monotonic() - self._moved_at > self._stall_timeout.total_seconds():
            raise Stalled

    async def run(self) -> None:
        """Move rows until cancelled; nothing short of that ends the loop."""
        # Called from whatever thread commits.
        wake = partial(asyncio.get_running_loop().call_soon_threadsafe, self._wake.set)
        with self._outbox.announced_to(wake):
            await self._run()

    async def _run(self) -> None:
        pause = self._poll
        while True:
            self._wake.clear()
            try:
                claimed = await self.drain()
            except Exception as error:
                log.warning("relay.failed", error=type(error).__name__)
                # New rows do not shorten this: an outage must not become a storm of claims.
                await asyncio.sleep(pause.total_seconds())
                pause = min(2 * pause, self._max_backoff)
                continue
            pause = self._poll
            self._moved_at = time.monotonic()
            if claimed < self._batch:
                try:
                    await asyncio.wait_for(self._wake.wait(), self._poll.total_seconds())
                except TimeoutError:
                    continue

    async def drain(self) -> int:
        """Claim and publish one batch; returns how many rows were claimed. Raises what the publisher raises."""
        lease = uuid4()
        messages = await self._claim(lease)
        if not messages:
            return 0
        started = time.time_ns()
        try:
            results = await self._publisher.publish(list(messages.values()))
        except BaseException:
            await self._release(lease)
            raise
        note_published(self._service, list(messages.values()), results, started)
        confirmed: list[int] = []
        failed: list[int] = []
        for row_id, result in zip(messages, results, strict=True):
            (confirmed if result is None else failed).append(row_id)
        PUBLISHED.labels(self._service, "confirmed").inc(len(confirmed))
        PUBLISHED.labels(self._service, "failed").inc(len(failed))
        async with self._database.transaction() as session:
            if confirmed:
                await session.execute(
                    sa.delete(OutboxMessage).where(OutboxMessage.id.in_(confirmed), OutboxMessage.lease == lease)
                )
            if failed:
                seconds = 0.1 * sa.func.power(2, sa.func.least(OutboxMessage.attempts, 10))
                backoff = sa.func.least(sa.func.make_interval(0, 0, 0, 0, 0, 0, seconds), self._max_backoff)
                await session.execute(
                    sa.update(OutboxMessage)
                    .where(OutboxMessage.id.in_(failed), OutboxMessage.lease == lease)
                    .values(lease=None, due_at=sa.func.now() + backoff)
                )
                error = next(result for result in results if result is not None)
                log.warning("relay.unconfirmed", rows=len(failed), error=type(error).__name__)
        return len(messages)

    async def _release(self, lease: UUID) -> None:
        """Give the rows back: nobody needs to wait for the lease's end when its owner gives up in good order."""
        # Its own failure must not take the place of the error, or the cancellation, that led here.
        with suppress(Exception):
            async with asyncio.timeout(1), self._database.transaction() as session:
                await session.execute(
                    sa.update(OutboxMessage)
                    .where(OutboxMessage.lease == lease)
                    .values(lease=None, due_at=sa.func.now())
                )

    async def _claim(self, lease: UUID) -> dict[int, Message]:
        due = (
            sa.select(OutboxMessage.id)
            .where(OutboxMessage.due_at <= sa.func.now())
            .order_by(OutboxMessage.due_at, OutboxMessage.id)
            .limit(self._batch)
            .with_for_update(skip_locked=True)
            # As a plain subquery it might run more than once, and claim more than the batch.
            .cte("due")
        )
        claim = (
            sa.update(OutboxMessage)
            .where(OutboxMessage.id.in_(sa.select(due.c.id)))
            .values(lease=lease, due_at=sa.func.now() + self._lease, attempts=OutboxMessage.attempts + 1)
            .returning(OutboxMessage.id, OutboxMessage.event_id, OutboxMessage.routing_key, OutboxMessage.envelope)
        )
        async with self._database.transaction() as session:
            rows = (await session.execute(claim)).all()
        return {row.id: Message(row.event_id, row.routing_key, row.envelope.encode()) for row in sorted(rows)}
