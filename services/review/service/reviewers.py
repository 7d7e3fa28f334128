"""Accounts of the authority's people."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from services.review import queries
from services.review.audit import AuditAction, record
from services.review.domain import INITIAL_PASSWORD_LENGTH, ROLES, Role
from services.review.errors import OwnAdminRole, ReviewerExists, ReviewerNotFound
from services.review.models import Reviewer
from services.review.schemas import ReviewerChange, ReviewerCreation
from shared.auth.passwords import hash_password, random_text
from shared.auth.sessions import Sessions
from shared.auth.tokens import Principal
from shared.errors import Forbidden
from shared.persistence.db import violates
from shared.runtime.container import Container
from shared.values.clock import SystemClock
from shared.web.pagination import PageRequest, split_page


async def list_reviewers(
    session: AsyncSession, page: PageRequest, username: str | None = None
) -> tuple[list[Reviewer], str | None]:
    """Read a page of accounts, newest first or only the named one, and the cursor of the next page."""
    rows = await queries.list_reviewers(session, page, username)
    return split_page(rows, page, lambda reviewer: (reviewer.created_at, reviewer.id))


async def read_reviewer(session: AsyncSession, reviewer_id: UUID) -> Reviewer:
    """Read an account. Raises ReviewerNotFound."""
    reviewer = await queries.find_reviewer(session, reviewer_id)
    if reviewer is None:
        raise ReviewerNotFound
    return reviewer


async def add_reviewer(
    container: Container, actor: Principal | None, creation: ReviewerCreation, password: str | None = None
) -> tuple[Reviewer, str]:
    """Add an account; gives it and its initial password, a random one unless given.

    Waits for the hash, so the caller must hold no connection. Raises ReviewerExists.
    """
    password = password or random_text(INITIAL_PASSWORD_LENGTH)
    reviewer = await _new(creation, password, container.clock.now())
    async with container.database.transaction() as session:
        session.add(reviewer)
        try:
            await session.flush()
        except IntegrityError as error:
            if violates(error, "uq_reviewers_username"):
                raise ReviewerExists from None
            raise
        record(container, session, actor, AuditAction.reviewer_added, reviewer.username, roles=reviewer.roles)
    return reviewer, password


async def ensure_reviewer(session: AsyncSession, creation: ReviewerCreation, password: str) -> None:
    """Add an account whose password is known and stays, for the demo. An account that is there stays as it is."""
    if await queries.find_reviewer_by_username(session, creation.username) is None:
        reviewer = await _new(creation, password, SystemClock().now())
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
    """Change name or roles, disable or enable; who loses a role or is disabled is logged out.

    Raises ReviewerNotFound, OwnAdminRole, Forbidden.
    """
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


async def reset_password(container: Container, sessions: Sessions, actor: Principal, reviewer_id: UUID) -> str:
    """Draw a new initial password for the account and end its sessions.

    Waits for the hash, so the caller must hold no connection. Raises ReviewerNotFound, Forbidden.
    """
    password = random_text(INITIAL_PASSWORD_LENGTH)
    hashed = await hash_password(password)
    async with container.database.transaction() as session:
        reviewer = await _lock(session, actor, reviewer_id)
        reviewer.password_hash = hashed
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


async def _new(creation: ReviewerCreation, password: str, now: datetime) -> Reviewer:
    return Reviewer(
        id=uuid4(),
        username=creation.username,
        name=creation.name,
        roles=_sorted(creation.roles),
        password_hash=await hash_password(password),
        must_change_password=True,
        disabled_at=None,
        created_at=now,
        updated_at=now,
    )


def _sorted(roles: Collection[Role]) -> list[str]:
    return sorted(set(roles), key=ROLES.index)
