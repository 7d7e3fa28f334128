"""What the review desk asks, and renewal decides: approve, reject, withdraw.

A decision names the state the desk showed (`revision`, `decision_no`). One made on an older state is refused and says
so; one that is ahead of us waits for its predecessor. So any order and number of deliveries ends in the same state. A
decision has one answer: one that comes again, because the desk has not heard it, gets the same.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal import queries
from services.renewal.container import RenewalContainer
from services.renewal.domain import LABELS, Action, DecisionReason, next_status
from services.renewal.lifecycle import PLATFORM, Applications
from services.renewal.models import Answer, Application
from services.renewal.service.resync import say_again
from shared.contracts.review import (
    ReviewApprovalWithdrawn,
    ReviewApproved,
    ReviewDecision,
    ReviewDecisionRepeated,
    ReviewRejected,
)
from shared.contracts.topology import REVIEW_RESYNC
from shared.messaging import PredecessorMissing, Received, traced

Refusal = tuple[str, str]
AnswerRow = tuple[UUID, UUID, int, str | None, str | None, datetime]

ACTIONS: dict[type[ReviewDecision], Action] = {
    ReviewApproved: Action.approve,
    ReviewApprovalWithdrawn: Action.withdraw,
    ReviewRejected: Action.reject,
}


async def take_decisions(
    container: RenewalContainer, session: AsyncSession, batch: Sequence[Received[ReviewDecision]]
) -> None:
    """Raises PredecessorMissing for a decision on a state that is not here yet."""
    applications = await Applications.load(container, session, (item.event.application_id for item in batch))
    answered = await queries.answered(session, {item.event.decision_id for item in batch})
    repeated = [item.event for item in batch if isinstance(item.event, ReviewDecisionRepeated)]
    if repeated:
        answered |= await _infer_answers(session, [each for each in repeated if each.decision_id not in answered])
    start = container.clock.now()
    again: set[UUID] = set()
    answers = []
    for position, received in enumerate(traced(batch)):
        if received.event.decision_id in answered:
            again.add(received.event.application_id)
            continue
        # Approvals are numbered by their time: those of one batch in the order in which they were decided.
        now = start + timedelta(microseconds=position)
        refusal = _take(applications, received.event, now)
        answered.add(received.event.decision_id)
        answers.append(_answer(applications[received.event.application_id], received.event, refusal, now))
    await queries.ANSWERS.write_async(session, answers)
    await applications.save()
    if again:
        await say_again(container, session, again, REVIEW_RESYNC)


async def _infer_answers(session: AsyncSession, decisions: Sequence[ReviewDecisionRepeated]) -> set[UUID]:
    """Find those that the version before took, which kept no answers: the desk never has two open ones on one state, so
    what came next there came of this one."""
    histories = await queries.histories_of(session, {decision.application_id for decision in decisions})
    found = set()
    for decision in decisions:
        for change in histories[decision.application_id]:
            state = (change.action, change.revision, change.decision_no)
            if state == (decision.action, decision.revision, decision.decision_no + 1) and change.actor != PLATFORM:
                session.add(
                    Answer(
                        decision_id=decision.decision_id,
                        application_id=decision.application_id,
                        change_no=change.change_no,
                        at=change.at,
                    )
                )
                found.add(decision.decision_id)
    return found


def _answer(application: Application, decision: ReviewDecision, refusal: Refusal | None, now: datetime) -> AnswerRow:
    code, detail = refusal or (None, None)
    return decision.decision_id, application.id, application.change_no, code, detail, now


def _action(decision: ReviewDecision) -> Action:
    return Action(decision.action) if isinstance(decision, ReviewDecisionRepeated) else ACTIONS[type(decision)]


def _take(applications: Applications, decision: ReviewDecision, now: datetime) -> Refusal | None:
    application = applications[decision.application_id]
    seen, present = [(state.revision, state.decision_no) for state in (decision, application)]
    if seen > present:
        raise PredecessorMissing
    action, reason = _action(decision), DecisionReason.of(decision)
    refusal = _refusal(applications, application, action, now, stale=seen != present)
    if refusal is not None:
        applications.refuse(application, decision.reviewer, *refusal, now, decision.decision_id)
        return refusal
    match action:
        case Action.approve:
            applications.approve(application, decision.reviewer, reason, now, decision.decision_id)
        case Action.reject:
            applications.reject(application, decision.reviewer, reason, now, decision.decision_id)
        case _:
            applications.withdraw(application, decision.reviewer, reason, now, decision.decision_id)
    return None


def _refusal(
    applications: Applications, application: Application, action: Action, now: datetime, *, stale: bool
) -> Refusal | None:
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
