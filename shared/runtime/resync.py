"""Anti-entropy: services compare what they know by way of events, and what one has not heard is said again.

Decision 9 (docs/decisions) says why; shared/contracts/resync.py what is compared. Both sides name their rows by a
subquery of `id` and `version`, an owner's also of `changed_at`. Nothing here depends on order or on being alone: each
copy of a worker does it, and whoever hears the same twice learns nothing new.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts.resync import BUCKETS, PAGE, Digest, ResyncRequested
from shared.loops import heed_cancellation
from shared.observability.metrics import RESYNCED
from shared.observability.telemetry import bind_trace, get_logger
from shared.runtime.container import Container

log = get_logger(__name__)

# So much is asked for at once, and so much said to one question: the rest is found at the next comparison.
ASKED_BUCKETS = 32
ANSWERED_ROWS = 250


def settled(container: Container) -> datetime:
    """Tell since when whatever has changed may still be under way."""
    return container.clock.now() - timedelta(seconds=container.settings.resync_settle_seconds)


async def repeat(container: Container, act: Callable[[AsyncSession], Awaitable[None]]) -> None:
    """Do `act` in a transaction of its own about every `resync_seconds`, until cancelled. A failure is logged."""
    while True:
        heed_cancellation()
        # The copies of a worker that start together do not go on together.
        await asyncio.sleep(container.settings.resync_seconds * random.uniform(0.5, 1.0))  # noqa: S311
        bind_trace(None)
        try:
            async with container.database.transaction() as session:
                await act(session)
        except Exception as error:
            log.warning("resync.failed", error=type(error).__name__)


async def summarise(session: AsyncSession, versions: sa.Subquery) -> tuple[list[int], list[int]]:
    """Count the rows of each bucket, and add up their versions."""
    bucket = sa.func.get_byte(sa.func.uuid_send(versions.c.id), 0)
    statement = sa.select(bucket, sa.func.count(), sa.func.sum(versions.c.version)).group_by(bucket)
    counts, sums = [0] * BUCKETS, [0] * BUCKETS
    for number, count, total in await session.execute(statement):
        counts[number], sums[number] = count, int(total)
    return counts, sums


async def tell(container: Container, session: AsyncSession, versions: sa.Subquery, kind: type[Digest]) -> None:
    """Say what there is, as its owner."""
    counts, sums = await summarise(session, versions)
    digest = kind(digest_id=uuid4(), counts=tuple(counts), sums=tuple(sums))
    container.outbox.add(session, digest, container.clock.now())


async def ask(
    container: Container, session: AsyncSession, versions: sa.Subquery, digest: Digest, kind: type[ResyncRequested]
) -> None:
    """Ask the owner for what `digest` has and we have not; nothing if that is nothing."""
    counts, sums = await summarise(session, versions)
    mine, theirs = zip(counts, sums, strict=True), zip(digest.counts, digest.sums, strict=True)
    differing = [number for number, (own, other) in enumerate(zip(mine, theirs, strict=True)) if own != other]
    for bucket in sorted(random.sample(differing, min(len(differing), ASKED_BUCKETS))):
        async for first, last, known in _pages(session, versions, bucket):
            request = kind(digest_id=digest.digest_id, first=first, last=last, known=known)
            container.outbox.add(session, request, container.clock.now())


async def _pages(
    session: AsyncSession, versions: sa.Subquery, bucket: int
) -> AsyncIterator[tuple[UUID, UUID, tuple[tuple[UUID, int], ...]]]:
    first, end = UUID(int=bucket << 120), UUID(int=((bucket + 1) << 120) - 1)
    while True:
        rows = sa.select(versions.c.id, versions.c.version).where(versions.c.id.between(first, end))
        page = rows.order_by(versions.c.id).limit(PAGE)
        known = tuple((row.id, row.version) for row in await session.execute(page))
        whole = len(known) < PAGE
        yield first, end if whole else known[-1][0], known
        if whole:
            return
        first = UUID(int=known[-1][0].int + 1)


async def lacking(
    container: Container, session: AsyncSession, versions: sa.Subquery, request: ResyncRequested
) -> list[UUID]:
    """List what the asking service has not heard and will not by itself, some of it where it is much."""
    statement = (
        sa.select(versions.c.id, versions.c.version)
        .where(versions.c.id.between(request.first, request.last), versions.c.changed_at <= settled(container))
        .order_by(versions.c.id)
    )
    known = defaultdict(lambda: -1, request.known)
    found = [row.id for row in await session.execute(statement) if row.version > known[row.id]][:ANSWERED_ROWS]
    RESYNCED.labels(container.service).inc(len(found))
    if found:
        log.warning("resync.lacking", rows=len(found))
    return found
