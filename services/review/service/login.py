"""Captcha, login, and the account that is logged in."""

import asyncio
import base64
import hmac
from dataclasses import dataclass
from uuid import UUID, uuid4

from captcha.image import ImageCaptcha
from sqlalchemy.ext.asyncio import AsyncSession

from services.review import queries
from services.review.audit import AuditAction, record
from services.review.domain import (
    CAPTCHA_LENGTH,
    CAPTCHA_LIFETIME,
    random_text,
)
from services.review.errors import WrongCaptcha
from services.review.models import Captcha, Reviewer
from services.review.schemas import LoginRequest
from shared.audit.trail import Actor
from shared.auth.errors import AccountLocked, WrongCredentials
from shared.auth.sessions import Sessions
from shared.auth.tokens import Principal
from shared.runtime.container import Container


@dataclass(frozen=True)
class Question:
    """A captcha to show; `image` is a data URL."""

    captcha_id: UUID
    answer: str
    image: str


async def new_captcha(container: Container, session: AsyncSession) -> Question:
    """Draw a question, of whose answer only a keyed hash is stored."""
    captcha_id, answer = uuid4(), random_text(CAPTCHA_LENGTH)
    # Before the first statement, because drawing takes long enough to be without a connection meanwhile.
    png = await asyncio.to_thread(lambda: ImageCaptcha().generate(answer).getvalue())
    now = container.clock.now()
    await queries.delete_expired_captchas(session, now)
    session.add(
        Captcha(id=captcha_id, answer_hash=_hash(container, captcha_id, answer), expires_at=now + CAPTCHA_LIFETIME)
    )
    return Question(captcha_id, answer, f"data:image/png;base64,{base64.b64encode(png).decode()}")


async def log_in(container: Container, sessions: Sessions, login: LoginRequest) -> Reviewer:
    """Check captcha and password; gives the account for which a session may now be opened.

    Raises WrongCaptcha, AccountLocked, WrongCredentials.
    """
    await _spend_captcha(container, login.captcha_id, login.captcha_answer)
    async with container.database.transaction() as session:
        account = await queries.find_reviewer_by_username(session, login.username)
    known = account.username if account else None
    try:
        return await sessions.check_login(account, login.username, login.password)
    except (AccountLocked, WrongCredentials) as refusal:
        async with container.database.transaction() as own:
            record(container, own, None, AuditAction.log_in_failed, known, code=refusal.code)
        raise


async def find_account(session: AsyncSession, reviewer_id: UUID) -> Reviewer | None:
    """Find the account of a session, for shared.auth.endpoints."""
    return await queries.find_reviewer(session, reviewer_id)


async def read_account(session: AsyncSession, principal: Principal) -> Reviewer:
    """Read the account that is logged in."""
    return await queries.get_reviewer(session, principal.subject)


async def witness(container: Container, session: AsyncSession, actor: Actor, action: str) -> None:
    """Record what an account does to itself, for shared.auth.endpoints."""
    reviewer = await queries.get_reviewer(session, actor.subject)
    record(container, session, actor, AuditAction(action), reviewer.username)


async def _spend_captcha(container: Container, captcha_id: UUID, typed: str) -> None:
    # Gone for good before it is compared, so that no answer can be tried twice whatever happens next.
    async with container.database.transaction() as own:
        taken = await queries.take_captcha(own, captcha_id)
    if taken is None:
        raise WrongCaptcha
    answer_hash, expires_at = taken
    fits = hmac.compare_digest(_hash(container, captcha_id, typed), answer_hash)
    if not fits or expires_at <= container.clock.now():
        raise WrongCaptcha


def _hash(container: Container, captcha_id: UUID, answer: str) -> str:
    # Keyed: so few answers are possible that a plain hash would give them away.
    return container.cipher.blind_index(f"captcha:{captcha_id}:{answer}")
