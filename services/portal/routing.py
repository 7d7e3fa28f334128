"""Routes of pages: a posted form is read once, within limits, and only if this browser was given it."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from services.portal.context import ISSUER, PageContext, context_of, load_session, require_session
from services.portal.errors import FilesMissing, ForeignForm, LoginRequired
from services.portal.forms import (
    MAX_FIELDS,
    MAX_FILES,
    SAFE,
    comes_from_elsewhere,
    is_bound_to,
    is_large,
    missing_files,
    read_without_files,
)
from services.portal.waiting import no_room
from shared.web.entrance import FULL


class PageRoute(APIRoute):
    """Reads and checks the form before the handler runs, for every method but GET: `request.state.form`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        original = super().get_route_handler()
        # Whose people the page is for; None for a page for everybody, "" for people of either issuer.
        issuers = [getattr(dependency.call, ISSUER) for dependency in self.dependant.dependencies if _asks(dependency)]
        issuer = issuers[0] if issuers else None

        async def handle(request: Request) -> Response:
            if request.method in SAFE:
                return await original(request)
            if comes_from_elsewhere(request):
                raise ForeignForm
            context = context_of(request)
            if is_large(request):
                await _require_session_for_large(context)
            async with request.form(max_files=MAX_FILES, max_fields=MAX_FIELDS) as form:
                request.state.form = form
                if not is_bound_to(context.portal.cookies.form_secret(request), form):
                    await _require_session_of(context, issuer)
                    raise ForeignForm
                if FULL in request.scope:
                    raise no_room(request.scope[FULL])
                if missing_files(form):
                    raise FilesMissing
                return await original(request)

        return handle


def _asks(dependency: Any) -> bool:
    return hasattr(dependency.call, ISSUER)


async def _require_session_for_large(context: PageContext) -> None:
    """Let in only who is logged in. Of who was, in this browser, the texts are kept for after the next login."""
    try:
        await require_session(context)
    except LoginRequired:
        if context.portal.cookies.device(context.request) is not None:
            context.request.state.form = await read_without_files(context.request)
        raise


async def _require_session_of(context: PageContext, issuer: str | None) -> None:
    """Ask who has logged out, on another tab, to log in, before a form is called foreign. Raises LoginRequired."""
    if issuer is None:
        return
    session = context.portal.cookies.session(context.request)
    if session is None or issuer not in {"", session[0]}:
        raise LoginRequired(issuer or "enterprise")
    await load_session(context, *session)


def page_router() -> APIRouter:
    """Make a router whose routes are pages, which are in no OpenAPI document."""
    return APIRouter(route_class=PageRoute, include_in_schema=False)
