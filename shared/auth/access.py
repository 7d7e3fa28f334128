"""Who may call a route: `Annotated[Principal, allow("reviewer")]` in its signature."""

import hashlib
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.types import Scope

from shared.auth.errors import InvalidToken, PasswordChangeRequired
from shared.auth.guard import network_of
from shared.auth.sessions import Sessions
from shared.auth.tokens import Principal, TokenVerifier
from shared.errors import Forbidden, Unauthenticated
from shared.persistence.cipher import FieldCipher
from shared.web.container import RateScopes
from shared.web.door import Caller
from shared.web.routing import session_present

_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="access_token of POST /sessions")


@dataclass(frozen=True)
class BearerCallers:
    """Knows who sends a request by its access token; `sessions` are those of a service that issues tokens itself."""

    service: str
    verifier: TokenVerifier
    cipher: FieldCipher
    sessions: Sessions | None = None

    async def authenticate(self, request: Request, token: str) -> Principal:
        """Verify a token, and its session where that is our own. Raises InvalidToken, Unavailable."""
        principal = await self.verifier.verify(token)
        # The issuer knows whether the session was ended; elsewhere the token's short life bounds it.
        own = self.sessions if principal.issuer == self.service else None
        if own is not None and not await self._is_open(request, own, principal.session):
            raise InvalidToken
        return principal

    @staticmethod
    async def _is_open(request: Request, sessions: Sessions, session_id: UUID) -> bool:
        session = session_present(request)
        if session is not None:
            return await sessions.is_open(session, session_id)
        return await sessions.reads_open(request.app.state.container.database.read, session_id)

    async def idempotency_scope(self, request: Request) -> str:
        """Name whose idempotency keys these are: the caller's, or those of nobody at this address."""
        token = _token(request)
        if token is None:
            # Strangers must not meet in each other's keys; and an address is personal data.
            return f"anonymous:{self.cipher.blind_index(f'address:{address_of(request)}')}"
        try:
            principal = await self.authenticate(request, token)
        except Unauthenticated:
            # The route itself refuses the request; the key only must not be shared with anyone.
            return f"unverified:{hashlib.sha256(token.encode(errors='replace')).hexdigest()}"
        return f"{principal.issuer}:{principal.subject}"

    async def rate_scopes(self, request: Request) -> RateScopes:
        """Name for whom a call counts. A token that is not good opens no count of its own."""
        address, token = network_of(address_of(request)) or "unknown", _token(request)
        try:
            return RateScopes(address, str((await self.verifier.verify(token)).subject) if token else None)
        except Unauthenticated:
            return RateScopes(address, None)

    def standing(self, scope: Scope) -> Caller:
        """Tell who sends a request by the keys at hand: a token that nobody has signed makes nobody of anybody."""
        header = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        scheme, _, token = header.decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return Caller.anonymous
        try:
            principal = self.verifier.verify_at_hand(token)
        except Unauthenticated:
            return Caller.anonymous
        return Caller.enterprise if principal.issuer == "enterprise" else Caller.authority


def _token(request: Request) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else None


def address_of(request: Request) -> str:
    """Give the network address that a request comes from, or is made for; empty where that is not known."""
    return request.client.host if request.client else ""


def allow(*roles: str, initial_password: bool = False) -> Any:
    """Make a dependency that gives the Principal if it has any of `roles`.

    Until the initial password is changed only routes with `initial_password` open.
    The dependency raises Unauthenticated, InvalidToken, PasswordChangeRequired, Forbidden.
    """

    async def check(
        request: Request, credentials: HTTPAuthorizationCredentials | None = Security(_bearer)
    ) -> Principal:
        if credentials is None:
            raise Unauthenticated
        callers: BearerCallers = request.app.state.container.callers
        principal = await callers.authenticate(request, credentials.credentials)
        if principal.must_change_password and not initial_password:
            raise PasswordChangeRequired
        if not principal.roles & set(roles):
            raise Forbidden
        return principal

    return Security(check)
