"""Who may call a route: `Annotated[Principal, allow("reviewer")]` in its signature."""

import hashlib
from typing import Any

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from shared.auth.errors import InvalidToken, PasswordChangeRequired
from shared.auth.tokens import Principal
from shared.errors import Forbidden, Unauthenticated
from shared.runtime.container import Container

_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="access_token of POST /sessions")


async def authenticate(request: Request, token: str) -> Principal:
    """Raises InvalidToken."""
    container: Container = request.app.state.container
    principal = await container.verifier.verify(token)
    own = container.sessions if principal.issuer == container.service else None
    # The issuer knows whether the session was ended; elsewhere the token's short life bounds it.
    if own is not None and not await own.is_open(request.state.session, principal.session):
        raise InvalidToken
    return principal


async def idempotency_scope(request: Request) -> str:
    """Whose idempotency keys these are: the caller's, or those of nobody at this address."""
    container: Container = request.app.state.container
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        address = request.client.host if request.client else ""
        # Strangers must not meet in each other's keys; and an address is personal data.
        return f"anonymous:{container.cipher.blind_index(f'address:{address}')}"
    try:
        principal = await authenticate(request, token)
    except Unauthenticated:
        # The route itself refuses the request; the key only must not be shared with anyone.
        return f"unverified:{hashlib.sha256(token.encode(errors='replace')).hexdigest()}"
    return f"{principal.issuer}:{principal.subject}"


def allow(*roles: str, initial_password: bool = False) -> Any:
    """Dependency giving the Principal if it has any of `roles`.

    Until the initial password is changed only routes with `initial_password` open.
    Raises Unauthenticated, InvalidToken, PasswordChangeRequired, Forbidden.
    """

    async def check(
        request: Request, credentials: HTTPAuthorizationCredentials | None = Security(_bearer)
    ) -> Principal:
        if credentials is None:
            raise Unauthenticated
        principal = await authenticate(request, credentials.credentials)
        if principal.must_change_password and not initial_password:
            raise PasswordChangeRequired
        if not principal.roles & set(roles):
            raise Forbidden
        return principal

    return Security(check)
