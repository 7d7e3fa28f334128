"""SQL of the numbering, on a synchronous session because Celery's workers are synchronous."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.orm import Session

from services.certnumber.domain import Layout, SeriesRule
from services.certnumber.models import Approval, LedgerEntry
from services.certnumber.queries import LOCK_SERIES_SHARED
from shared.persistence.bulk import Given, run


class Waiting(NamedTuple):
    """An approval this transaction has claimed; `replaces` is the number that its own is to take the place of."""

    approved_at: datetime
    application_id: UUID
    decision_no: int
    post: str
    post_name: str
    enterprise_name: str
    holder_masked: str
    replaces: str | None
    traceparent: str | None


class NewEntry(NamedTuple):
    """A new ledger row, but for what all rows of a batch have in common."""

    number: str
    lookup: str
    series_id: UUID
    period: int
    serial: int
    application_id: UUID
    decision_no: int
    post: str
    post_name: str
    enterprise_name: str
    holder_masked: str
    replaces: str | None


class FailedApproval(NamedTuple):
    """An approval that could not be numbered."""

    application_id: UUID
    decision_no: int
    failure_code: str


RULES = "SELECT id, layout, posts, yearly FROM series WHERE active"

RESERVE = """
    WITH before AS (
        SELECT series_id, period, last FROM counters WHERE series_id = %(series_id)s AND period = %(period)s FOR UPDATE)
    UPDATE counters SET last = greatest(before.last, least(before.last + %(count)s, %(capacity)s)) FROM before
    WHERE counters.series_id = before.series_id AND counters.period = before.period
    RETURNING before.last AS before, counters.last
"""
BEGIN_COUNTER = """
    INSERT INTO counters (series_id, period, last) VALUES (%(series_id)s, %(period)s, 0) ON CONFLICT DO NOTHING
"""
RELEASE = "UPDATE counters SET last = %(last)s WHERE series_id = %(series_id)s AND period = %(period)s"

# What is locked here stays where it is, so that its place (ctid) is the shortest way to it. Only what follows another
# approval can take the place of a number of the same application.
CLAIM = """
    WITH claimed AS MATERIALIZED (
        SELECT approval.ctid FROM approvals AS approval
        WHERE status = 'waiting'
          AND (previous_approval IS NULL OR EXISTS (
              SELECT FROM approvals AS previous WHERE previous.application_id = approval.application_id
              AND previous.decision_no = approval.previous_approval AND previous.status = 'withdrawn'))
          AND NOT EXISTS (
              SELECT FROM approvals AS other WHERE other.application_id = approval.application_id
              AND other.decision_no <> approval.decision_no AND other.status <> 'withdrawn')
        ORDER BY approved_at, application_id, decision_no LIMIT %(limit)s FOR UPDATE OF approval SKIP LOCKED)
    UPDATE approvals SET status = 'numbered' WHERE ctid = ANY (ARRAY(SELECT ctid FROM claimed))
    RETURNING approved_at, application_id, decision_no, post, post_name, enterprise_name, holder_masked,
        CASE WHEN previous_approval IS NULL THEN replaces ELSE coalesce((
            SELECT number FROM ledger WHERE ledger.application_id = approvals.application_id
            ORDER BY ledger.decision_no DESC LIMIT 1), replaces) END,
        traceparent
"""

_ENTRIES = Given({name: LedgerEntry.__table__.c[name].type for name in NewEntry._fields})
_FAILED = Given({name: Approval.__table__.c[name].type for name in FailedApproval._fields})

WRITE_LEDGER = f"""
    INSERT INTO ledger ({", ".join(NewEntry._fields)}, state, issued_on, assigned_at)
    SELECT {_ENTRIES.selection}, 'valid', %(issued_on)s::date, %(assigned_at)s::timestamptz FROM {_ENTRIES.table}
"""  # noqa: S608 - names of ours
MARK_FAILED = f"""
    UPDATE approvals SET status = 'failed', failure_code = given.failure_code FROM {_FAILED.table}
    WHERE approvals.application_id = given.application_id AND approvals.decision_no = given.decision_no
"""  # noqa: S608 - names of ours
TAKEN = "SELECT lookup FROM ledger WHERE lookup = ANY (%(keys)b::text[])"


def claim_waiting(session: Session, limit: int) -> list[Waiting]:
    """Claim up to `limit` approvals that nobody else is numbering and that may have a number now, and mark them as
    numbered; gives them oldest first.

    Two approvals of one application never hold at once: an approval waits until the one it follows is known to be
    withdrawn, and while any other one is not.
    """
    return sorted(map(Waiting._make, run(session, CLAIM, {"limit": limit})))


def active_rules(session: Session) -> list[SeriesRule]:
    """Read the active series, unchanged until the end of the transaction."""
    session.execute(LOCK_SERIES_SHARED)
    return [
        SeriesRule(row.id, Layout(row.layout), None if row.posts is None else frozenset(row.posts), row.yearly)
        for row in run(session, RULES, {})
    ]


def reserve_serials(session: Session, series_id: UUID, period: int, count: int, capacity: int) -> range:
    """Take the next `count` serials of the counter, fewer where `capacity` ends; its row is locked from here on."""
    counter = {"series_id": series_id, "period": period}
    wanted = counter | {"count": count, "capacity": capacity}
    taken = run(session, RESERVE, wanted)
    if not taken:
        run(session, BEGIN_COUNTER, counter)
        taken = run(session, RESERVE, wanted)
    return range(taken[0].before + 1, taken[0].last + 1)


def release_unused_serials(session: Session, series_id: UUID, period: int, last: int) -> None:
    """Set the counter, which this transaction has locked, back to the last serial it really gave."""
    run(session, RELEASE, {"series_id": series_id, "period": period, "last": last})


def find_taken(session: Session, keys: Sequence[str]) -> set[str]:
    """Find which of these lookup keys the ledger has."""
    return {row.lookup for row in run(session, TAKEN, {"keys": keys})}


def write_ledger(session: Session, rows: Sequence[NewEntry], issued_on: date, assigned_at: datetime) -> None:
    given = _ENTRIES.parameters(rows)
    run(session, WRITE_LEDGER, given | {"issued_on": issued_on, "assigned_at": assigned_at})


def mark_failed(session: Session, rows: Sequence[FailedApproval]) -> None:
    run(session, MARK_FAILED, _FAILED.parameters(rows))
