"""HTTP routes of the certnumber service: parse, one use case, answer with a view."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query

from services.certnumber import views
from services.certnumber.audit import AUDIT_LABELS, AuditAction
from services.certnumber.container import CertnumberContainer
from services.certnumber.domain import MAX_NUMBER
from services.certnumber.errors import (
    CertificateNotFound,
    LayoutInvalid,
    SeriesClash,
    SeriesConflict,
    SeriesInUse,
    SeriesNotFound,
)
from services.certnumber.schemas import (
    CertificateRead,
    Proof,
    SeriesChange,
    SeriesCreation,
    SeriesDraft,
    SeriesPreview,
    SeriesRead,
)
from services.certnumber.service import certificates, proof, series, trail
from shared.audit.endpoints import Alternatives, audit_router
from shared.auth.access import allow
from shared.auth.tokens import Principal
from shared.web.openapi import problems
from shared.web.pagination import InvalidCursor, Page, Paging
from shared.web.ratelimit import rate_limit
from shared.web.routing import CONTAINER, Session, transactional_router
from shared.web.validation import CertificateNumber, Sought

router = transactional_router()


async def narrow_audit(
    series: Annotated[Sought | None, Query(max_length=100, description="any part of a series' name")] = None,
) -> Alternatives:
    """Read this trail's own filters, as a FastAPI dependency."""
    return trail.narrow(series)


audit = audit_router(AuditAction, AUDIT_LABELS, narrowing=narrow_audit, naming=trail.name_subjects)


OwnContainer = Annotated[CertnumberContainer, CONTAINER]
Administrator = Annotated[Principal, allow("admin")]
Staff = Annotated[Principal, allow("reviewer", "registrar", "admin")]
NumberText = Annotated[CertificateNumber, Path(max_length=MAX_NUMBER)]


@router.get(
    "/certificates/{number}",
    responses=problems(CertificateNotFound),
    dependencies=[Depends(rate_limit("60/minute"))],
)
async def verify_certificate(session: Session, number: NumberText) -> CertificateRead:
    """What anyone may know of a certificate's number. Width, spaces, kinds of bracket and dash make no difference."""
    return views.certificate(await certificates.find_certificate(session, number))


@router.get("/series", responses=problems(InvalidCursor))
async def list_series(container: OwnContainer, session: Session, _: Administrator, page: Paging) -> Page[SeriesRead]:
    """How numbers are written, the newest series first."""
    rows, next_cursor = await series.list_series(container, session, page)
    now = container.clock.now()
    return Page(items=[views.series(row, now) for row in rows], next_cursor=next_cursor)


@router.post("/series", status_code=201, responses=problems(LayoutInvalid, SeriesConflict, SeriesClash))
async def create_series(
    container: OwnContainer, session: Session, principal: Administrator, body: SeriesCreation
) -> SeriesRead:
    """Add a series. Approvals that could not be numbered are tried again."""
    created = await series.create_series(container, session, principal, body)
    return views.series(created, container.clock.now())


@router.post("/series/preview", responses=problems(SeriesNotFound, SeriesInUse, LayoutInvalid))
async def preview_series(
    container: OwnContainer, session: Session, _: Administrator, body: SeriesDraft
) -> SeriesPreview:
    """The numbers a series would give next, and whether it could be saved. Nothing is saved."""
    return views.preview(await series.preview_series(container, session, body), container.clock.now())


@router.get("/series/{series_id}", responses=problems(SeriesNotFound))
async def read_series(container: OwnContainer, session: Session, _: Administrator, series_id: UUID) -> SeriesRead:
    """One series, as the list has it."""
    return views.series(await series.read_series(container, session, series_id), container.clock.now())


@router.patch(
    "/series/{series_id}",
    responses=problems(SeriesNotFound, SeriesInUse, LayoutInvalid, SeriesConflict, SeriesClash),
)
async def change_series(
    container: OwnContainer, session: Session, principal: Administrator, series_id: UUID, body: SeriesChange
) -> SeriesRead:
    """Change a series, also while it is in use; numbers already given stay as they are."""
    changed = await series.change_series(container, session, principal, series_id, body)
    return views.series(changed, container.clock.now())


@router.get("/proof")
async def read_proof(container: OwnContainer, session: Session, _: Staff) -> Proof:
    """Per series: is it 1..N without gap or repeat, and who still waits for a number?"""
    return views.proof(await proof.prove(session, container.clock))
