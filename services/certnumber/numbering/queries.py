"""SQL of the numbering, on a synchronous session because Celery's workers are synchronous."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Session, aliased

from services.certnumber.domain import ApprovalStatus, Layout, NumberState, SeriesRule
from services.certnumber.models import Approval, Counter, FailedApproval, LedgerEntry, NewEntry, Series
from services.certnumber.queries import LOCK_SERIES_SHARED


@dataclass(frozen=True, slots=True)
class Waiting:
    """An approval this transaction has claimed."""

    application_id: UUID
    decision_no: int
    post: str
    approved_at: datetime
    replaces: str | None
    traceparent: str | None


def claim_waiting(session: Session, limit: int) -> list[Waiting]:
    """Claim up to `limit` approvals that nobody else is numbering and that may have a number now, oldest first.

    Two approvals of one application never hold at once: an approval waits until the one it follows is known to be
    withdrawn, and while any other one is not.
    """
    other = aliased(Approval)
    others = sa.select(sa.literal(1)).where(other.application_id == Approval.application_id)
    statement = (
        sa.select(
            Approval.application_id,
            Approval.decision_no,
            Approval.post,
            sa.type_coerce(Approval.approved_at, sa.DateTime(timezone=True)),  # what waits was approved
            Approval.replaces,
            Approval.traceparent,
        )
        .where(
            Approval.status == sa.literal_column("'waiting'"),  # as a literal it meets the partial index
            sa.or_(
                Approval.previous_approval.is_(None),
                others.where(
                    other.decision_no == Approval.previous_approval, other.status == ApprovalStatus.withdrawn
                ).exists(),
            ),
            ~others.where(other.decision_no != Approval.decision_no, other.status != ApprovalStatus.withdrawn).exists(),
        )
        .order_by(Approval.approved_at, Approval.application_id, Approval.decision_no)
        .limit(limit)
        .with_for_update(of=Approval, skip_locked=True)
    )
    return [Waiting(*row) for row in session.execute(statement)]


def active_rules(session: Session) -> list[SeriesRule]:
    """Read the active series, unchanged until the end of the transaction."""
    session.execute(LOCK_SERIES_SHARED)
    rows = session.execute(sa.select(Series.id, Series.layout, Series.posts, Series.yearly).where(Series.active))
    return [
        SeriesRule(series_id, Layout(layout), None if posts is None else frozenset(posts), yearly)
        for series_id, layout, posts, yearly in rows
    ]


def latest_numbers(session: Session, applications: Collection[UUID]) -> dict[UUID, str]:
    """Find the last number each application had, if any."""
    statement = (
        sa.select(LedgerEntry.application_id, LedgerEntry.number)
        .ext(distinct_on(LedgerEntry.application_id))
        .where(LedgerEntry.application_id == sa.any_(sa.literal(list(applications), sa.ARRAY(sa.Uuid))))
        .order_by(LedgerEntry.application_id, LedgerEntry.decision_no.desc())
    )
    return dict(session.execute(statement).all())


def reserve_serials(session: Session, series_id: UUID, period: int, count: int, capacity: int) -> range:
    """Take the next `count` serials of the counter, fewer where `capacity` ends; its row is locked from here on."""
    locked = sa.select(Counter).where(Counter.series_id == series_id, Counter.period == period).with_for_update()
    before = locked.cte("before")
    highest = sa.literal(capacity, sa.BigInteger)
    statement = (
        sa.update(Counter)
        .where(Counter.series_id == before.c.series_id, Counter.period == before.c.period)
        .values(last=sa.func.greatest(before.c.last, sa.func.least(before.c.last + count, highest)))
        .returning(before.c.last, Counter.last)
        .execution_options(synchronize_session=False)
    )
    row = session.execute(statement).one_or_none()
    if row is None:
        session.execute(insert(Counter).values(series_id=series_id, period=period, last=0).on_conflict_do_nothing())
        row = session.execute(statement).one()
    return range(row[0] + 1, row[1] + 1)


def release_unused_serials(session: Session, series_id: UUID, period: int, last: int) -> None:
    """Set the counter, which this transaction has locked, back to the last serial it really gave."""
    session.execute(
        sa.update(Counter).where(Counter.series_id == series_id, Counter.period == period).values(last=last)
    )


def find_taken(session: Session, keys: Collection[str]) -> set[str]:
    """Find which of these lookup keys the ledger has."""
    statement = sa.select(LedgerEntry.lookup).where(
        LedgerEntry.lookup == sa.any_(sa.literal(list(keys), sa.ARRAY(sa.Text)))
    )
    return set(session.scalars(statement))


def write_ledger(session: Session, assigned_at: datetime, rows: Sequence[NewEntry]) -> None:
    """Turn claimed approvals into ledger rows; what the ledger shows of them is copied from there."""
    given = _table(
        rows,
        application_id=sa.Uuid,
        decision_no=sa.Integer,
        number=sa.Text,
        lookup=sa.Text,
        series_id=sa.Uuid,
        period=sa.Integer,
        serial=sa.BigInteger,
        issued_on=sa.Date,
        replaces=sa.Text,
    )
    copied = (Approval.post, Approval.post_name, Approval.enterprise_name, Approval.holder_masked)
    numbered = (
        sa.update(Approval)
        .where(Approval.application_id == given.c.application_id, Approval.decision_no == given.c.decision_no)
        .values(status=ApprovalStatus.numbered)
        .returning(*given.c, *copied)
        .cte("numbered")
    )
    session.execute(
        sa.insert(LedgerEntry).from_select(
            [*numbered.c.keys(), "assigned_at", "state"],
            sa.select(numbered, sa.literal(assigned_at), sa.literal(NumberState.valid.value)),
        )
    )


def mark_failed(session: Session, rows: Sequence[FailedApproval]) -> None:
    failed = _table(rows, application_id=sa.Uuid, decision_no=sa.Integer, failure_code=sa.Text)
    session.execute(
        sa.update(Approval)
        .where(Approval.application_id == failed.c.application_id, Approval.decision_no == failed.c.decision_no)
        .values(status=ApprovalStatus.failed, failure_code=failed.c.failure_code)
        .execution_options(synchronize_session=False)
    )


def _table(rows: Sequence[Mapping[str, Any]], **columns: Any) -> Any:
    """Give the rows as a table: one array per column, so that the statement does not grow with their number."""
    arrays = [sa.literal([row[name] for row in rows], sa.ARRAY(kind)) for name, kind in columns.items()]
    return (
        sa.func.unnest(*arrays)
        .table_valued(*(sa.column(name, kind) for name, kind in columns.items()), name="given")
        .render_derived()
    )
