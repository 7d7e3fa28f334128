"""What reviewers look at: the list, the dossier, the statistics."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.review import listing, queries
from services.review.audit import AuditAction, record
from services.review.errors import IdNumberInvalid, ItemNotFound
from services.review.models import Decision, DecisionCount, DeskItem, ItemRevision, ListedItem, Neighbour
from services.review.schemas import ItemSearch
from shared.auth.tokens import Principal
from shared.runtime.container import Container
from shared.values import idnumber
from shared.values.clock import business_day, start_of_business_day
from shared.web.pagination import PageRequest, split_page


@dataclass(frozen=True)
class Dossier:
    """An item with all that is known of it; revisions oldest first, decisions newest first."""

    found: DeskItem
    decisions: Sequence[Decision]
    revisions: Sequence[ItemRevision]


@dataclass(frozen=True)
class Statistics:
    """`waiting` counts by age as WAITING_DAYS divides it; `days` are the window's, oldest first."""

    waiting: Sequence[int]
    oldest_waiting_at: datetime | None
    days: Sequence[date]
    decided: Sequence[DecisionCount]


def index_id_number(container: Container, id_number: str) -> str:
    """Give the blind index of an id number that a person typed. Raises IdNumberInvalid."""
    try:
        number = idnumber.parse(id_number, business_day(container.clock.now()))
    except idnumber.InvalidIdNumber as error:
        raise IdNumberInvalid("id_number", error.message) from None
    return container.cipher.blind_index(number.value)


async def list_items(
    container: Container, search: ItemSearch, page: PageRequest
) -> tuple[list[ListedItem], str | None]:
    """Find a page of items, newest first, and the cursor of the next page."""
    found = await listing.search_items(container.database.read, search, page.after, page.limit + 1)
    return split_page(found, page, lambda item: (item.added_at, item.application_id))


async def open_dossier(
    container: Container, session: AsyncSession, principal: Principal, application_id: UUID
) -> Dossier:
    """Read all that is known of an item. Whoever does sees the full id number, so it leaves an audit entry.

    Raises ItemNotFound.
    """
    found = await queries.find_item(session, application_id)
    if found is None:
        raise ItemNotFound
    record(container, session, principal, AuditAction.id_number_revealed, application_id)
    return Dossier(
        found,
        await queries.list_decisions(session, application_id),
        await queries.list_revisions(session, application_id),
    )


async def find_neighbours(
    container: Container, application_id: UUID, search: ItemSearch
) -> tuple[Neighbour | None, Neighbour | None]:
    """Find what stands before and after an item in the list of a search. Raises ItemNotFound."""
    position = await listing.find_position(container.database.read, application_id)
    if position is None:
        raise ItemNotFound
    return await listing.find_neighbours(container.database.read, search, position)


async def read_statistics(container: Container, session: AsyncSession, days: int) -> Statistics:
    """Count what waits, and what was decided today and on the days before, `days` in all."""
    now = container.clock.now()
    today = business_day(now)
    window = [today - timedelta(days=back) for back in reversed(range(days))]
    counts, oldest = await queries.count_waiting(session, now)
    return Statistics(counts, oldest, window, await queries.count_decisions(session, start_of_business_day(window[0])))
