"""All SQL of the review service."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from operator import eq
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from services.review.domain import WAITING_DAYS, LastDecision
from services.review.models import (
    FRAGMENT,
    NAME_FRAGMENTS,
    Decision,
    DecisionCount,
    DecisionOutcome,
    DeskItem,
    EnterpriseName,
    Item,
    ItemRevision,
    ItemState,
    LockedItem,
    NewDecision,
    NumberingFailure,
    RefusedDecision,
    Reviewer,
    SubmittedRevision,
)
from services.review.schemas import AuditSearch
from shared.persistence.bulk import BulkInsert, BulkUpdate
from shared.persistence.search import contains, search_key
from shared.values.clock import SHANGHAI
from shared.web.pagination import PageRequest, apply_filters, keyset

_IDS: ARRAY[UUID] = ARRAY(sa.Uuid())

# --- reviewers


async def find_reviewer(session: AsyncSession, reviewer_id: UUID, *, lock: bool = False) -> Reviewer | None:
    return await session.get(Reviewer, reviewer_id, with_for_update=lock or None)


async def get_reviewer(session: AsyncSession, reviewer_id: UUID) -> Reviewer:
    return await session.get_one(Reviewer, reviewer_id)


async def find_reviewer_by_username(session: AsyncSession, username: str) -> Reviewer | None:
    return await session.scalar(sa.select(Reviewer).where(Reviewer.username == username))


async def lock_reviewers(session: AsyncSession, reviewer_ids: Collection[UUID]) -> dict[UUID, Reviewer]:
    statement = sa.select(Reviewer).where(Reviewer.id.in_(reviewer_ids)).order_by(Reviewer.id).with_for_update()
    return {reviewer.id: reviewer for reviewer in await session.scalars(statement)}


def reviewer_named(username: str) -> sa.Select[Any]:
    """Select the id of the account."""
    return sa.select(Reviewer.id).where(Reviewer.username == username)


async def reviewer_names(session: AsyncSession, usernames: Collection[str]) -> dict[str, str]:
    statement = sa.select(Reviewer.username, Reviewer.name).where(Reviewer.username.in_(usernames))
    return dict((await session.execute(statement)).all())


async def list_reviewers(session: AsyncSession, page: PageRequest, username: str | None) -> Sequence[Reviewer]:
    statement = apply_filters(sa.select(Reviewer), (Reviewer.username, eq, username))
    statement = keyset(statement, page, Reviewer.created_at, Reviewer.id)
    return (await session.scalars(statement)).all()


# --- the projection


_NEWER_STATE = ", ".join(f"{name} = EXCLUDED.{name}" for name in ItemState._fields if name != "application_id")
_PUT_STATES = BulkInsert(
    Item,
    ItemState._fields,
    on_conflict=f"(application_id) DO UPDATE SET {_NEWER_STATE} WHERE EXCLUDED.change_no > items.change_no",
)
_PUT_REVISIONS = BulkInsert(ItemRevision, SubmittedRevision._fields, on_conflict="DO NOTHING")
# The first field of each is the key.
_PUT_REFUSALS = BulkUpdate(
    Item,
    RefusedDecision._fields[1:],
    only="(items.refusal_change_no IS NULL OR (given.refusal_change_no, given.refusal_decision)"
    " > (items.refusal_change_no, items.refusal_decision))",
)
_PUT_FAILURES = BulkUpdate(
    Item,
    NumberingFailure._fields[1:],
    only="(items.numbering_change_no IS NULL OR given.numbering_change_no > items.numbering_change_no)",
)
_PUT_OUTCOMES = BulkUpdate(Decision, DecisionOutcome._fields[1:], only="decisions.outcome = 'asked'")


async def put_states(session: AsyncSession, rows: Sequence[ItemState]) -> None:
    """Insert or overtake items by application; a row applies only if its change_no is higher. Rows must be sorted."""
    await _PUT_STATES.write_async(session, rows)


async def put_revisions(session: AsyncSession, rows: Sequence[SubmittedRevision]) -> None:
    await _PUT_REVISIONS.write_async(session, rows)


async def put_refusals(session: AsyncSession, rows: Sequence[RefusedDecision]) -> None:
    """Write refusals beside the items: the one of the highest change_no stays, and of equal ones always the same."""
    await _PUT_REFUSALS.write_async(session, rows)


async def put_numbering_failures(session: AsyncSession, rows: Sequence[NumberingFailure]) -> None:
    """Write failures beside the items: the one of the highest change_no stays."""
    await _PUT_FAILURES.write_async(session, rows)


async def put_outcomes(session: AsyncSession, rows: Sequence[DecisionOutcome]) -> None:
    """Write what became of decisions, by id; what is known already stays."""
    await _PUT_OUTCOMES.write_async(session, rows)


def versions() -> sa.Subquery:
    """What is compared with renewal: id and change_no of each item, 0 where a revision of it is missing."""
    kept = (
        sa.select(ItemRevision.application_id, sa.func.count().label("number"))
        .group_by(ItemRevision.application_id)
        .subquery()
    )
    whole = sa.func.coalesce(kept.c.number, 0) >= Item.revision
    columns = (Item.application_id.label("id"), sa.case((whole, Item.change_no), else_=0).label("version"))
    return sa.select(*columns).outerjoin(kept, kept.c.application_id == Item.application_id).subquery()


async def unanswered_decisions(
    session: AsyncSession, before: datetime, after: UUID | None, limit: int
) -> Sequence[Decision]:
    """List decisions asked for before that time and not answered, in order of their ids."""
    statement = sa.select(Decision).where(Decision.outcome == "asked", Decision.decided_at <= before)
    if after is not None:
        statement = statement.where(Decision.id > after)
    return (await session.scalars(statement.order_by(Decision.id).limit(limit))).all()


# --- the desk


def matching_applications(search: AuditSearch) -> sa.Select[Any]:
    """Select the ids of the applications an audit search is about."""
    return apply_filters(
        sa.select(Item.application_id),
        (Item.application_number, eq, search.application_number),
        (Item.name, _person_called, search.name),
        (Item.id_number_index, eq, search.id_number_index),
        (Item.enterprise_name, _enterprise_called, search.enterprise),
        (Item.enterprise_id, eq, search.enterprise_id),
    )


def _person_called(column: Any, part: str) -> sa.ColumnElement[bool]:
    fragments = NAME_FRAGMENTS.c
    listed = sa.select(fragments.application_id).where(fragments.fragment == sa.func.left(search_key(part), FRAGMENT))
    # An array, because a join could be planned as a scan of all items.
    return sa.and_(Item.application_id == sa.any_(sa.func.array(listed.scalar_subquery())), contains(column, part))


def _enterprise_called(column: Any, part: str) -> sa.ColumnElement[bool]:
    called = sa.select(EnterpriseName.name).where(sa.func.strpos(EnterpriseName.key, search_key(part)) > 0)
    matches: sa.ColumnElement[bool] = column.in_(called)
    return matches


async def items_by_id(session: AsyncSession, application_ids: Collection[UUID]) -> dict[UUID, tuple[str, str, str]]:
    """Find number, person's name and enterprise of applications."""
    columns = (Item.application_id, Item.application_number, Item.name, Item.enterprise_name)
    rows = await session.execute(sa.select(*columns).where(Item.application_id.in_(application_ids)))
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


async def find_item(session: AsyncSession, application_id: UUID) -> DeskItem | None:
    asked = sa.exists().where(
        Decision.application_id == Item.application_id,
        Decision.revision == Item.revision,
        Decision.decision_no == Item.decision_no,
        Decision.outcome == "asked",
    )
    statement = sa.select(Item, asked).where(Item.application_id == application_id)
    row = (await session.execute(statement)).one_or_none()
    return row and DeskItem(*row)


async def lock_items(session: AsyncSession, application_ids: Collection[UUID]) -> dict[UUID, LockedItem]:
    columns = (Item.application_id, Item.revision, Item.decision_no, Item.status)
    statement = sa.select(*columns).where(Item.application_id == sa.any_(sa.literal(list(application_ids), _IDS)))
    rows = await session.execute(statement.order_by(Item.application_id).with_for_update())
    return {row[0]: LockedItem._make(row) for row in rows}


async def list_decisions(session: AsyncSession, application_id: UUID) -> Sequence[Decision]:
    """List them newest first."""
    statement = sa.select(Decision).where(Decision.application_id == application_id)
    return (await session.scalars(statement.order_by(Decision.decided_at.desc(), Decision.id))).all()


async def list_revisions(session: AsyncSession, application_id: UUID) -> Sequence[ItemRevision]:
    """List them oldest first."""
    statement = sa.select(ItemRevision).where(ItemRevision.application_id == application_id)
    return (await session.scalars(statement.order_by(ItemRevision.revision))).all()


async def last_decisions(session: AsyncSession, application_ids: Collection[UUID]) -> dict[UUID, LastDecision]:
    """Find the newest decision that was not refused, by application."""
    statement = (
        sa.select(
            Decision.application_id,
            Decision.revision,
            Decision.decision_no,
            Decision.action,
            Decision.reviewer_name,
            Decision.outcome == "asked",
        )
        .ext(distinct_on(Decision.application_id))
        .where(
            Decision.application_id == sa.any_(sa.literal(list(application_ids), _IDS)), Decision.outcome != "refused"
        )
        .order_by(Decision.application_id, Decision.revision.desc(), Decision.decision_no.desc())
    )
    rows = await session.execute(statement)
    return {row[0]: LastDecision(row[1], row[2], row[3], row[4], asked=row[5]) for row in rows}


_ADD_DECISIONS = BulkInsert(Decision, NewDecision._fields)


async def add_decisions(session: AsyncSession, rows: Sequence[NewDecision]) -> None:
    await _ADD_DECISIONS.write_async(session, rows)


# --- statistics


async def count_waiting(session: AsyncSession, now: datetime) -> tuple[list[int], datetime | None]:
    """Count how many wait for review, by age as WAITING_DAYS divides it, and since when the oldest does."""
    bounds = [now - timedelta(days=days) for days in reversed(WAITING_DAYS[1:])]
    # 0 for what is older than the first bound, and so on up to what is newer than the last.
    age = sa.func.width_bucket(Item.submitted_at, sa.cast(bounds, ARRAY(sa.DateTime(timezone=True))))
    statement = sa.select(age, sa.func.count(), sa.func.min(Item.submitted_at)).where(Item.status == "pending_review")
    rows = (await session.execute(statement.group_by(age))).all()
    counts = {row[0]: row[1] for row in rows}
    return [counts.get(len(bounds) - n, 0) for n in range(len(WAITING_DAYS))], min(
        (row[2] for row in rows), default=None
    )


async def count_decisions(session: AsyncSession, since: datetime) -> list[DecisionCount]:
    """Count the decisions that were not refused by day in Asia/Shanghai, action and reason."""
    day = sa.cast(sa.func.timezone(str(SHANGHAI), Decision.decided_at), sa.Date)
    counted = (day, Decision.action, Decision.reason_code)
    statement = sa.select(*counted, sa.func.count()).where(Decision.outcome != "refused", Decision.decided_at >= since)
    return [DecisionCount(*row) for row in await session.execute(statement.group_by(*counted))]
