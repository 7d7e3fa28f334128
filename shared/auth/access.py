"""Who may call a route: `Annotated[Principal, allow("reviewer")]` in its signature."""

from typing import Any

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from shared.auth.errors import InvalidToken, PasswordChangeRequired
from shared.auth.tokens import Principal
from shared.container import Container
from shared.errors import Forbidden, Unauthenticated

_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="access_token of POST /sessions")


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
        container: Container = request.app.state.container
        principal = await container.verifier.verify(credentials.credentials)
        own = container.sessions if principal.issuer == container.service else None
        # The issuer knows whether the session was ended; elsewhere the token's short life bounds it.
        if own is not None and not await own.is_open(request.state.session, principal.session):
            raise InvalidToken
        if principal.must_change_password and not initial_password:
            raise PasswordChangeRequired
        if not principal.roles & set(roles):
            raise Forbidden
        return principal

    return Security(check)
