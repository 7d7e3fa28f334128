"""HTTP routes of the certnumber service: parse, one use case, answer."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path
from sqlalchemy.ext.asyncio import AsyncSession

from services.certnumber import queries, service
from services.certnumber.container import CertnumberContainer
from services.certnumber.domain import MAX_NUMBER, NOT_YEARLY, Layout, NumberState
from services.certnumber.errors import (
    CertificateNotFound,
    LayoutInvalid,
    SeriesConflict,
    SeriesInUse,
    SeriesNotFound,
)
from services.certnumber.models import Series
from services.certnumber.proof import prove
from services.certnumber.schemas import (
    CertificateRead,
    CounterRead,
    Proof,
    SeriesChange,
    SeriesCreation,
    SeriesRead,
)
from shared.auth.access import allow
from shared.auth.tokens import Principal
from shared.values.clock import business_day
from shared.web.openapi import problems
from shared.web.pagination import InvalidCursor, Page, Paging, split_page
from shared.web.ratelimit import rate_limit
from shared.web.routing import CONTAINER, Session, transactional_router
from shared.web.validation import PRINTABLE

router = transactional_router()


Deps = Annotated[CertnumberContainer, CONTAINER]
Admin = Annotated[Principal, allow("admin")]
Staff = Annotated[Principal, allow("reviewer", "registrar", "admin")]
NumberText = Annotated[str, Path(min_length=1, max_length=MAX_NUMBER, pattern=PRINTABLE)]


@router.get(
    "/certificates/{number}",
    responses=problems(CertificateNotFound),
    dependencies=[Depends(rate_limit("60/minute"))],
)
async def verify_certificate(session: Session, number: NumberText) -> CertificateRead:
    """What anyone may know of a certificate's number. Full-width and half-width characters are the same."""
    entry, successor = await service.find_certificate(session, number)
    voided_on = business_day(entry.voided_at) if entry.voided_at else None
    return CertificateRead(
        number=entry.number,
        status=NumberState.void if successor else NumberState(entry.state),
        post=entry.post_name,
        holder=entry.holder_masked,
        enterprise=entry.enterprise_name,
        issued_on=entry.issued_on,
        voided_on=voided_on or (successor.issued_on if successor else None),
        replaces=entry.replaces,
        replaced_by=successor.number if successor else None,
    )


async def _read(container: CertnumberContainer, session: AsyncSession, rows: Sequence[Series]) -> list[SeriesRead]:
    counters = await queries.list_counters(session, [series.id for series in rows])
    year = business_day(container.clock.now()).year
    read = []
    for series in rows:
        layout = Layout(series.layout)
        last = {counter.period: counter.last for counter in counters if counter.series_id == series.id}
        serial = last.get(year if series.yearly else NOT_YEARLY, 0) + 1
        read.append(
            SeriesRead(
                id=series.id,
                name=series.name,
                layout=series.layout,
                posts=series.posts,
                yearly=series.yearly,
                active=series.active,
                counters=[CounterRead(period=period, last=value) for period, value in last.items()],
                capacity=layout.capacity,
                example=layout.render((series.posts or ["10"])[0], year, min(serial, layout.capacity)),
                created_at=series.created_at,
                updated_at=series.updated_at,
            )
        )
    return read


@router.get("/series", responses=problems(InvalidCursor))
async def list_series(container: Deps, session: Session, _: Admin, page: Paging) -> Page[SeriesRead]:
    """How numbers are written, the newest series first."""
    rows, cursor = split_page(
        await queries.list_series(session, page), page, lambda series: (series.created_at, series.id)
    )
    return Page(items=await _read(container, session, rows), next_cursor=cursor)


@router.post("/series", status_code=201, responses=problems(LayoutInvalid, SeriesConflict))
async def create_series(container: Deps, session: Session, principal: Admin, body: SeriesCreation) -> SeriesRead:
    """Add a series. Approvals that could not be numbered are tried again."""
    return (await _read(container, session, [await service.create_series(container, session, principal, body)]))[0]


@router.patch("/series/{series_id}", responses=problems(SeriesNotFound, SeriesInUse, LayoutInvalid, SeriesConflict))
async def change_series(
    container: Deps, session: Session, principal: Admin, series_id: UUID, body: SeriesChange
) -> SeriesRead:
    """Change a series, also while it is in use; numbers already given stay as they are."""
    return (
        await _read(container, session, [await service.change_series(container, session, principal, series_id, body)])
    )[0]


@router.get("/proof")
async def read_proof(container: Deps, session: Session, _: Staff) -> Proof:
    """Per series: is it 1..N without gap or repeat, and who still waits for a number?"""
    return await prove(session, container.clock)
