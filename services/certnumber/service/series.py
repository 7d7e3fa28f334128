"""How numbers are written: the series, by post, and what changes when an administrator changes one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from services.certnumber import queries
from services.certnumber.audit import AuditAction, record
from services.certnumber.container import CertnumberContainer
from services.certnumber.domain import Layout, LayoutError, conflicting_posts
from services.certnumber.errors import LayoutInvalid, SeriesConflict, SeriesInUse, SeriesNotFound
from services.certnumber.models import Series
from services.certnumber.schemas import SeriesChange, SeriesCreation
from shared.auth.tokens import Principal
from shared.persistence.db import after_commit
from shared.web.pagination import PageRequest, split_page


@dataclass(frozen=True)
class CountedSeries:
    """A series with its counters: the last serial given, by period."""

    series: Series
    last: Mapping[int, int]


async def list_series(session: AsyncSession, page: PageRequest) -> tuple[list[CountedSeries], str | None]:
    """Read a page of series, newest first, and the cursor of the next page."""
    found = await queries.list_series(session, page)
    rows, next_cursor = split_page(found, page, lambda series: (series.created_at, series.id))
    return await _counted(session, rows), next_cursor


async def create_series(
    container: CertnumberContainer, session: AsyncSession, principal: Principal, creation: SeriesCreation
) -> CountedSeries:
    """Add a series. Raises LayoutInvalid, SeriesConflict."""
    await queries.lock_series(session)
    now = container.clock.now()
    series = Series(id=uuid4(), created_at=now, updated_at=now, **creation.model_dump())
    session.add(series)
    await _put_into_force(container, session, series)
    record(session, now, principal, AuditAction.series_created, series, new=_rule(series))
    return CountedSeries(series, {})


async def change_series(
    container: CertnumberContainer, session: AsyncSession, principal: Principal, series_id: UUID, change: SeriesChange
) -> CountedSeries:
    """Change a series; numbers already given stay.

    Raises SeriesNotFound, SeriesInUse, LayoutInvalid, SeriesConflict.
    """
    await queries.lock_series(session)
    series = await queries.find_series(session, series_id)
    if series is None:
        raise SeriesNotFound
    (counted,) = await _counted(session, [series])
    if change.yearly not in (None, series.yearly) and counted.last:
        raise SeriesInUse
    old = _rule(series)
    for field in change.model_fields_set:
        value = getattr(change, field)
        if value is not None or field == "posts":
            setattr(series, field, value)
    series.updated_at = container.clock.now()
    await _put_into_force(container, session, series)
    if any(last > Layout(series.layout).capacity for last in counted.last.values()):
        raise LayoutInvalid("layout", "流水号位数容不下已产生的编号，请保持或增加位数")
    record(session, series.updated_at, principal, AuditAction.series_changed, series, old=old, new=_rule(series))
    return counted


async def _counted(session: AsyncSession, rows: Sequence[Series]) -> list[CountedSeries]:
    counters = await queries.list_counters(session, [series.id for series in rows])
    return [
        CountedSeries(series, {counter.period: counter.last for counter in counters if counter.series_id == series.id})
        for series in rows
    ]


def _rule(series: Series) -> dict[str, object]:
    return {field: getattr(series, field) for field in SeriesCreation.model_fields}


async def _put_into_force(container: CertnumberContainer, session: AsyncSession, series: Series) -> None:
    """Check the series among its peers and give failed approvals another chance under it."""
    try:
        Layout.parse(series.layout, yearly=series.yearly)
    except LayoutError as error:
        raise LayoutInvalid("layout", str(error)) from None
    if series.active:
        with session.no_autoflush:
            others = await queries.other_active_series(session, series.id)
        for other in others:
            posts = conflicting_posts(series.posts, other.posts)
            if posts is not None:
                raise SeriesConflict(posts=posts, series_id=other.id)
    await queries.reopen_failed(session)
    after_commit(session, container.waker.wake)
