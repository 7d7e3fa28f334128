"""All SQL of the review service."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from operator import eq, ge, le
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.operators import in_op

from services.review.domain import WAITING_DAYS
from services.review.models import (
    Base,
    Decision,
    DecisionCount,
    DecisionOutcome,
    DeskItem,
    Item,
    ItemRevision,
    ItemState,
    Neighbour,
    NewDecision,
    NumberingFailure,
    RefusedDecision,
    Reviewer,
    SubmittedRevision,
)
from services.review.schemas import AuditSearch, ItemSearch
from shared.persistence.search import contains_by_index, search_key
from shared.values.clock import SHANGHAI
from shared.web.pagination import PageRequest, apply_filters, keyset

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


async def put_states(session: AsyncSession, rows: Sequence[ItemState]) -> None:
    """Insert or overtake items by application; a row applies only if its change_no is higher. Rows must be sorted."""
    statement = insert(Item)
    newer = statement.on_conflict_do_update(
        index_elements=[Item.application_id],
        set_={name: statement.excluded[name] for name in ItemState.__annotations__ if name != "application_id"},
        where=statement.excluded.change_no > Item.change_no,
    )
    await session.execute(newer.returning(Item.application_id), list(rows))


async def put_revisions(session: AsyncSession, rows: Sequence[SubmittedRevision]) -> None:
    statement = insert(ItemRevision).on_conflict_do_nothing().returning(ItemRevision.revision)
    await session.execute(statement, list(rows))


async def put_refusals(session: AsyncSession, rows: Sequence[RefusedDecision]) -> None:
    """Write refusals beside the items: the one of the highest change_no stays, and of equal ones always the same."""
    new = _news(Item, rows)
    newer = sa.tuple_(new.refusal_change_no, new.refusal_decision) > sa.tuple_(
        Item.refusal_change_no, Item.refusal_decision
    )
    await _update_from(session, new, Item.application_id, sa.or_(Item.refusal_change_no.is_(None), newer))


async def put_numbering_failures(session: AsyncSession, rows: Sequence[NumberingFailure]) -> None:
    """Write failures beside the items: the one of the highest change_no stays."""
    new = _news(Item, rows)
    newer = sa.or_(Item.numbering_change_no.is_(None), new.numbering_change_no > Item.numbering_change_no)
    await _update_from(session, new, Item.application_id, newer)


async def put_outcomes(session: AsyncSession, rows: Sequence[DecisionOutcome]) -> None:
    """Write what became of decisions, by id; what is known already stays."""
    await _update_from(session, _news(Decision, rows), Decision.id, Decision.outcome == "asked")


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


def _news(model: type[Base], rows: Sequence[Mapping[str, Any]]) -> Any:
    """Give the rows as columns of a VALUES list, the key first."""
    columns = [sa.column(name, model.__table__.c[name].type) for name in rows[0]]
    return sa.values(*columns, name="news").data([tuple(row.values()) for row in rows]).c


async def _update_from(session: AsyncSession, new: Any, key: Any, newer: sa.ColumnElement[bool]) -> None:
    """Write every column of `new` beside the key where `newer` holds."""
    first, *others = new
    statement = sa.update(key.class_).where(key == first, newer).values({column.name: column for column in others})
    await session.execute(statement.execution_options(synchronize_session=False))


# --- the desk


def _with_pending() -> sa.Select[Any]:
    # A scalar subquery, of which the unique index allows one row: EXISTS could be planned as a scan of all decisions.
    asked = sa.select(sa.true()).where(
        Decision.application_id == Item.application_id,
        Decision.revision == Item.revision,
        Decision.decision_no == Item.decision_no,
        Decision.outcome == "asked",
    )
    return cast("sa.Select[Any]", sa.select(Item, sa.func.coalesce(asked.scalar_subquery(), sa.false())))


async def search_items(session: AsyncSession, search: ItemSearch, page: PageRequest) -> list[DeskItem]:
    """Find the items of a page; one more than the page holds."""
    statement = await _matching(session, _with_pending(), search)
    rows = await session.execute(keyset(statement, page, Item.added_at, Item.application_id))
    return [DeskItem(*row) for row in rows]


async def find_neighbours(
    session: AsyncSession, search: ItemSearch, item: Item
) -> tuple[Neighbour | None, Neighbour | None]:
    """Find what stands before and after the item in the list of a search, in which it need not be itself."""
    columns = cast("sa.Select[Any]", sa.select(Item.application_id, Item.name, Item.status))
    statement = await _matching(session, columns, search)
    order, here = (Item.added_at, Item.application_id), sa.tuple_(item.added_at, item.application_id)
    newer = statement.where(sa.tuple_(*order) > here).order_by(*order)
    older = statement.where(sa.tuple_(*order) < here).order_by(*(column.desc() for column in order))
    previous, following = [(await session.execute(one.limit(1))).one_or_none() for one in (newer, older)]
    return previous and Neighbour(*previous), following and Neighbour(*following)


async def _matching(session: AsyncSession, statement: sa.Select[Any], search: ItemSearch) -> sa.Select[Any]:
    if search.name or search.enterprise:
        # The plan depends on how rare the fragment is; a prepared statement's general plan would scan the table.
        await session.execute(sa.text("SET LOCAL plan_cache_mode = force_custom_plan"))
    return apply_filters(
        statement,
        (Item.name, contains_by_index, search.name),
        (Item.id_number_index, eq, search.id_number_index),
        (Item.certificate_number, _is, search.certificate_number),
        (Item.post, eq, search.post),
        (Item.status, eq, search.status),
        (Item.enterprise_name, contains_by_index, search.enterprise),
        (Item.added_at, ge, search.added_from),
        (Item.added_at, le, search.added_to),
        (Item.application_id, in_op, search.application_ids),
    )


def matching_applications(search: AuditSearch) -> sa.Select[Any]:
    """Select the ids of the applications an audit search is about."""
    return apply_filters(
        sa.select(Item.application_id),
        (Item.application_number, eq, search.application_number),
        (Item.name, contains_by_index, search.name),
        (Item.id_number_index, eq, search.id_number_index),
        (Item.enterprise_name, contains_by_index, search.enterprise),
        (Item.enterprise_id, eq, search.enterprise_id),
    )


async def items_by_id(session: AsyncSession, application_ids: Collection[UUID]) -> dict[UUID, tuple[str, str, str]]:
    """Find number, person's name and enterprise of applications."""
    columns = (Item.application_id, Item.application_number, Item.name, Item.enterprise_name)
    rows = await session.execute(sa.select(*columns).where(Item.application_id.in_(application_ids)))
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


def _is(column: Any, text: str) -> sa.ColumnElement[bool]:
    return search_key(column) == search_key(text)


async def find_item(session: AsyncSession, application_id: UUID) -> DeskItem | None:
    row = (await session.execute(_with_pending().where(Item.application_id == application_id))).one_or_none()
    return row and DeskItem(*row)


async def lock_items(session: AsyncSession, application_ids: Collection[UUID]) -> dict[UUID, Item]:
    statement = sa.select(Item).where(Item.application_id.in_(application_ids))
    rows = await session.scalars(statement.order_by(Item.application_id).with_for_update())
    return {item.application_id: item for item in rows}


async def list_decisions(session: AsyncSession, application_id: UUID) -> Sequence[Decision]:
    """List them newest first."""
    statement = sa.select(Decision).where(Decision.application_id == application_id)
    return (await session.scalars(statement.order_by(Decision.decided_at.desc(), Decision.id))).all()


async def list_revisions(session: AsyncSession, application_id: UUID) -> Sequence[ItemRevision]:
    """List them oldest first."""
    statement = sa.select(ItemRevision).where(ItemRevision.application_id == application_id)
    return (await session.scalars(statement.order_by(ItemRevision.revision))).all()


async def last_decisions(session: AsyncSession, application_ids: Collection[UUID]) -> dict[UUID, Decision]:
    """Find the newest decision that was not refused, by application."""
    statement = (
        sa.select(Decision)
        .ext(distinct_on(Decision.application_id))
        .where(Decision.application_id.in_(application_ids), Decision.outcome != "refused")
        .order_by(Decision.application_id, Decision.revision.desc(), Decision.decision_no.desc())
    )
    return {decision.application_id: decision for decision in await session.scalars(statement)}


async def add_decisions(session: AsyncSession, rows: Sequence[NewDecision]) -> None:
    await session.execute(sa.insert(Decision).returning(Decision.id), list(rows))


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
