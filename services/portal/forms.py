"""Forms: read once, within limits, and only if this browser was given them.

Two defences against forged requests (OWASP): Fetch-Metadata with the Origin header as fallback, and a token in every
form derived from a cookie that other sites can neither read nor plant.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import FormData

from services.portal.errors import ForeignForm
from shared.web.app import DEFAULT_BODY_LIMIT

SAFE = frozenset({"GET", "HEAD"})
MAX_FIELDS = 600
# The pictures of an application.
MAX_FILES = 3
TOKEN_FIELD = "_token"  # noqa: S105 - a field's name
KEY_FIELD = "_key"


def form_token(secret: str) -> str:
    """What a form must bring back. `secret` is the session's id, or the visitor's cookie before login."""
    return hmac.new(secret.encode(), b"portal form", hashlib.sha256).hexdigest()


def new_key() -> str:
    """What `idempotency_key` of a form is made from."""
    return secrets.token_urlsafe(18)


def idempotency_key(form: FormData) -> str:
    """The same form with the same fields has the same key; gone back to and sent with others, it is another request."""
    fields = [(name, str(value)) for name, value in form.multi_items() if name != TOKEN_FIELD]
    return hmac.new(str(form.get(KEY_FIELD, "")).encode(), repr(fields).encode(), hashlib.sha256).hexdigest()


def _comes_from_elsewhere(request: Request) -> bool:
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host")


def _is_large(request: Request) -> bool:
    declared = request.headers.get("content-length", "")
    # Without a length it may become as large as the path allows.
    return not (declared.isascii() and declared.isdigit() and int(declared[:20]) <= DEFAULT_BODY_LIMIT)


class PageRoute(APIRoute):
    """For every method but GET the form is read and checked before the handler runs: `request.state.form`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        original = super().get_route_handler()

        async def handle(request: Request) -> Response:
            if request.method in SAFE:
                return await original(request)
            if _comes_from_elsewhere(request):
                raise ForeignForm
            if _is_large(request):
                await request.app.state.portal.require_session(request)
            async with request.form(max_files=MAX_FILES, max_fields=MAX_FIELDS) as form:
                request.state.form = form
                if not _is_ours(request, form):
                    raise ForeignForm
                return await original(request)

        return handle


def _is_ours(request: Request, form: FormData) -> bool:
    secret = request.app.state.portal.cookies.form_secret(request)
    return secret is not None and hmac.compare_digest(
        form_token(secret).encode(), str(form.get(TOKEN_FIELD, "")).encode()
    )


def page_router() -> APIRouter:
    return APIRouter(route_class=PageRoute, include_in_schema=False)
