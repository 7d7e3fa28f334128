"""The session routes that both issuing services offer: login, refresh, logout, browser sessions, password, JWKS."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Protocol
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from shared.auth.access import allow
from shared.auth.browser import BrowserAccess, BrowserSession, BrowserSessions
from shared.auth.captcha import CaptchaRead, Captchas
from shared.auth.errors import (
    AccountLocked,
    CaptchaRequired,
    InvalidRefreshToken,
    InvalidSession,
    InvalidToken,
    LoginDelayed,
    WeakPassword,
    WrongCaptcha,
    WrongCredentials,
    WrongOldPassword,
)
from shared.auth.passwords import MAX_LENGTH
from shared.auth.sessions import Checked, Sessions, TokenPair
from shared.auth.tables import Account
from shared.auth.tokens import Principal, SigningKeys
from shared.errors import Problem
from shared.persistence.cipher import FieldCipher
from shared.persistence.db import Database
from shared.values.clock import Clock
from shared.web.openapi import problems
from shared.web.ratelimit import rate_limit
from shared.web.routing import CONTAINER, Session, bare_router, transactional_router
from shared.web.validation import RequestModel

# A FastAPI dependency: reads the credentials from the body, checks them and gives the account that they open. It holds
# no connection while it does, and raises what Sessions.check_login and Captchas.spend do.
LogIn = Callable[..., Awaitable[Checked]]


class FindAccount(Protocol):
    """Reads an account's row; with `lock` nobody else changes it before the session's transaction ends."""

    def __call__(self, session: AsyncSession, subject: UUID, /, *, lock: bool = False) -> Awaitable[Account | None]: ...


# Told, with the service's container, what an account did to itself, in the transaction of that: "log_in", "log_out",
# "password_changed", "password_change_failed".
Witness = Callable[[Any, AsyncSession, Account | Principal, str], Awaitable[None]]
# Answers with credentials are never stored, so these POSTs do not take an Idempotency-Key.
CREDENTIALS = {"x-idempotent": False}


class RefreshRequest(RequestModel):
    refresh_token: str = Field(min_length=1, max_length=200)


class SessionIdRequest(RequestModel):
    session_id: str = Field(min_length=1, max_length=200)


class AccessRequest(SessionIdRequest):
    active: bool = Field(default=True, description="false for what nobody clicked on, such as a page that refreshes")


class PasswordChange(RequestModel):
    old_password: str = Field(title="原密码", min_length=1, max_length=MAX_LENGTH)
    new_password: str = Field(title="新密码", min_length=1, max_length=MAX_LENGTH)


class Demonstrable(Protocol):
    """In demo mode a captcha's answer is told."""

    @property
    def demo(self) -> bool: ...


class Issuer(Protocol):
    """What the routes need of an issuing service's container."""

    @property
    def database(self) -> Database: ...

    @property
    def cipher(self) -> FieldCipher: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def settings(self) -> Demonstrable: ...

    @property
    def sessions(self) -> Sessions | None: ...

    @property
    def signing(self) -> SigningKeys | None: ...


async def _unwitnessed(_container: Any, _session: AsyncSession, _actor: Account | Principal, _action: str) -> None:
    """For services without an audit trail."""


async def _sessions(request: Request) -> Any:
    return request.app.state.container.sessions


async def _browser_sessions(request: Request) -> Any:
    container = request.app.state.container
    return BrowserSessions(container.sessions, container.cipher)


Deps = Annotated[Issuer, CONTAINER]
OwnSessions = Annotated[Sessions, Depends(_sessions)]
Browsers = Annotated[BrowserSessions, Depends(_browser_sessions)]


@dataclass(frozen=True)
class Accounts:
    """The accounts of an issuing service, and who is told what they do."""

    find: FindAccount
    witness: Witness

    async def active(self, session: AsyncSession, subject: UUID, refusal: type[Problem]) -> Account:
        """Find an account. Raises `refusal` for one that is missing or disabled."""
        return _active(await self.find(session, subject), refusal)

    async def unchanged(self, session: AsyncSession, checked: Account, refusal: type[Problem]) -> Account:
        """Lock the account of which a password was checked, without a lock because that takes long.

        Raises `refusal` if it was disabled or given another password meanwhile.
        """
        account = _active(await self.find(session, checked.id, lock=True), refusal)
        if account.password_hash != checked.password_hash:
            raise refusal
        return account

    @asynccontextmanager
    async def admitted(
        self, container: Issuer, sessions: Sessions, checked: Checked
    ) -> AsyncIterator[tuple[AsyncSession, Account]]:
        """Let an account in whose password fits: the block is the transaction in which a session is opened for it.

        The account stays locked until that is committed: whoever changes the password or disables the account comes
        either before, and is seen here, or after, and ends the session. Raises WrongCredentials.
        """
        try:
            async with container.database.transaction() as session:
                account = await self.unchanged(session, checked.account, WrongCredentials)
                await sessions.guard.forgive(session, account.account_name(container.cipher), checked.source)
                await sessions.guard.remember(session, account.id, checked.device)
                yield session, account
                await self.witness(container, session, account, "log_in")
        except WrongCredentials:
            async with container.database.transaction() as session:
                await self.witness(container, session, checked.account, "log_in_failed")
            raise


def _active(account: Account | None, refusal: type[Problem]) -> Account:
    if account is None or not account.is_active:
        raise refusal
    return account


def session_routers(
    log_in: LogIn,
    find_account: FindAccount,
    roles: tuple[str, ...],
    *,
    initial_passwords: tuple[str, ...] = (),
    witness: Witness = _unwitnessed,
) -> list[APIRouter]:
    """Make the routes, for create_app. `find_account(session, id)` gives the account row or None; `witness` writes into
    the session it is given.

    Captchas are drawn for who has to show to be a person, always or after failures.
    """
    accounts = Accounts(find_account, witness)
    # Both ways of logging in share one limit: a second way must not double the guesses.
    login_options: dict[str, Any] = {
        "status_code": 201,
        "responses": problems(WrongCredentials, WrongCaptcha, CaptchaRequired, AccountLocked, LoginDelayed),
        "openapi_extra": CREDENTIALS,
        "dependencies": [Depends(rate_limit("60/minute", "log_in"))],
    }
    # Bare is what waits for a password's hash, or writes although it refuses.
    router, bare = transactional_router(), bare_router()
    _add_session_routes(router, bare, accounts, log_in, login_options, roles)
    _add_browser_routes(router, bare, accounts, log_in, login_options)
    _add_password_route(bare, accounts, roles, initial_passwords)

    @bare.post(
        "/captchas",
        status_code=201,
        response_model_exclude_none=True,
        openapi_extra=CREDENTIALS,
        dependencies=[Depends(rate_limit("60/minute"))],
    )
    async def create_captcha(container: Deps) -> CaptchaRead:
        """A picture to be read by a person. It is good for one login attempt."""
        captchas = Captchas(container.database, container.clock, container.cipher)
        return await captchas.draw(with_answer=container.settings.demo)

    @router.get("/.well-known/jwks.json")
    async def jwks(request: Request) -> dict[str, Any]:
        """Public keys of this issuer (RFC 7517)."""
        keys: dict[str, Any] = request.app.state.container.signing.jwks()
        return keys

    return [bare, router]


def _add_session_routes(
    router: APIRouter,
    bare: APIRouter,
    accounts: Accounts,
    log_in: LogIn,
    login_options: dict[str, Any],
    roles: tuple[str, ...],
) -> None:
    LoggingIn = Annotated[Checked, Depends(log_in)]  # noqa: N806 - a type

    @bare.post("/sessions", **login_options)
    async def open_session(container: Deps, sessions: OwnSessions, checked: LoggingIn) -> TokenPair:
        """Log in."""
        async with accounts.admitted(container, sessions, checked) as (session, account):
            return sessions.open(session, account)

    @bare.post(
        "/sessions/refresh",
        responses=problems(InvalidRefreshToken),
        openapi_extra=CREDENTIALS,
        dependencies=[Depends(rate_limit("60/minute"))],
    )
    async def refresh_session(container: Deps, sessions: OwnSessions, body: RefreshRequest) -> TokenPair:
        """Exchange a refresh token, once, for the next pair."""
        async with container.database.transaction() as session:
            refreshed = await sessions.refresh(session, body.refresh_token)
            if refreshed is not None:
                row, token = refreshed
                return sessions.pair(await accounts.active(session, row.subject, InvalidRefreshToken), row.id, token)
        # What the refusal is about, such as a token spent twice, is committed before it.
        raise InvalidRefreshToken

    @router.delete("/sessions/current", status_code=204)
    async def end_session(
        container: Deps,
        sessions: OwnSessions,
        session: Session,
        principal: Annotated[Principal, allow(*roles, initial_password=True)],
    ) -> None:
        """Log out: the refresh token dies at once, this access token at its issuer at once and elsewhere on expiry."""
        await sessions.end(session, principal.session)
        await accounts.witness(container, session, principal, "log_out")


def _add_browser_routes(
    router: APIRouter, bare: APIRouter, accounts: Accounts, log_in: LogIn, login_options: dict[str, Any]
) -> None:
    LoggingIn = Annotated[Checked, Depends(log_in)]  # noqa: N806 - a type

    @bare.post("/browser-sessions", **login_options)
    async def open_browser_session(container: Deps, browsers: Browsers, checked: LoggingIn) -> BrowserSession:
        """Log in for a web portal, which keeps only the id, in the browser's cookie."""
        async with accounts.admitted(container, browsers.sessions, checked) as (session, account):
            return browsers.open(session, account)

    # Neither limited by address nor worth it: a portal asks for everyone, and an id has 256 random bits.
    @router.post("/browser-sessions/access", responses=problems(InvalidSession), openapi_extra=CREDENTIALS)
    async def access_browser_session(browsers: Browsers, session: Session, body: AccessRequest) -> BrowserAccess:
        """An access token for one page; as often as wanted until the session ends or was idle for too long."""
        row = await browsers.see(session, body.session_id, active=body.active)
        return browsers.access(await accounts.active(session, row.subject, InvalidSession), row.id)

    @router.post("/browser-sessions/rotation", responses=problems(InvalidSession), openapi_extra=CREDENTIALS)
    async def rotate_browser_session(browsers: Browsers, session: Session, body: SessionIdRequest) -> BrowserSession:
        """Give the session a new id, as after a password change; the old one is dead at once."""
        row, session_id = await browsers.rotate(session, body.session_id)
        return browsers.shown(await accounts.active(session, row.subject, InvalidSession), row.id, session_id)


def _add_password_route(
    bare: APIRouter, accounts: Accounts, roles: tuple[str, ...], initial_passwords: tuple[str, ...]
) -> None:
    refusals = problems(WrongOldPassword, WeakPassword, AccountLocked, LoginDelayed)

    @bare.put("/password", status_code=204, responses=refusals)
    async def change_password(
        container: Deps,
        sessions: OwnSessions,
        principal: Annotated[Principal, allow(*roles, initial_password=True)],
        body: PasswordChange,
    ) -> None:
        """Change the password. After the initial one, refresh the session to get a token that opens everything."""
        async with container.database.transaction() as session:
            checked = await accounts.active(session, principal.subject, InvalidToken)
        name = checked.account_name(container.cipher)
        try:
            hashed = await sessions.hash_new_password(
                checked, name, principal.session, body.old_password, body.new_password, *initial_passwords
            )
            async with container.database.transaction() as session:
                account = await accounts.unchanged(session, checked, WrongOldPassword)
                if not await sessions.is_open(session, principal.session):
                    raise InvalidToken
                await sessions.set_password(session, account, hashed, kept=principal.session)
                await accounts.witness(container, session, principal, "password_changed")
        except (WrongOldPassword, AccountLocked, LoginDelayed):
            async with container.database.transaction() as session:
                await accounts.witness(container, session, principal, "password_change_failed")
            raise
