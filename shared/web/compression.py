"""Answers packed with gzip, but none that somebody elsewhere could learn from."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

# These are packed already.
PACKED = (
    *DEFAULT_EXCLUDED_CONTENT_TYPES,
    "application/octet-stream",
    "application/pdf",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
)


class Compression:
    """Packs answers where the client can unpack them; what comes in pieces still comes in pieces.

    The length of a packed page tells what of a request's own words stands in it as well, and so, over many requests,
    whatever else does (BREACH). Only another site can make a browser send so many with its cookie, and gets them
    unpacked.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._plain = app
        self._packing = GZipMiddleware(app, compresslevel=6, exclude_content_types=PACKED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        plain = scope["type"] != "http" or _may_be_from_elsewhere(Headers(scope=scope))
        await (self._plain if plain else self._packing)(scope, receive, send)


def _may_be_from_elsewhere(headers: Headers) -> bool:
    """Tell whether a page that is not ours may have made the browser send this with its cookie."""
    if "cookie" not in headers:
        return False
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    # Browsers without Fetch-Metadata name our own pages as what they came from.
    return urlsplit(headers.get("referer", "")).netloc != headers.get("host")
