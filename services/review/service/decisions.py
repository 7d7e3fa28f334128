"""Decisions: one transaction for a batch, one answer for each row. "Accepted" means asked for: `renewal` decides."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from services.review import queries
from services.review.audit import AuditAction
from services.review.domain import (
    DUPLICATE,
    NOT_FOUND,
    REASONS,
    Action,
    DecisionReason,
    LastDecision,
    Refusal,
    Stage,
    check_decision,
)
from services.review.errors import CommentRequired, IdNumberInComment, ReasonRequired, UnknownReason
from services.review.models import LockedItem, NewDecision
from services.review.schemas import DecisionItem, DecisionRequest
from shared.audit import trail
from shared.auth.tokens import Principal
from shared.contracts.review import ReviewApprovalWithdrawn, ReviewApproved, ReviewDecision, ReviewRejected
from shared.errors import InvalidField, together
from shared.runtime.container import Container
from shared.values import idnumber

EVENTS: dict[Action, type[ReviewDecision]] = {
    "approve": ReviewApproved,
    "reject": ReviewRejected,
    "withdraw": ReviewApprovalWithdrawn,
}


async def decide(
    container: Container, session: AsyncSession, principal: Principal, request: DecisionRequest
) -> list[Refusal | None]:
    """Ask for a decision on each row of the request; says, in order, why one is refused, and None where it is asked.

    The number of statements does not depend on the number of rows.
    Raises ReasonRequired, UnknownReason, CommentRequired, IdNumberInComment.
    """
    now = container.clock.now()
    reason = _reason(request)
    ids = {row.application_id for row in request.items}
    items = await queries.lock_items(session, ids)
    # A statement of its own after the lock: only so does it see what the holder before us has committed.
    last = await queries.last_decisions(session, items)

    refusals: list[Refusal | None] = []
    decisions: list[NewDecision] = []
    entries = []
    seen: set[UUID] = set()
    for row in request.items:
        item = items.get(row.application_id)
        refusal = _check(request.action, row, item, last.get(row.application_id), row.application_id in seen)
        seen.add(row.application_id)
        refusals.append(refusal)
        decision_id = None
        if refusal is None and item is not None:
            decision_id = uuid4()
            decisions.append(_decision(decision_id, principal, request, item, now))
        detail = _audit_detail(request, row, refusal, decision_id)
        entries.append(trail.row(now, principal, AuditAction(request.action), row.application_id, detail))

    if decisions:
        await queries.add_decisions(session, decisions)
        container.outbox.add(session, [_event(decision, reason) for decision in decisions], now)
    await trail.add_rows(session, entries)
    return refusals


def _reason(request: DecisionRequest) -> DecisionReason | None:
    reason = REASONS.get(request.reason_code or "")
    faults: list[InvalidField] = []
    if request.reason_code is None and request.action != "approve":
        faults.append(ReasonRequired())
    elif request.reason_code is not None and (reason is None or request.action not in reason.actions):
        faults.append(UnknownReason())
    if request.comment and idnumber.appears_in(request.comment):
        faults.append(IdNumberInComment())
    elif reason and reason.needs_comment and not request.comment:
        faults.append(CommentRequired())
    if faults:
        raise together(faults)
    return reason


def _check(
    action: Action, row: DecisionItem, item: LockedItem | None, last: LastDecision | None, repeated: bool
) -> Refusal | None:
    if repeated:
        return DUPLICATE
    if item is None:
        return NOT_FOUND
    stage = Stage(item.revision, item.decision_no, item.status)
    return check_decision(action, row.revision, row.decision_no, stage, last)


def _decision(
    decision_id: UUID, principal: Principal, request: DecisionRequest, item: LockedItem, now: datetime
) -> NewDecision:
    return NewDecision(
        id=decision_id,
        application_id=item.application_id,
        revision=item.revision,
        decision_no=item.decision_no,
        action=request.action,
        reviewer_id=principal.subject,
        reviewer_name=principal.name,
        reason_code=request.reason_code,
        comment=request.comment,
        decided_at=now,
        outcome="asked",
    )


def _event(decision: NewDecision, reason: DecisionReason | None) -> ReviewDecision:
    return EVENTS[decision.action](
        application_id=decision.application_id,
        decision_id=decision.id,
        revision=decision.revision,
        decision_no=decision.decision_no,
        reviewer=decision.reviewer_name,
        decided_at=decision.decided_at,
        comment=decision.comment,
        **(reason.named() if reason else {}),
    )


def _audit_detail(
    request: DecisionRequest, row: DecisionItem, refusal: Refusal | None, decision_id: UUID | None
) -> dict[str, object]:
    detail = {
        "outcome": "refused" if refusal else "accepted",
        "code": refusal.code if refusal else None,
        "decision_id": str(decision_id) if decision_id else None,
        "revision": row.revision,
        "reason_code": request.reason_code,
    }
    return {key: value for key, value in detail.items() if value is not None}
