"""The session routes that both issuing services offer: login, refresh, logout, browser sessions, password, JWKS."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from shared.auth.access import allow
from shared.auth.browser import BrowserAccess, BrowserSession, BrowserSessions
from shared.auth.errors import (
    AccountLocked,
    InvalidRefreshToken,
    InvalidSession,
    WeakPassword,
    WrongCredentials,
    WrongOldPassword,
)
from shared.auth.passwords import MAX_LENGTH
from shared.auth.sessions import Sessions, TokenPair
from shared.auth.tables import Account
from shared.auth.tokens import Principal
from shared.errors import Problem
from shared.runtime.container import Container
from shared.web.openapi import problems
from shared.web.ratelimit import rate_limit
from shared.web.routing import CONTAINER, Session, transactional_router
from shared.web.validation import RequestModel

# A FastAPI dependency: reads the credentials from the body and gives the account that they open.
LogIn = Callable[..., Awaitable[Account]]
FindAccount = Callable[[AsyncSession, UUID], Awaitable[Any]]
# Told what a logged-in account did to itself: "log_out", "password_changed", "password_change_failed".
Witness = Callable[[Container, AsyncSession, Principal, str], Awaitable[None]]
# Answers with credentials are never stored, so these POSTs do not take an Idempotency-Key.
CREDENTIALS = {"x-idempotent": False}


class RefreshRequest(RequestModel):
    refresh_token: str = Field(min_length=1, max_length=200)


class SessionIdRequest(RequestModel):
    session_id: str = Field(min_length=1, max_length=200)


class AccessRequest(SessionIdRequest):
    active: bool = Field(default=True, description="false for what nobody clicked on, such as a page that refreshes")


class PasswordChange(RequestModel):
    old_password: str = Field(min_length=1, max_length=MAX_LENGTH)
    new_password: str = Field(min_length=1, max_length=MAX_LENGTH)


async def _unwitnessed(_container: Container, _session: AsyncSession, _principal: Principal, _action: str) -> None:
    """For services without an audit trail."""


def _sessions(request: Request) -> Any:
    return request.app.state.container.sessions


def _browser_sessions(request: Request) -> Any:
    return BrowserSessions(_sessions(request), request.app.state.container.cipher)


Deps = Annotated[Container, CONTAINER]
OwnSessions = Annotated[Sessions, Depends(_sessions)]
Browsers = Annotated[BrowserSessions, Depends(_browser_sessions)]


def session_router(
    log_in: LogIn,
    find_account: FindAccount,
    roles: tuple[str, ...],
    *,
    initial_passwords: tuple[str, ...] = (),
    refusals: tuple[type[Problem], ...] = (),
    witness: Witness = _unwitnessed,
) -> APIRouter:
    """`find_account(session, id)` gives the account row or None; `witness` writes into the session it is given.

    `refusals` are what `log_in` raises besides WrongCredentials and AccountLocked.
    """
    router = transactional_router()
    # Types.
    AnyoneLoggedIn = Annotated[Principal, allow(*roles, initial_password=True)]  # noqa: N806
    LoggingIn = Annotated[Account, Depends(log_in)]  # noqa: N806
    # Both ways of logging in share one limit: a second way must not double the guesses.
    login_options: dict[str, Any] = {
        "status_code": 201,
        "responses": problems(*refusals, WrongCredentials, AccountLocked),
        "openapi_extra": CREDENTIALS,
        "dependencies": [Depends(rate_limit("60/minute", "log_in"))],
    }

    async def active(session: AsyncSession, subject: UUID, refusal: type[Problem]) -> Account:
        account: Account | None = await find_account(session, subject)
        if account is None or not account.is_active:
            raise refusal
        return account

    @router.post("/sessions", **login_options)
    async def open_session(sessions: OwnSessions, session: Session, account: LoggingIn) -> TokenPair:
        """Log in."""
        return sessions.open(session, account)

    @router.post(
        "/sessions/refresh",
        responses=problems(InvalidRefreshToken),
        openapi_extra=CREDENTIALS,
        dependencies=[Depends(rate_limit("60/minute"))],
    )
    async def refresh_session(sessions: OwnSessions, session: Session, body: RefreshRequest) -> TokenPair:
        """Exchange a refresh token, once, for the next pair."""
        row, token = await sessions.refresh(session, body.refresh_token)
        return sessions.pair(await active(session, row.subject, InvalidRefreshToken), row.id, token)

    @router.delete("/sessions/current", status_code=204)
    async def end_session(container: Deps, sessions: OwnSessions, session: Session, principal: AnyoneLoggedIn) -> None:
        """Log out: the refresh token dies at once, this access token at its issuer at once and elsewhere on expiry."""
        await sessions.end(session, principal.session)
        await witness(container, session, principal, "log_out")

    @router.post("/browser-sessions", **login_options)
    async def open_browser_session(browsers: Browsers, session: Session, account: LoggingIn) -> BrowserSession:
        """Log in for a web portal, which keeps only the id, in the browser's cookie."""
        return browsers.open(session, account)

    # Neither limited by address nor worth it: a portal asks for everyone, and an id has 256 random bits.
    @router.post("/browser-sessions/access", responses=problems(InvalidSession), openapi_extra=CREDENTIALS)
    async def access_browser_session(browsers: Browsers, session: Session, body: AccessRequest) -> BrowserAccess:
        """An access token for one page; as often as wanted until the session ends or was idle for too long."""
        row = await browsers.see(session, body.session_id, active=body.active)
        return browsers.access(await active(session, row.subject, InvalidSession), row.id)

    @router.post("/browser-sessions/rotation", responses=problems(InvalidSession), openapi_extra=CREDENTIALS)
    async def rotate_browser_session(browsers: Browsers, session: Session, body: SessionIdRequest) -> BrowserSession:
        """Give the session a new id, as after a password change; the old one is dead at once."""
        row, session_id = await browsers.rotate(session, body.session_id)
        return browsers.shown(await active(session, row.subject, InvalidSession), row.id, session_id)

    @router.put("/password", status_code=204, responses=problems(WrongOldPassword, WeakPassword, AccountLocked))
    async def change_password(
        container: Deps, sessions: OwnSessions, session: Session, principal: AnyoneLoggedIn, body: PasswordChange
    ) -> None:
        """Change the password. After the initial one, refresh the session to get a token that opens everything."""
        account: Account = await find_account(session, principal.subject)
        name = account.account_name(container.cipher)
        try:
            await sessions.change_password(
                session, account, name, principal, body.old_password, body.new_password, *initial_passwords
            )
        except (WrongOldPassword, AccountLocked):
            async with container.database.transaction() as own:
                await witness(container, own, principal, "password_change_failed")
            raise
        await witness(container, session, principal, "password_changed")

    @router.get("/.well-known/jwks.json")
    async def jwks(request: Request) -> dict[str, Any]:
        """Public keys of this issuer (RFC 7517)."""
        keys: dict[str, Any] = request.app.state.container.signing.jwks()
        return keys

    return router
