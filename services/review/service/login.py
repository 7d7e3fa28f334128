"""Login, and the account that is logged in."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.review import queries
from services.review.audit import AuditAction, record
from services.review.models import Reviewer
from services.review.schemas import LoginRequest
from shared.audit.trail import Actor
from shared.auth.captcha import Captchas
from shared.auth.errors import AccountLocked, LoginDelayed, WrongCredentials
from shared.auth.sessions import Checked, Sessions
from shared.auth.tokens import Principal
from shared.runtime.container import Container


async def log_in(container: Container, sessions: Sessions, login: LoginRequest, address: str) -> Checked:
    """Check captcha and password; gives the account for which a session may now be opened.

    Raises WrongCaptcha, AccountLocked, LoginDelayed, WrongCredentials.
    """
    captchas = Captchas(container.database, container.clock, container.cipher)
    await captchas.spend(login.captcha_id, login.captcha_answer)
    async with container.database.transaction() as session:
        account = await queries.find_reviewer_by_username(session, login.username)
    known = account.username if account else None
    try:
        return await sessions.check_login(account, login.username, login, address)
    except (AccountLocked, LoginDelayed, WrongCredentials) as refusal:
        async with container.database.transaction() as own:
            record(container, own, None, AuditAction.log_in_failed, known, code=refusal.code)
        raise


async def find_account(session: AsyncSession, reviewer_id: UUID, *, lock: bool = False) -> Reviewer | None:
    """Find the account of a session, for shared.auth.endpoints."""
    return await queries.find_reviewer(session, reviewer_id, lock=lock)


async def read_account(session: AsyncSession, principal: Principal) -> Reviewer:
    """Read the account that is logged in."""
    return await queries.get_reviewer(session, principal.subject)


async def witness(container: Container, session: AsyncSession, actor: Actor, action: str) -> None:
    """Record what an account does to itself, for shared.auth.endpoints."""
    reviewer = await queries.get_reviewer(session, actor.subject)
    record(container, session, actor, AuditAction(action), reviewer.username)
