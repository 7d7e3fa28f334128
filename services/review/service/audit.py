"""Writing the audit trail: always in the transaction of what it records."""

from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from services.review import queries
from services.review.domain import AuditAction
from services.review.models import AuditEntry, Reviewer
from shared.auth.tokens import Principal
from shared.container import Container


def record(
    container: Container,
    session: AsyncSession,
    actor: Principal | Reviewer | None,
    action: AuditAction,
    subject: UUID | str | None,
    **detail: Any,
) -> None:
    """`subject` is an application's id or a username; `detail` must hold no personal data.

    Without an actor it was somebody who could not log in, or the operator.
    """
    session.add(
        AuditEntry(
            id=uuid4(),
            at=container.clock.now(),
            actor_id=actor.subject if isinstance(actor, Principal) else actor and actor.id,
            actor_name=actor.name if actor else None,
            action=action,
            subject=None if subject is None else str(subject),
            detail=detail,
        )
    )


async def witness(container: Container, session: AsyncSession, principal: Principal, action: str) -> None:
    """For shared.auth.endpoints: what accounts do to themselves."""
    reviewer = await queries.get_reviewer(session, principal.subject)
    record(container, session, principal, AuditAction(action), reviewer.username)
