"""Deletes what nobody needs any more from a service's database."""

import asyncio
from datetime import timedelta

import sqlalchemy as sa

from shared.auth.sessions import Sessions
from shared.loops import heed_cancellation
from shared.messaging.tables import InboxMessage
from shared.observability.telemetry import get_logger
from shared.persistence.db import Database
from shared.runtime.container import Container
from shared.web.idempotency import RETENTION, IdempotencyKey

log = get_logger(__name__)

# Longer than any dead letter may lie before it is replayed.
INBOX_RETENTION = timedelta(days=30)
CLEANING_INTERVAL = timedelta(hours=1)


async def clean(database: Database, sessions: Sessions | None = None) -> None:
    """Delete old inbox rows, stored answers, and an issuer's sessions that are over."""
    async with database.transaction() as session:
        await session.execute(sa.delete(InboxMessage).where(InboxMessage.received_at < sa.func.now() - INBOX_RETENTION))
        await session.execute(sa.delete(IdempotencyKey).where(IdempotencyKey.created_at < sa.func.now() - RETENTION))
        if sessions is not None:
            await sessions.clean(session)
            await sessions.guard.clean(session)


async def keep_clean(container: Container, interval: timedelta = CLEANING_INTERVAL) -> None:
    """Clean at once and then every `interval`, until cancelled. A failure is logged."""
    while True:
        heed_cancellation()
        try:
            await clean(container.database, container.sessions)
        except Exception as error:
            log.warning("cleaning.failed", error=type(error).__name__)
        await asyncio.sleep(interval.total_seconds())
