"""What reviewers look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.review import queries
from services.review.domain import AuditAction
from services.review.errors import IdNumberInvalid, ItemNotFound
from services.review.models import PERSON_AT_REST, Decision, Item, ItemPerson, ItemRevision
from services.review.queries import Decided, ItemSearch, Neighbour
from services.review.service.audit import record
from shared.auth.tokens import Principal
from shared.runtime.container import Container
from shared.values import idnumber
from shared.values.clock import business_day, start_of_business_day


@dataclass(frozen=True)
class Dossier:
    """An item with all that is known of it; revisions oldest first, decisions newest first."""

    item: Item
    pending: bool
    decisions: Sequence[Decision]
    revisions: Sequence[ItemRevision]


@dataclass(frozen=True)
class Statistics:
    """`waiting` counts by age as WAITING_DAYS divides it; `days` are the window's, oldest first."""

    waiting: Sequence[int]
    oldest_waiting_at: datetime | None
    days: Sequence[date]
    decided: Sequence[Decided]


def person(container: Container, item: Item) -> ItemPerson:
    """Raises DecryptionFailed."""
    return container.cipher.open(item.person, PERSON_AT_REST, ItemPerson)


def search_key(container: Container, id_number: str) -> str:
    """The blind index of an id number typed by a person. Raises IdNumberInvalid."""
    try:
        number = idnumber.parse(id_number, business_day(container.clock.now()))
    except idnumber.InvalidIdNumber as error:
        raise IdNumberInvalid("id_number", error.message) from None
    return container.cipher.blind_index(number.value)


async def open_dossier(
    container: Container, session: AsyncSession, principal: Principal, application_id: UUID
) -> Dossier:
    """Shows the full id number, so it leaves an audit entry. Raises ItemNotFound."""
    found = await queries.find_item(session, application_id)
    if found is None:
        raise ItemNotFound
    record(container, session, principal, AuditAction.id_number_revealed, application_id)
    item, pending = found
    return Dossier(
        item,
        pending,
        await queries.decisions_of(session, application_id),
        await queries.revisions_of(session, application_id),
    )


async def neighbours(
    session: AsyncSession, application_id: UUID, search: ItemSearch
) -> tuple[Neighbour | None, Neighbour | None]:
    """What stands before and after an item in the list of a search. Raises ItemNotFound."""
    found = await queries.find_item(session, application_id)
    if found is None:
        raise ItemNotFound
    return await queries.neighbours(session, search, found[0])


async def statistics(container: Container, session: AsyncSession, days: int) -> Statistics:
    """The window is today and the days before it."""
    now = container.clock.now()
    today = business_day(now)
    window = [today - timedelta(days=back) for back in reversed(range(days))]
    counts, oldest = await queries.waiting(session, now)
    return Statistics(counts, oldest, window, await queries.decided(session, start_of_business_day(window[0])))
