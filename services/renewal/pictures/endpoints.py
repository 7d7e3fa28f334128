"""HTTP routes of the pictures: enterprises upload and see their own, reviewers see what was submitted."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, File, Query, Request, Response, UploadFile
from fastapi.security import HTTPBearer

from services.renewal import views
from services.renewal.container import RenewalContainer
from services.renewal.domain import ImageKind
from services.renewal.endpoints import Enterprise, OwnContainer
from services.renewal.errors import (
    ApplicationNotFound,
    ImageInvalidProblem,
    ImageNotFound,
    ImageTooLargeProblem,
    ImageTypeProblem,
    WrongState,
)
from services.renewal.pictures import service
from services.renewal.schemas import ApplicationRead, ImageRead, ImageSwap
from shared.auth.access import allow
from shared.auth.tokens import Principal
from shared.errors import TooMany, Unauthenticated
from shared.web.door import aside
from shared.web.openapi import problems
from shared.web.routing import BareRoute, Session, transactional_router

_bearer = HTTPBearer(auto_error=False)


class UploadRoute(BareRoute):
    """Bare, as decoding and the store are slow: neither a connection nor a place at the door is held meanwhile. No body
    is read before there is room for it, and none of a stranger."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        original = super().get_route_handler()

        async def handle(request: Request) -> Response:
            if request.method != "PUT":
                async with aside():
                    return await original(request)
            container: RenewalContainer = request.app.state.container
            credentials = await _bearer(request)
            if credentials is None:
                raise Unauthenticated
            principal = await container.callers.authenticate(request, credentials.credentials)
            async with container.uploads.enter(owner=principal.subject), aside():
                return await original(request)

        return handle


router = APIRouter(route_class=UploadRoute)
changes = transactional_router()

Viewer = Annotated[Principal, allow("enterprise", "reviewer")]


@router.put(
    "/applications/{application_id}/images/{kind}",
    responses=problems(
        ApplicationNotFound, WrongState, ImageTooLargeProblem, ImageTypeProblem, ImageInvalidProblem, TooMany
    ),
)
async def put_image(
    container: OwnContainer,
    principal: Enterprise,
    application_id: UUID,
    kind: ImageKind,
    file: Annotated[UploadFile, File(description="JPEG or PNG, at most 5 MiB")],
) -> ImageRead:
    """Upload or replace one of the three pictures. That no two are the same is judged at the submission."""
    data = await file.read()
    return views.image(await service.put_image(container, principal.subject, application_id, kind, data))


@changes.post(
    "/applications/{application_id}/image-swap",
    responses=problems(ApplicationNotFound, WrongState, ImageNotFound),
)
async def swap_images(
    container: OwnContainer, session: Session, principal: Enterprise, application_id: UUID, body: ImageSwap
) -> ApplicationRead:
    """Let two pictures change places; where only one is there, it goes to the other place."""
    found = await service.swap_images(container, session, principal.subject, application_id, body.kinds)
    return views.overview(container, found)


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
    upright: Annotated[bool, Query(description="for browsers that do not turn a JPEG by its orientation")] = False,
) -> Response:
    """The present picture, or the one submitted with `revision`. The audit trail notes which reviewer looked.

    A JPEG says how it was held (Exif orientation), by which browsers turn it, Chromium since 81.
    """
    served = await service.get_image(container, principal, application_id, kind, revision, upright=upright)
    if served.link:
        return Response(status_code=307, headers={"Location": served.link})
    return Response(served.data, media_type=served.content_type, headers={"Content-Disposition": "inline"})
