"""Routes of pages: a posted form is read once, within limits, and only if this browser was given it."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from services.portal.context import context_of, require_session
from services.portal.errors import ForeignForm
from services.portal.forms import MAX_FIELDS, MAX_FILES, SAFE, comes_from_elsewhere, is_bound_to, is_large


class PageRoute(APIRoute):
    """Reads and checks the form before the handler runs, for every method but GET: `request.state.form`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        original = super().get_route_handler()

        async def handle(request: Request) -> Response:
            if request.method in SAFE:
                return await original(request)
            if comes_from_elsewhere(request):
                raise ForeignForm
            context = context_of(request)
            if is_large(request):
                # Only from somebody who is logged in.
                await require_session(context)
            async with request.form(max_files=MAX_FILES, max_fields=MAX_FIELDS) as form:
                request.state.form = form
                if not is_bound_to(context.portal.cookies.form_secret(request), form):
                    raise ForeignForm
                return await original(request)

        return handle


def page_router() -> APIRouter:
    """Make a router whose routes are pages, which are in no OpenAPI document."""
    return APIRouter(route_class=PageRoute, include_in_schema=False)
