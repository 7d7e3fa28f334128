"""What a posted form must bring along to be taken.

Two defences against forged requests (OWASP): Fetch-Metadata with the Origin header as fallback, and a token in every
form derived from a cookie that other sites can neither read nor plant.
"""

import hashlib
import hmac
import secrets
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import FormData

from shared.web.middleware import DEFAULT_BODY_LIMIT

SAFE = frozenset({"GET", "HEAD"})
MAX_FIELDS = 600
# The pictures of an application.
MAX_FILES = 3
TOKEN_FIELD = "_token"  # noqa: S105 - a field's name
KEY_FIELD = "_key"


def form_token(secret: str) -> str:
    """Make what a form must bring back. `secret` is the session's id, or the visitor's cookie before login."""
    return hmac.new(secret.encode(), b"portal form", hashlib.sha256).hexdigest()


def new_key() -> str:
    """Make what the `idempotency_key` of a form is made from."""
    return secrets.token_urlsafe(18)


def idempotency_key(form: FormData) -> str:
    """Make the key: the same for the same form with the same fields; gone back to and sent with others, another."""
    fields = [(name, str(value)) for name, value in form.multi_items() if name != TOKEN_FIELD]
    return hmac.new(str(form.get(KEY_FIELD, "")).encode(), repr(fields).encode(), hashlib.sha256).hexdigest()


def comes_from_elsewhere(request: Request) -> bool:
    """Tell whether a page that is not ours makes the browser send this."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host")


def is_large(request: Request) -> bool:
    """Tell whether the body may be larger than a form without files."""
    declared = request.headers.get("content-length", "")
    # Without a length it may become as large as the path allows.
    return not (declared.isascii() and declared.isdigit() and int(declared[:20]) <= DEFAULT_BODY_LIMIT)


def is_bound_to(secret: str | None, form: FormData) -> bool:
    """Tell whether the form brings back the token that goes with this secret."""
    return secret is not None and hmac.compare_digest(
        form_token(secret).encode(), str(form.get(TOKEN_FIELD, "")).encode()
    )
