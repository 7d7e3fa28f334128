"""HTTP routes of applications, for enterprises: parse, one use case, answer."""

from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import Depends, Query, Request, Response

from services.renewal import views
from services.renewal.audit import AUDIT_LABELS, AuditAction
from services.renewal.container import RenewalContainer
from services.renewal.domain import Status, sequence_of
from services.renewal.errors import (
    ApplicationNotFound,
    DuplicateImage,
    IdNumberInvalid,
    ImagesMissing,
    NotEligible,
    PersonNotFound,
    StaleRevision,
    TooManyPeople,
    UnknownPost,
    WrongState,
)
from services.renewal.letter import CONTENT_TYPE
from services.renewal.schemas import (
    ApplicationChange,
    ApplicationDetail,
    ApplicationDraft,
    ApplicationNumber,
    ApplicationRead,
    ApplicationSearch,
    AuditSearch,
    EligibilityRead,
    EligibilityRequest,
    PostRead,
    RevisionRequest,
)
from services.renewal.service import applications, eligibility, trail
from shared.audit.endpoints import Alternatives, audit_router
from shared.auth.access import allow
from shared.auth.tokens import Principal
from shared.web.openapi import problems
from shared.web.pagination import InvalidCursor, Page, Paging
from shared.web.ratelimit import limit_distinct, rate_limit
from shared.web.routing import CONTAINER, Session, bare_router, transactional_router
from shared.web.validation import FromMoment, Identifier, Ids, Sought, ToMoment

router = transactional_router()
# Bare: a letter takes a while to make.
letters = bare_router()
BINARY = {"type": "string", "format": "binary"}


OwnContainer = Annotated[RenewalContainer, CONTAINER]
Enterprise = Annotated[Principal, allow("enterprise")]


async def narrow_audit(
    container: OwnContainer,
    application_number: Annotated[ApplicationNumber | None, Query(description="HZ and digits, or these alone")] = None,
    name: Annotated[Sought | None, Query(max_length=50, description="any part of the person's name")] = None,
    id_number: Annotated[Identifier | None, Query(max_length=40, description="the person's, whole")] = None,
    enterprise: Annotated[Sought | None, Query(max_length=100, description="any part of the name")] = None,
    enterprise_id: UUID | None = None,
) -> Alternatives:
    """Read this trail's own filters, as a FastAPI dependency. Raises IdNumberInvalid."""
    search = AuditSearch(
        sequence=sequence_of(application_number) if application_number else None,
        name=name,
        id_number=eligibility.index_and_mask(container, id_number) if id_number else None,
        enterprise=enterprise,
        enterprise_id=enterprise_id,
    )
    return trail.narrow(search)


audit = audit_router(
    AuditAction, AUDIT_LABELS, narrowing=narrow_audit, naming=trail.name_subjects, refusals=(IdNumberInvalid,)
)
Anyone = Annotated[Principal, allow("enterprise", "reviewer", "registrar", "admin")]


@router.get("/posts")
async def list_posts(session: Session, _: Anyone) -> list[PostRead]:
    """The posts a certificate can be renewed for."""
    return [views.post(post) for post in await applications.list_posts(session)]


@router.post(
    "/eligibility-checks",
    responses=problems(IdNumberInvalid, PersonNotFound, UnknownPost),
    dependencies=[Depends(rate_limit("120/minute"))],
)
async def check_eligibility(
    request: Request, container: OwnContainer, session: Session, _: Enterprise, body: EligibilityRequest
) -> EligibilityRead:
    """Check a person against every rule, for one post or for all."""
    await _limit_people(request, container, body.id_number)
    return views.eligibility(await eligibility.check_eligibility(container, session, body))


async def _limit_people(request: Request, container: RenewalContainer, id_number: str) -> None:
    """Raises IdNumberInvalid, TooManyPeople."""
    person = container.cipher.blind_index(eligibility.parse_id_number(container, id_number))
    most = container.people_per_day
    # Several enterprises may share an address.
    await limit_distinct(request, "people", person, TooManyPeople, account=most, address=5 * most)


@router.post(
    "/applications",
    status_code=201,
    responses=problems(IdNumberInvalid, PersonNotFound, UnknownPost),
    dependencies=[Depends(rate_limit("120/minute"))],
)
async def create_application(
    request: Request, container: OwnContainer, session: Session, principal: Enterprise, body: ApplicationDraft
) -> ApplicationRead:
    """Begin an application as a draft."""
    await _limit_people(request, container, body.id_number)
    return views.overview(container, await applications.create_application(container, session, principal, body))


@router.get("/applications", responses=problems(InvalidCursor))
async def list_applications(
    container: OwnContainer,
    session: Session,
    principal: Enterprise,
    page: Paging,
    status: Status | None = None,
    name: Annotated[Sought | None, Query(max_length=50)] = None,
    added_from: FromMoment | None = None,
    added_to: ToMoment | None = None,
    application_ids: Annotated[Ids | None, Query(description="repeated, or with commas between")] = None,
) -> Page[ApplicationRead]:
    """The enterprise's own applications, newest first."""
    search = ApplicationSearch(
        enterprise_id=principal.subject,
        status=status,
        name=name,
        added_from=added_from,
        added_to=added_to,
        application_ids=application_ids,
    )
    found, next_cursor = await applications.list_applications(session, search, page)
    return Page(items=[views.overview(container, each) for each in found], next_cursor=next_cursor)


@router.get("/applications/{application_id}", responses=problems(ApplicationNotFound))
async def read_application(
    container: OwnContainer, session: Session, principal: Enterprise, application_id: UUID
) -> ApplicationDetail:
    """One application with its history."""
    return views.detail(container, await applications.read_application(session, application_id, principal.subject))


@router.get("/applications/{application_id}/eligibility", responses=problems(ApplicationNotFound))
async def check_application(
    container: OwnContainer, session: Session, principal: Enterprise, application_id: UUID
) -> EligibilityRead:
    """Check the person for the application's post and every other, as submitting it today would."""
    checked = await applications.read_eligibility(container, session, application_id, principal.subject)
    return views.eligibility(checked)


@router.patch(
    "/applications/{application_id}",
    responses=problems(ApplicationNotFound, StaleRevision, WrongState, UnknownPost),
)
async def change_application(
    container: OwnContainer, session: Session, principal: Enterprise, application_id: UUID, body: ApplicationChange
) -> ApplicationRead:
    """Change the post while the application is a draft or rejected."""
    found = await applications.change_application(container, session, principal.subject, application_id, body)
    return views.overview(container, found)


@letters.get(
    "/applications/{application_id}/commitment-letter",
    response_class=Response,
    responses={
        200: {"description": "承诺书", "content": {CONTENT_TYPE: {"schema": BINARY}}},
        **problems(ApplicationNotFound),
    },
    dependencies=[Depends(rate_limit("60/minute"))],
)
async def get_commitment_letter(container: OwnContainer, principal: Enterprise, application_id: UUID) -> Response:
    """The 承诺书 template, filled in, as .docx. It shows the full id number: the audit trail says so, once a day."""
    name, data = await applications.commitment_letter(container, principal, application_id)
    disposition = f"attachment; filename=\"commitment-letter.docx\"; filename*=UTF-8''{quote(name)}"
    return Response(data, media_type=CONTENT_TYPE, headers={"Content-Disposition": disposition})


@router.post(
    "/applications/{application_id}/submission",
    responses=problems(ApplicationNotFound, StaleRevision, WrongState, ImagesMissing, DuplicateImage, NotEligible),
)
async def submit_application(
    container: OwnContainer, session: Session, principal: Enterprise, application_id: UUID, body: RevisionRequest
) -> ApplicationRead:
    """Submit a draft, or resubmit a rejected application, for review."""
    found = await applications.submit_application(container, session, principal.subject, application_id, body.revision)
    return views.overview(container, found)


@router.post(
    "/applications/{application_id}/cancellation",
    responses=problems(ApplicationNotFound, StaleRevision, WrongState),
)
async def cancel_application(
    container: OwnContainer, session: Session, principal: Enterprise, application_id: UUID, body: RevisionRequest
) -> ApplicationRead:
    """Cancel an application that is a draft, waiting for review or rejected."""
    found = await applications.cancel_application(container, session, principal.subject, application_id, body.revision)
    return views.overview(container, found)
