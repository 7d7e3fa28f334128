"""What a posted form must bring along to be taken.

Two defences against forged requests (OWASP): Fetch-Metadata with the Origin header as fallback, and a token in every
form derived from a cookie that other sites can neither read nor plant.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from shared.web.middleware import DEFAULT_BODY_LIMIT

SAFE = frozenset({"GET", "HEAD"})
MAX_FIELDS = 600
# The pictures of an application.
MAX_FILES = 3
TOKEN_FIELD = "_token"  # noqa: S105 - a field's name
KEY_FIELD = "_key"
# Of a form that is sent again: the names of the files without which it is not whole.
FILES_FIELD = "_files"


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


@dataclass(frozen=True)
class Remains:
    """What is left of a form that was not taken: the texts that can be sent again, under the same key, and the files
    that cannot, as (field, name of the file), because a browser gives a file only once."""

    texts: Sequence[tuple[str, str]] = ()
    files: Sequence[tuple[str, str]] = ()

    def __bool__(self) -> bool:
        # Files alone are better chosen on their own page.
        return bool(self.texts)


def remains_of(form: FormData) -> Remains:
    """Pick what of a form is left. Of one with a password nothing is: it had better be filled in anew."""
    pairs = [(name, value) for name, value in form.multi_items() if name not in {TOKEN_FIELD, FILES_FIELD}]
    if any("password" in name for name, _ in pairs):
        return Remains()
    # Browsers also send the file that was not chosen.
    files = [(name, value.filename) for name, value in pairs if isinstance(value, UploadFile) and value.filename]
    return Remains([(name, value) for name, value in pairs if isinstance(value, str)], files)


def missing_files(form: FormData) -> list[str]:
    """List the fields of a form sent again whose file has to be chosen anew, and was not."""
    wanted = [name for name in form.getlist(FILES_FIELD) if isinstance(name, str)]
    chosen = {name for name, value in form.multi_items() if isinstance(value, UploadFile) and value.filename}
    return [name for name in wanted if name not in chosen]


class _WithoutFiles(MultiPartParser):
    """Reads the texts of a form, and of its files the names: what is in them is thrown away as it comes."""

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._current_part.file is None:
            super().on_part_data(data, start, end)


async def read_without_files(request: Request) -> FormData:
    """Read a form of somebody whose files nobody wants; empty for what is no such form."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return FormData()
    parser = _WithoutFiles(request.headers, request.stream(), max_files=MAX_FILES, max_fields=MAX_FIELDS)
    try:
        form = await parser.parse()
    except MultiPartException:
        return FormData()
    await form.close()
    return form
