"""What the review desk asks, and renewal decides: approve, reject, withdraw.

A decision names the state the desk showed (`revision`, `decision_no`). One made on an older state is refused and says
so; one that is ahead of us waits for its predecessor. So any order and number of deliveries ends in the same state.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal.container import RenewalContainer
from services.renewal.domain import LABELS, Action, DecisionReason, next_status
from services.renewal.lifecycle import Applications
from services.renewal.models import Application
from shared.contracts.review import ReviewApprovalWithdrawn, ReviewApproved, ReviewDecision, ReviewRejected
from shared.messaging import PredecessorMissing, Received, traced

ACTIONS = {
    ReviewApproved: Action.approve,
    ReviewApprovalWithdrawn: Action.withdraw,
    ReviewRejected: Action.reject,
}


async def take_decisions(
    container: RenewalContainer, session: AsyncSession, batch: Sequence[Received[ReviewDecision]]
) -> None:
    """Raises PredecessorMissing for a decision on a state that is not here yet."""
    applications = await Applications.load(container, session, (item.event.application_id for item in batch))
    start = container.clock.now()
    for position, received in enumerate(traced(batch)):
        # Approvals are numbered by their time: those of one batch in the order in which they were decided.
        _take(applications, received.event, start + timedelta(microseconds=position))


def _take(applications: Applications, decision: ReviewDecision, now: datetime) -> None:
    application = applications[decision.application_id]
    seen, present = [(state.revision, state.decision_no) for state in (decision, application)]
    if seen > present:
        raise PredecessorMissing
    action, reason = ACTIONS[type(decision)], DecisionReason.of(decision)
    refusal = _refusal(applications, application, action, now, stale=seen != present)
    if refusal is not None:
        applications.refuse(application, decision.reviewer, *refusal, now, decision.decision_id)
        return
    match action:
        case Action.approve:
            applications.approve(application, decision.reviewer, reason, now, decision.decision_id)
        case Action.reject:
            applications.reject(application, decision.reviewer, reason, now, decision.decision_id)
        case _:
            applications.withdraw(application, decision.reviewer, reason, now, decision.decision_id)


def _refusal(
    applications: Applications, application: Application, action: Action, now: datetime, *, stale: bool
) -> tuple[str, str] | None:
    """Code and detail of why the decision cannot be taken."""
    label = LABELS[application.status]
    if stale:
        return "stale_revision", f"申请已有变化，当前为“{label}”"
    if next_status(application.status, action) is None:
        return "wrong_state", f"申请当前为“{label}”，不能执行此操作"
    if action is Action.approve:
        against = applications.ineligibilities(application, now)
        return (against[0].code, "；".join(each.message for each in against)) if against else None
    if action is Action.withdraw:
        return applications.conflict(application, now)
    return None
