"""HTTP routes of the pictures: enterprises upload and see their own, reviewers see what was submitted."""

from typing import Annotated
from uuid import UUID

from fastapi import File, Query, Response, UploadFile

from services.renewal import views
from services.renewal.domain import ImageKind
from services.renewal.endpoints import Enterprise, OwnContainer
from services.renewal.errors import (
    ApplicationNotFound,
    DuplicateImage,
    ImageInvalidProblem,
    ImageNotFound,
    ImageTooLargeProblem,
    ImageTypeProblem,
    WrongState,
)
from services.renewal.pictures import service
from services.renewal.schemas import ImageRead
from shared.auth.access import allow
from shared.auth.tokens import Principal
from shared.web.openapi import problems
from shared.web.routing import bare_router

# Bare: decoding and the store are slow, and no connection is held meanwhile.
router = bare_router()

Viewer = Annotated[Principal, allow("enterprise", "reviewer")]


@router.put(
    "/applications/{application_id}/images/{kind}",
    responses=problems(
        ApplicationNotFound, WrongState, DuplicateImage, ImageTooLargeProblem, ImageTypeProblem, ImageInvalidProblem
    ),
)
async def put_image(
    container: OwnContainer,
    principal: Enterprise,
    application_id: UUID,
    kind: ImageKind,
    file: Annotated[UploadFile, File(description="JPEG or PNG, at most 5 MiB")],
) -> ImageRead:
    """Upload or replace one of the three pictures."""
    data = await file.read()
    return views.image(await service.put_image(container, principal.subject, application_id, kind, data))


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
    container: OwnContainer,
    principal: Viewer,
    application_id: UUID,
    kind: ImageKind,
    revision: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
) -> Response:
    """The present picture, or the one submitted with `revision`. The audit trail notes which reviewer looked."""
    served = await service.get_image(container, principal, application_id, kind, revision)
    if served.link:
        return Response(status_code=307, headers={"Location": served.link})
    return Response(served.data, media_type=served.content_type, headers={"Content-Disposition": "inline"})
