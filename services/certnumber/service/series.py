"""How numbers are written: the series, by post, and what changes when an administrator changes one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from services.certnumber import queries
from services.certnumber.audit import AuditAction, record
from services.certnumber.container import CertnumberContainer
from services.certnumber.domain import Layout, LayoutError, conflicting_posts
from services.certnumber.errors import LayoutInvalid, SeriesClash, SeriesConflict, SeriesInUse, SeriesNotFound
from services.certnumber.models import Series
from services.certnumber.schemas import SeriesChange, SeriesCreation, SeriesDraft
from services.certnumber.service.clashes import Clash, Press, refuse_clashes
from shared.auth.tokens import Principal
from shared.persistence.db import after_commit
from shared.web.pagination import PageRequest, split_page


@dataclass(frozen=True)
class CountedSeries:
    """A series with its counters: the last serial given, by period.

    `clash` is a number that another active series would print too (saved before that was refused), `failed` how many
    approvals of its posts could not be numbered.
    """

    series: Series
    last: Mapping[int, int]
    clash: Clash | None = None
    failed: int = 0


@dataclass(frozen=True)
class Preview:
    """A series as it would be, and why it cannot be saved, if so."""

    series: Series
    last: Mapping[int, int]
    refusal: SeriesConflict | SeriesClash | None


async def list_series(
    container: CertnumberContainer, session: AsyncSession, page: PageRequest
) -> tuple[list[CountedSeries], str | None]:
    """Read a page of series, newest first, and the cursor of the next page."""
    found = await queries.list_series(session, page)
    rows, next_cursor = split_page(found, page, lambda series: (series.created_at, series.id))
    return await _counted(container, session, rows), next_cursor


async def read_series(container: CertnumberContainer, session: AsyncSession, series_id: UUID) -> CountedSeries:
    """Read a series. Raises SeriesNotFound."""
    (counted,) = await _counted(container, session, [await _find(session, series_id)])
    return counted


async def create_series(
    container: CertnumberContainer, session: AsyncSession, principal: Principal, creation: SeriesCreation
) -> CountedSeries:
    """Add a series. Raises LayoutInvalid, SeriesConflict, SeriesClash."""
    await queries.lock_series(session)
    now = container.clock.now()
    series = Series(id=uuid4(), created_at=now, updated_at=now, **creation.model_dump())
    await _check(session, now, series, None, {})
    session.add(series)
    await _put_into_force(container, session)
    record(session, now, principal, AuditAction.series_created, series, new=_rule(series))
    return CountedSeries(series, {})


async def change_series(
    container: CertnumberContainer, session: AsyncSession, principal: Principal, series_id: UUID, change: SeriesChange
) -> CountedSeries:
    """Change a series; numbers already given stay.

    Raises SeriesNotFound, SeriesInUse, LayoutInvalid, SeriesConflict, SeriesClash.
    """
    await queries.lock_series(session)
    series = await _find(session, series_id)
    last = await _last(session, series)
    old = _rule(series)
    with session.no_autoflush:
        for field in change.model_fields_set:
            value = getattr(change, field)
            if value is not None or field == "posts":
                setattr(series, field, value)
        series.updated_at = container.clock.now()
        await _check(session, series.updated_at, series, old, last)
    await _put_into_force(container, session)
    record(session, series.updated_at, principal, AuditAction.series_changed, series, old=old, new=_rule(series))
    (counted,) = await _counted(container, session, [series])
    return counted


async def preview_series(container: CertnumberContainer, session: AsyncSession, draft: SeriesDraft) -> Preview:
    """Show what a series would print, saved or not. Nothing changes.

    Raises SeriesNotFound, SeriesInUse, LayoutInvalid.
    """
    now = container.clock.now()
    known = await _find(session, draft.series_id) if draft.series_id else None
    last = await _last(session, known) if known else {}
    values = draft.model_dump(exclude={"series_id"})
    series = Series(id=known.id if known else uuid4(), created_at=now, updated_at=now, **values)
    refusal = None
    try:
        await _check(session, now, series, _rule(known) if known else None, last)
    except (SeriesConflict, SeriesClash) as error:
        refusal = error
    return Preview(series, last, refusal)


async def _find(session: AsyncSession, series_id: UUID) -> Series:
    series = await queries.find_series(session, series_id)
    if series is None:
        raise SeriesNotFound
    return series


async def _last(session: AsyncSession, series: Series) -> dict[int, int]:
    return {counter.period: counter.last for counter in await queries.list_counters(session, [series.id])}


async def _counted(
    container: CertnumberContainer, session: AsyncSession, rows: Sequence[Series]
) -> list[CountedSeries]:
    press = await Press.load(session, container.clock.now(), await queries.active_series(session))
    counters = await queries.list_counters(session, [series.id for series in rows])
    failed = await queries.count_failed(session)
    return [
        CountedSeries(
            series,
            {counter.period: counter.last for counter in counters if counter.series_id == series.id},
            press.clash(series, press.prints(series)) if series.active else None,
            sum(failed.get(post, 0) for post in press.posts(series)) if series.active else 0,
        )
        for series in rows
    ]


def _rule(series: Series) -> dict[str, object]:
    return {field: getattr(series, field) for field in SeriesCreation.model_fields}


async def _check(
    session: AsyncSession, now: datetime, series: Series, old: Mapping[str, object] | None, last: Mapping[int, int]
) -> None:
    """Check the series, which replaces what was `old`, by itself and among its peers.

    Raises SeriesInUse, LayoutInvalid, SeriesConflict, SeriesClash.
    """
    if old is not None and old["yearly"] != series.yearly and any(last.values()):
        raise SeriesInUse
    try:
        layout = Layout.parse(series.layout, yearly=series.yearly)
    except LayoutError as error:
        raise LayoutInvalid("layout", str(error)) from None
    if any(number > layout.capacity for number in last.values()):
        raise LayoutInvalid("layout", "流水号位数容不下已产生的编号，请保持或增加位数")
    if series.active:
        for other in await queries.active_series(session):
            posts = conflicting_posts(series.posts, other.posts) if other.id != series.id else None
            if posts is not None:
                raise SeriesConflict(posts=posts, series_id=other.id)
    await refuse_clashes(session, now, series, old)


async def _put_into_force(container: CertnumberContainer, session: AsyncSession) -> None:
    """Give failed approvals another chance under the changed series."""
    await queries.reopen_failed(session)
    after_commit(session, container.waker.wake)
