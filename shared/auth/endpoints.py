"""The session routes that both issuing services offer: refresh, logout, password, JWKS."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from shared.auth.access import allow
from shared.auth.errors import AccountLocked, InvalidRefreshToken, WeakPassword, WrongOldPassword
from shared.auth.passwords import MAX_LENGTH
from shared.auth.sessions import Account, Sessions, TokenPair
from shared.auth.tokens import Principal
from shared.container import Container
from shared.http import CONTAINER, Session, transactional_router
from shared.openapi import problems
from shared.ratelimit import rate_limit
from shared.validation import RequestModel

FindAccount = Callable[[AsyncSession, UUID], Awaitable[Any]]
# Told what a logged-in account did to itself: "log_out", "password_changed", "password_change_failed".
Witness = Callable[[Container, AsyncSession, Principal, str], Awaitable[None]]
# Answers with credentials are never stored, so these POSTs do not take an Idempotency-Key.
CREDENTIALS = {"x-idempotent": False}


class RefreshRequest(RequestModel):
    refresh_token: str = Field(min_length=1, max_length=200)


class PasswordChange(RequestModel):
    old_password: str = Field(min_length=1, max_length=MAX_LENGTH)
    new_password: str = Field(min_length=1, max_length=MAX_LENGTH)


async def _unwitnessed(_container: Container, _session: AsyncSession, _principal: Principal, _action: str) -> None:
    """For services without an audit trail."""


def _sessions(request: Request) -> Any:
    return request.app.state.container.sessions


Deps = Annotated[Container, CONTAINER]
OwnSessions = Annotated[Sessions, Depends(_sessions)]


def session_router(
    find_account: FindAccount,
    roles: tuple[str, ...],
    initial_passwords: tuple[str, ...],
    witness: Witness = _unwitnessed,
) -> APIRouter:
    """`find_account(session, id)` gives the account row or None; `witness` writes into the session it is given."""
    router = transactional_router()
    AnyoneLoggedIn = Annotated[Principal, allow(*roles, initial_password=True)]  # noqa: N806 - a type

    @router.post(
        "/sessions/refresh",
        responses=problems(InvalidRefreshToken),
        openapi_extra=CREDENTIALS,
        dependencies=[Depends(rate_limit("60/minute"))],
    )
    async def refresh_session(sessions: OwnSessions, session: Session, body: RefreshRequest) -> TokenPair:
        """Exchange a refresh token, once, for the next pair."""
        row, token = await sessions.refresh(session, body.refresh_token)
        account: Account | None = await find_account(session, row.subject)
        if account is None or not account.is_active:
            raise InvalidRefreshToken
        return sessions.pair(account, row.id, token)

    @router.delete("/sessions/current", status_code=204)
    async def end_session(deps: Deps, sessions: OwnSessions, session: Session, principal: AnyoneLoggedIn) -> None:
        """Log out: the refresh token dies at once, this access token at its issuer at once and elsewhere on expiry."""
        await sessions.end(session, principal.session)
        await witness(deps, session, principal, "log_out")

    @router.put("/password", status_code=204, responses=problems(WrongOldPassword, WeakPassword, AccountLocked))
    async def change_password(
        deps: Deps, sessions: OwnSessions, session: Session, principal: AnyoneLoggedIn, body: PasswordChange
    ) -> None:
        """Change the password. After the initial one, refresh the session to get a token that opens everything."""
        account: Account = await find_account(session, principal.subject)
        name = account.account_name(deps.privacy)
        try:
            await sessions.change_password(
                session, account, name, principal, body.old_password, body.new_password, *initial_passwords
            )
        except (WrongOldPassword, AccountLocked):
            async with deps.database.transaction() as own:
                await witness(deps, own, principal, "password_change_failed")
            raise
        await witness(deps, session, principal, "password_changed")

    @router.get("/.well-known/jwks.json")
    async def jwks(request: Request) -> dict[str, Any]:
        """Public keys of this issuer (RFC 7517)."""
        keys: dict[str, Any] = request.app.state.container.signing.jwks()
        return keys

    return router
