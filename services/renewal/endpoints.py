"""HTTP routes for enterprises (and the pictures, for reviewers too): parse, one use case, answer."""

from collections.abc import Iterable
from typing import Annotated, cast
from urllib.parse import quote
from uuid import UUID

from fastapi import Depends, File, Query, Response, UploadFile

from services.renewal import queries
from services.renewal.container import RenewalContainer
from services.renewal.domain import LABELS, ImageKind, Post, Status, application_number
from services.renewal.errors import (
    ApplicationNotFound,
    DuplicateImage,
    IdNumberInvalid,
    ImageInvalidProblem,
    ImageNotFound,
    ImagesMissing,
    ImageTooLargeProblem,
    ImageTypeProblem,
    NotEligible,
    PersonNotFound,
    StaleRevision,
    UnknownPost,
    WrongState,
)
from services.renewal.letter import CONTENT_TYPE
from services.renewal.models import Application, ImageRow
from services.renewal.pictures import service as pictures
from services.renewal.queries import ApplicationSearch
from services.renewal.schemas import (
    ApplicationChange,
    ApplicationDetail,
    ApplicationDraft,
    ApplicationRead,
    EligibilityRead,
    EligibilityRequest,
    HistoryEntry,
    ImageRead,
    PersonRead,
    PostEligibility,
    PostRead,
    ReasonRead,
    RevisionRequest,
)
from services.renewal.service import applications, eligibility
from services.renewal.service.changes import ID_NUMBER
from services.renewal.service.eligibility import Eligibility
from shared.auth.access import allow
from shared.auth.tokens import Principal
from shared.values.idnumber import mask
from shared.web.openapi import problems
from shared.web.pagination import InvalidCursor, Page, Paging, split_page
from shared.web.ratelimit import rate_limit
from shared.web.routing import CONTAINER, Session, transactional_router
from shared.web.validation import PRINTABLE, FromMoment, Ids, ToMoment

router = transactional_router()
BINARY = {"type": "string", "format": "binary"}


Deps = Annotated[RenewalContainer, CONTAINER]
Enterprise = Annotated[Principal, allow("enterprise")]
EnterpriseOrReviewer = Annotated[Principal, allow("enterprise", "reviewer")]
Anyone = Annotated[Principal, allow("enterprise", "reviewer", "registrar", "admin")]


def read(
    container: RenewalContainer, application: Application, posts: dict[str, Post], images: Iterable[ImageRow]
) -> ApplicationRead:
    return ApplicationRead(
        id=application.id,
        application_number=application_number(application.sequence),
        status=application.status,
        status_label=LABELS[application.status],
        revision=application.revision,
        decision_no=application.decision_no,
        name=application.person.name,
        id_number_masked=mask(container.cipher.decrypt(application.person.id_number, ID_NUMBER)),
        post=application.post,
        post_name=posts[application.post].name,
        certificate_number=application.certificate_number,
        reason_code=application.reason_code,
        reason_label=application.reason_label,
        reason_field=application.reason_field,
        comment=application.comment,
        numbering_failure=application.numbering_failure,
        images=[_image(row) for row in images],
        added_at=application.added_at,
        submitted_at=application.submitted_at,
        updated_at=application.updated_at,
    )


def _image(row: ImageRow) -> ImageRead:
    return ImageRead(
        kind=cast(ImageKind, row.kind), sha256=row.sha256, width=row.width, height=row.height, bytes=row.bytes
    )


def _eligibility(result: Eligibility, eligible: bool) -> EligibilityRead:
    return EligibilityRead(
        eligible=eligible,
        person=PersonRead(
            name=result.person.name,
            id_number_masked=mask(result.id_number),
            sex="female" if result.person.sex == "female" else "male",
            birth_date=result.person.birth_date,
        ),
        reasons=[ReasonRead(code=r.code, rule=r.rule, message=r.message) for r in result.reasons],
        posts=[
            PostEligibility(
                code=post.code,
                name=post.name,
                eligible=not against,
                reasons=[ReasonRead(code=r.code, rule=r.rule, message=r.message) for r in against],
            )
            for post, against in result.posts
        ],
    )


async def _answer(container: RenewalContainer, session: Session, application: Application) -> ApplicationRead:
    images = await queries.current_images(session, [application.id])
    return read(container, application, await queries.posts(session), images[application.id])


@router.get("/posts")
async def list_posts(session: Session, _: Anyone) -> list[PostRead]:
    """The posts a certificate can be renewed for."""
    posts = await queries.posts(session)
    return [PostRead(code=post.code, name=post.name, family=post.family) for post in posts.values()]


@router.post(
    "/eligibility-checks",
    responses=problems(IdNumberInvalid, PersonNotFound, UnknownPost),
    dependencies=[Depends(rate_limit("120/minute"))],
)
async def check_eligibility(
    container: Deps, session: Session, _: Enterprise, body: EligibilityRequest
) -> EligibilityRead:
    """Check a person against every rule, for one post or for all."""
    result = await eligibility.check_eligibility(container, session, body.id_number, body.post)
    return _eligibility(result, result.eligible if body.post is None else not result.reasons)


@router.post("/applications", status_code=201, responses=problems(IdNumberInvalid, PersonNotFound, UnknownPost))
async def create_application(
    container: Deps, session: Session, principal: Enterprise, body: ApplicationDraft
) -> ApplicationRead:
    """Begin an application as a draft."""
    application = await applications.create_application(container, session, principal, body.id_number, body.post)
    return await _answer(container, session, application)


@router.get("/applications", responses=problems(InvalidCursor))
async def list_applications(
    container: Deps,
    session: Session,
    principal: Enterprise,
    page: Paging,
    status: Status | None = None,
    name: Annotated[str | None, Query(max_length=50, pattern=PRINTABLE)] = None,
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
    rows = await queries.search_applications(session, search, page)
    kept, next_cursor = split_page(rows, page, lambda row: (row.added_at, row.id))
    images = await queries.current_images(session, [row.id for row in kept])
    posts = await queries.posts(session)
    return Page(items=[read(container, row, posts, images[row.id]) for row in kept], next_cursor=next_cursor)


@router.get("/applications/{application_id}", responses=problems(ApplicationNotFound))
async def read_application(
    container: Deps, session: Session, principal: Enterprise, application_id: UUID
) -> ApplicationDetail:
    """One application with its history."""
    application, images, history = await applications.read_application(session, application_id, principal.subject)
    overview = read(container, application, await queries.posts(session), images)
    corrected = await applications.is_corrected(session, application, images)
    entries = [
        HistoryEntry(
            change_no=row.change_no,
            at=row.at,
            action=row.action,
            actor=row.actor,
            status=row.status,
            status_label=LABELS[row.status],
            revision=row.revision,
            decision_no=row.decision_no,
            reason_code=row.reason_code,
            reason_label=row.reason_label,
            reason_field=row.reason_field,
            comment=row.comment,
            certificate_number=row.certificate_number,
        )
        for row in history
    ]
    return ApplicationDetail(**overview.model_dump(), corrected=corrected, history=entries)


@router.get("/applications/{application_id}/eligibility", responses=problems(ApplicationNotFound))
async def check_application(
    container: Deps, session: Session, principal: Enterprise, application_id: UUID
) -> EligibilityRead:
    """Check the person for the application's post and every other, as submitting it today would."""
    application = await applications.get_application(session, application_id, principal.subject)
    result = await eligibility.application_eligibility(container, session, application)
    return _eligibility(result, not result.reasons)


@router.patch(
    "/applications/{application_id}",
    responses=problems(ApplicationNotFound, StaleRevision, WrongState, UnknownPost),
)
async def change_application(
    container: Deps, session: Session, principal: Enterprise, application_id: UUID, body: ApplicationChange
) -> ApplicationRead:
    """Change the post while the application is a draft or rejected."""
    application = await applications.change_application(
        container, session, principal.subject, application_id, body.post, body.revision
    )
    return await _answer(container, session, application)


@router.put(
    "/applications/{application_id}/images/{kind}",
    responses=problems(
        ApplicationNotFound, WrongState, DuplicateImage, ImageTooLargeProblem, ImageTypeProblem, ImageInvalidProblem
    ),
)
async def put_image(
    container: Deps,
    session: Session,
    principal: Enterprise,
    application_id: UUID,
    kind: ImageKind,
    file: Annotated[UploadFile, File(description="JPEG or PNG, at most 5 MiB")],
) -> ImageRead:
    """Upload or replace one of the three pictures."""
    data = await file.read()
    return _image(await pictures.put_image(container, session, principal.subject, application_id, kind, data))


@router.get(
    "/applications/{application_id}/images/{kind}",
    response_class=Response,
    responses={
        200: {
            "description": "the picture",
            "content": {
                name: {"schema": {"type": "string", "format": "binary"}} for name in ("image/jpeg", "image/png")
            },
        },
        307: {"description": "a link that lives at most five minutes"},
        **problems(ApplicationNotFound, ImageNotFound),
    },
)
async def get_image(
    container: Deps,
    session: Session,
    principal: EnterpriseOrReviewer,
    application_id: UUID,
    kind: ImageKind,
    revision: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
) -> Response:
    """The present picture, or the one submitted with `revision`. The audit trail notes which reviewer looked."""
    served = await pictures.get_image(container, session, principal, application_id, kind, revision)
    if served.link:
        return Response(status_code=307, headers={"Location": served.link})
    return Response(served.data, media_type=served.content_type, headers={"Content-Disposition": "inline"})


@router.get(
    "/applications/{application_id}/commitment-letter",
    response_class=Response,
    responses={
        200: {"description": "承诺书", "content": {CONTENT_TYPE: {"schema": BINARY}}},
        **problems(ApplicationNotFound),
    },
)
async def get_commitment_letter(
    container: Deps, session: Session, principal: Enterprise, application_id: UUID
) -> Response:
    """The 承诺书 template, filled in, as .docx. It shows the full id number; the history records that."""
    name, data = await applications.commitment_letter(container, session, principal.subject, application_id)
    disposition = f"attachment; filename=\"commitment-letter.docx\"; filename*=UTF-8''{quote(name)}"
    return Response(data, media_type=CONTENT_TYPE, headers={"Content-Disposition": disposition})


@router.post(
    "/applications/{application_id}/submission",
    responses=problems(ApplicationNotFound, StaleRevision, WrongState, ImagesMissing, NotEligible),
)
async def submit_application(
    container: Deps, session: Session, principal: Enterprise, application_id: UUID, body: RevisionRequest
) -> ApplicationRead:
    """Submit a draft, or resubmit a rejected application, for review."""
    application = await applications.submit_application(
        container, session, principal.subject, application_id, body.revision
    )
    return await _answer(container, session, application)


@router.post(
    "/applications/{application_id}/cancellation",
    responses=problems(ApplicationNotFound, StaleRevision, WrongState),
)
async def cancel_application(
    container: Deps, session: Session, principal: Enterprise, application_id: UUID, body: RevisionRequest
) -> ApplicationRead:
    """Cancel an application that is a draft, waiting for review or rejected."""
    application = await applications.cancel_application(
        container, session, principal.subject, application_id, body.revision
    )
    return await _answer(container, session, application)
