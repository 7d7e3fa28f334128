"""Writing the audit trail: always in the transaction of what it records."""

from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.review import queries
from services.review.domain import AuditAction
from shared.audit import trail
from shared.auth.tokens import Principal
from shared.runtime.container import Container


def record(
    container: Container,
    session: AsyncSession,
    actor: trail.Actor | None,
    action: AuditAction,
    subject: UUID | str | None,
    **detail: Any,
) -> None:
    """`subject` is an application's id or a username; see shared.audit.trail.add."""
    trail.add(session, container.clock.now(), actor, action, subject, detail)


async def witness(container: Container, session: AsyncSession, principal: Principal, action: str) -> None:
    """For shared.auth.endpoints: what accounts do to themselves."""
    reviewer = await queries.get_reviewer(session, principal.subject)
    record(container, session, principal, AuditAction(action), reviewer.username)
