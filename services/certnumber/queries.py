"""All SQL of the certnumber service but the numbering's own (numbering_queries.py) and the proof's (proof.py)."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.certnumber.domain import ApprovalStatus, lookup_key
from services.certnumber.models import Approval, Counter, LedgerEntry, Series
from shared.web.pagination import PageRequest, keyset

Key = tuple[UUID, int]

# Numbering takes SHARE: it never sees half of a change, and a change waits for the numbers being given.
LOCK_SERIES = sa.text("LOCK TABLE series IN SHARE ROW EXCLUSIVE MODE")
LOCK_SERIES_SHARED = sa.text("LOCK TABLE series IN SHARE MODE")

# Counters, and two partial indexes: what was numbered is not read.
FIGURES = sa.text("""
    SELECT (SELECT coalesce(sum(last), 0) FROM counters)::bigint,
           (SELECT count(*) FROM approvals WHERE status = 'waiting'),
           (SELECT count(*) FROM approvals WHERE status = 'failed'),
           (SELECT coalesce(greatest(0, extract(epoch FROM now() - min(approved_at))), 0)
            FROM approvals WHERE status = 'waiting')::float
""")

_KEY = sa.tuple_(Approval.application_id, Approval.decision_no)


async def add_approvals(session: AsyncSession, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows in key order. One that is there stays, but a tombstone of a withdrawal gets the approval's own facts."""
    statement = insert(Approval)
    facts = {
        name: statement.excluded[name]
        for name in ("previous_approval", "replaces", "post", "post_name", "enterprise_name", "holder_masked",
                     "approved_at", "traceparent")
    }  # fmt: skip
    await session.execute(
        statement.values(list(rows)).on_conflict_do_update(
            index_elements=[Approval.application_id, Approval.decision_no],
            set_=facts,
            where=Approval.approved_at.is_(None),
        )
    )


async def latest_decisions(session: AsyncSession, applications: Collection[UUID]) -> dict[UUID, int]:
    """The highest decision_no known of each application."""
    statement = (
        sa.select(Approval.application_id, sa.func.max(Approval.decision_no))
        .where(Approval.application_id.in_(applications))
        .group_by(Approval.application_id)
    )
    return dict((await session.execute(statement)).all())


async def add_withdrawn(session: AsyncSession, rows: Sequence[Mapping[str, Any]]) -> None:
    """Tombstones, in key order, for approvals that are not there yet."""
    await session.execute(insert(Approval).values(list(rows)).on_conflict_do_nothing())


async def get_approvals_for_update(session: AsyncSession, keys: Iterable[Key]) -> dict[Key, Approval]:
    statement = (
        sa.select(Approval)
        .where(_KEY.in_(list(keys)))
        .order_by(Approval.application_id, Approval.decision_no)
        .with_for_update()
    )
    return {(row.application_id, row.decision_no): row for row in await session.scalars(statement)}


async def get_entries(session: AsyncSession, keys: Iterable[Key]) -> dict[Key, LedgerEntry]:
    statement = sa.select(LedgerEntry).where(
        sa.tuple_(LedgerEntry.application_id, LedgerEntry.decision_no).in_(list(keys))
    )
    return {(row.application_id, row.decision_no): row for row in await session.scalars(statement)}


async def numbering_figures(session: AsyncSession) -> tuple[int, int, int, float]:
    """Numbers given, approvals waiting, approvals failed, and the age in seconds of the oldest that waits."""
    return tuple((await session.execute(FIGURES)).one())


async def find_entry(session: AsyncSession, number: str) -> LedgerEntry | None:
    return await session.scalar(sa.select(LedgerEntry).where(LedgerEntry.lookup == lookup_key(number)))


async def find_successor(session: AsyncSession, number: str) -> LedgerEntry | None:
    """The valid entry that has taken this number's place, directly or through void ones in between."""
    chain = sa.select(LedgerEntry.number, LedgerEntry.state).where(LedgerEntry.replaces == number).cte(recursive=True)
    following = sa.select(LedgerEntry.number, LedgerEntry.state).where(LedgerEntry.replaces == chain.c.number)
    chain = chain.union(following)
    valid = sa.select(chain.c.number).where(chain.c.state == "valid").limit(1)
    return await session.scalar(sa.select(LedgerEntry).where(LedgerEntry.number.in_(valid)))


async def lock_series(session: AsyncSession) -> None:
    """Until the end of the transaction nobody else changes a series or gives a number."""
    await session.execute(LOCK_SERIES)


async def find_series(session: AsyncSession, series_id: UUID) -> Series | None:
    return await session.get(Series, series_id)


async def other_active_series(session: AsyncSession, series_id: UUID) -> Sequence[Series]:
    statement = sa.select(Series).where(Series.active, Series.id != series_id)
    return (await session.scalars(statement)).all()


async def list_series(session: AsyncSession, page: PageRequest) -> Sequence[Series]:
    return (await session.scalars(keyset(sa.select(Series), page, Series.created_at, Series.id))).all()


async def list_counters(session: AsyncSession, series_ids: Collection[UUID]) -> Sequence[Counter]:
    statement = sa.select(Counter).where(Counter.series_id.in_(series_ids)).order_by(Counter.series_id, Counter.period)
    return (await session.scalars(statement)).all()


async def reopen_failed(session: AsyncSession) -> None:
    """Whatever could not be numbered under the old series is tried again under the new ones."""
    await session.execute(
        sa.update(Approval)
        .where(Approval.status == ApprovalStatus.failed)
        .values(status=ApprovalStatus.waiting, failure_code=None)
    )
