"""Accounts of the authority's people."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from services.review import queries
from services.review.domain import INITIAL_PASSWORD_LENGTH, ROLES, AuditAction, Role, normalise_username, random_text
from services.review.errors import OwnAdminRole, ReviewerExists, ReviewerNotFound
from services.review.models import Reviewer
from services.review.schemas import ReviewerChange
from services.review.service.audit import record
from shared.auth.passwords import hash_password
from shared.auth.sessions import Sessions
from shared.auth.tokens import Principal
from shared.errors import Forbidden
from shared.runtime.container import Container
from shared.values.clock import SystemClock


async def add_reviewer(
    container: Container,
    session: AsyncSession,
    actor: Principal | None,
    *,
    username: str,
    name: str,
    roles: Collection[Role],
    password: str | None = None,
) -> tuple[Reviewer, str]:
    """The new account and its initial password, a random one unless given. Raises ReviewerExists."""
    password = password or random_text(INITIAL_PASSWORD_LENGTH)
    reviewer = await _new(username, name, roles, password, container.clock.now())
    session.add(reviewer)
    try:
        await session.flush()
    except IntegrityError:
        raise ReviewerExists from None
    record(container, session, actor, AuditAction.reviewer_added, reviewer.username, roles=reviewer.roles)
    return reviewer, password


async def ensure_reviewer(
    session: AsyncSession, username: str, name: str, roles: Collection[Role], password: str
) -> None:
    """For the demo: an account with a known password that need not be changed. An existing one stays as it is."""
    if await queries.find_reviewer_by_username(session, normalise_username(username)) is None:
        reviewer = await _new(username, name, roles, password, SystemClock().now())
        reviewer.must_change_password = False
        session.add(reviewer)


async def change_reviewer(
    container: Container,
    sessions: Sessions,
    session: AsyncSession,
    actor: Principal,
    reviewer_id: UUID,
    change: ReviewerChange,
) -> Reviewer:
    """Who loses a role or is disabled is logged out. Raises ReviewerNotFound, OwnAdminRole, Forbidden."""
    reviewer = await _lock(session, actor, reviewer_id)
    if reviewer.id == actor.subject and (change.disabled or (change.roles is not None and "admin" not in change.roles)):
        raise OwnAdminRole
    now = container.clock.now()
    lost: set[str] = set()
    if change.name is not None:
        reviewer.name = change.name
    if change.roles is not None:
        lost = set(reviewer.roles) - set(change.roles)
        reviewer.roles = _sorted(change.roles)
    if change.disabled is not None:
        reviewer.disabled_at = (reviewer.disabled_at or now) if change.disabled else None
    if lost or change.disabled:
        await sessions.end_all(session, reviewer.id)
    reviewer.updated_at = now
    record(
        container,
        session,
        actor,
        AuditAction.reviewer_changed,
        reviewer.username,
        fields=sorted(change.model_fields_set),
        roles=reviewer.roles,
        disabled=reviewer.disabled_at is not None,
    )
    return reviewer


async def reset_password(
    container: Container, sessions: Sessions, session: AsyncSession, actor: Principal, reviewer_id: UUID
) -> str:
    """The new initial password; the account's sessions end. Raises ReviewerNotFound, Forbidden."""
    reviewer = await _lock(session, actor, reviewer_id)
    password = random_text(INITIAL_PASSWORD_LENGTH)
    reviewer.password_hash = await hash_password(password)
    reviewer.must_change_password = True
    reviewer.updated_at = container.clock.now()
    await sessions.end_all(session, reviewer.id)
    record(container, session, actor, AuditAction.password_reset, reviewer.username)
    return password


async def _lock(session: AsyncSession, actor: Principal, reviewer_id: UUID) -> Reviewer:
    # The actor's row as well: two administrators who disable each other at once must not both succeed.
    locked = await queries.lock_reviewers(session, {actor.subject, reviewer_id})
    acting = locked.get(actor.subject)
    if acting is None or not acting.is_active or "admin" not in acting.roles:
        raise Forbidden
    if reviewer_id not in locked:
        raise ReviewerNotFound
    return locked[reviewer_id]


async def _new(username: str, name: str, roles: Collection[Role], password: str, now: datetime) -> Reviewer:
    return Reviewer(
        id=uuid4(),
        username=normalise_username(username),
        name=name,
        roles=_sorted(roles),
        password_hash=await hash_password(password),
        must_change_password=True,
        disabled_at=None,
        created_at=now,
        updated_at=now,
    )


def _sorted(roles: Collection[Role]) -> list[str]:
    return sorted(set(roles), key=ROLES.index)
