"""What review has not heard of applications, or renewal of decisions: found out, and mended."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.review import queries
from services.review.domain import REASONS
from services.review.models import Decision
from shared.contracts.renewal import ApplicationsDigest
from shared.contracts.review import ApplicationsResyncRequested, ReviewDecisionRepeated
from shared.runtime import resync
from shared.runtime.container import Container

REPEATED = 200


async def ask_for_applications(container: Container, session: AsyncSession, digest: ApplicationsDigest) -> None:
    await resync.ask(container, session, queries.versions(), digest, ApplicationsResyncRequested)


class Reminder:
    """Asks renewal again for what it has not answered, so many decisions at a time, one after the other."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._after: UUID | None = None

    async def remind(self, session: AsyncSession) -> None:
        before = resync.settled(self._container)
        rows = await queries.unanswered_decisions(session, before, self._after, REPEATED)
        self._after = rows[-1].id if len(rows) == REPEATED else None
        self._container.outbox.add(session, [_repeated(row) for row in rows], self._container.clock.now())


def _repeated(row: Decision) -> ReviewDecisionRepeated:
    reason = REASONS.get(row.reason_code or "")
    return ReviewDecisionRepeated.model_validate(
        {
            "application_id": row.application_id,
            "decision_id": row.id,
            "revision": row.revision,
            "decision_no": row.decision_no,
            "reviewer": row.reviewer_name,
            "decided_at": row.decided_at,
            "comment": row.comment,
            "reason_code": row.reason_code,
            "action": row.action,
            **(reason.named() if reason else {}),
        }
    )
