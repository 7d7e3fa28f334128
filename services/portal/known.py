"""Who is known to be signed in without asking anybody: the sessions that an issuer has vouched for to this process."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import cookie_parser
from starlette.types import Scope

from services.portal.cookies import Cookies
from shared.web.door import Caller

# As long as an unused session lasts at most; the one longest here goes first.
LIFETIME = 30 * 60.0
MOST = 20_000
CALLERS = {"enterprise": Caller.enterprise, "review": Caller.authority}


@dataclass(frozen=True)
class Known:
    issuer: str
    token: str
    token_ends: float
    ends: float


class KnownSessions:
    """Keeps, by session, who vouched for it when, and the access token that came with that."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = MOST) -> None:
        self._clock = clock
        self._most = most
        self._known: dict[bytes, Known] = {}

    def remember(self, issuer: str, session_id: str, token: str, seconds: int) -> None:
        """Note that the issuer has just given a token, good for so many seconds, for this session."""
        now, key = self._clock(), _key(issuer, session_id)
        self._known.pop(key, None)
        while len(self._known) >= self._most:
            del self._known[next(iter(self._known))]
        self._known[key] = Known(issuer, token, now + seconds, now + LIFETIME)

    def forget(self, issuer: str, session_id: str) -> None:
        """Note that the session has ended."""
        self._known.pop(_key(issuer, session_id), None)

    def token_of(self, issuer: str, session_id: str) -> str | None:
        """Give the session's last access token while that is good."""
        known = self._known.get(_key(issuer, session_id))
        return known.token if known and known.token_ends > self._clock() else None

    def standing(self, issuer: str, session_id: str) -> Caller:
        """Tell whose session this is: nobody's, unless an issuer has said so."""
        known = self._known.get(_key(issuer, session_id))
        return CALLERS[known.issuer] if known and known.ends > self._clock() else Caller.anonymous


@dataclass(frozen=True)
class BrowserStanding:
    """Tells for the door who sends a request, by its cookie."""

    cookies: Cookies
    known: KnownSessions

    def __call__(self, scope: Scope) -> Caller:
        header = b"; ".join(value for name, value in scope["headers"] if name == b"cookie")
        session = self.cookies.session_in(cookie_parser(header.decode("latin-1")))
        return self.known.standing(*session) if session else Caller.anonymous


def _key(issuer: str, session_id: str) -> bytes:
    return hashlib.sha256(f"{issuer}.{session_id}".encode(errors="replace")).digest()
