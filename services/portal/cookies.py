"""The browser's cookies: the session's opaque id, before login a random one that forms are bound to, and one by which
the issuers know a browser in which an account has been logged in to."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import Request, Response

ISSUERS = {"e": "enterprise", "r": "review"}
LETTERS = {issuer: letter for letter, issuer in ISSUERS.items()}
MAX_VALUE = 200
DEVICE = re.compile(r"[A-Za-z0-9_-]{43}")
# As long as issuers know a browser by it.
DEVICE_SECONDS = 180 * 24 * 3600


@dataclass(frozen=True)
class Cookies:
    """`secure` is off on http://localhost only, where the prefix __Host- would keep browsers from storing them."""

    secure: bool

    @property
    def session_name(self) -> str:
        return "__Host-sid" if self.secure else "sid"

    @property
    def visitor_name(self) -> str:
        return "__Host-visitor" if self.secure else "visitor"

    @property
    def device_name(self) -> str:
        return "__Host-device" if self.secure else "device"

    def session(self, request: Request) -> tuple[str, str] | None:
        """Return (issuer, session id), as the browser claims."""
        return self.session_in(request.cookies)

    def session_in(self, cookies: Mapping[str, str]) -> tuple[str, str] | None:
        """Return (issuer, session id), as these cookies claim."""
        letter, separator, identity = cookies.get(self.session_name, "")[:MAX_VALUE].partition(".")
        return (ISSUERS[letter], identity) if separator and identity and letter in ISSUERS else None

    def form_secret(self, request: Request) -> str | None:
        """Return what this browser's forms are bound to; None before it has a cookie of ours."""
        session = self.session(request)
        return session[1] if session else request.cookies.get(self.visitor_name)

    def device(self, request: Request) -> str | None:
        """Return what issuers know this browser by, as it claims; None before its first login."""
        value = request.cookies.get(self.device_name, "")
        return value if DEVICE.fullmatch(value) else None

    def keep_device(self, response: Response, device: str) -> None:
        """Let the browser be known by this for long, whoever logs in to it."""
        self._set(response, self.device_name, device, DEVICE_SECONDS)

    def open(self, response: Response, issuer: str, session_id: str) -> None:
        """Let the browser keep this session."""
        self._set(response, self.session_name, f"{LETTERS[issuer]}.{session_id}")
        response.delete_cookie(self.visitor_name, secure=self.secure, httponly=True, samesite="lax")

    def close(self, response: Response) -> None:
        """Let the browser forget its session."""
        response.delete_cookie(self.session_name, secure=self.secure, httponly=True, samesite="lax")

    def new_visitor(self, response: Response, secret: str) -> None:
        """Let the browser keep what its forms are bound to before login."""
        self._set(response, self.visitor_name, secret)

    def _set(self, response: Response, name: str, value: str, max_age: int | None = None) -> None:
        # Without max-age it is gone with the browser; the issuer ends a session long before that if need be.
        response.set_cookie(name, value, max_age, secure=self.secure, httponly=True, samesite="lax", path="/")


def new_secret() -> str:
    """Make what a visitor's forms are bound to, or a browser is known by."""
    return secrets.token_urlsafe(32)
