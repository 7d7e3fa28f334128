"""What the review desk asks, and renewal decides: approve, reject, withdraw.

A decision names the state the desk showed (`revision`, `decision_no`). One made on an older state is refused and says
so; one that is ahead of us waits for its predecessor. So any order and number of deliveries ends in the same state.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal import queries
from services.renewal.container import RenewalContainer
from services.renewal.domain import LABELS, Action, Status, excluded_by, next_status
from services.renewal.models import Application, ImageRow
from services.renewal.queries import Holdings
from services.renewal.service.changes import record, state
from services.renewal.service.eligibility import Rules
from shared.contracts.renewal import (
    ApplicationState,
    RenewalApprovalWithdrawn,
    RenewalApproved,
    RenewalDecisionRefused,
    RenewalRejected,
)
from shared.contracts.review import ReviewApprovalWithdrawn, ReviewApproved, ReviewDecision, ReviewRejected
from shared.messaging import PredecessorMissing, Received, traced
from shared.values.clock import business_day


class Decider:
    """Takes a batch of decisions with a fixed number of queries."""

    def __init__(
        self,
        container: RenewalContainer,
        session: AsyncSession,
        rules: Rules,
        holdings: Holdings,
        images: dict[UUID, list[ImageRow]],
    ) -> None:
        self._container = container
        self._session = session
        self._rules = rules
        self._holdings = holdings
        self._images = images

    def take(self, application: Application, decision: ReviewDecision, now: datetime) -> ApplicationState:
        """Raises PredecessorMissing."""
        if (decision.revision, decision.decision_no) > (application.revision, application.decision_no):
            raise PredecessorMissing
        if (decision.revision, decision.decision_no) != (application.revision, application.decision_no):
            label = LABELS[application.status]
            return self._refuse(application, decision, now, "stale_revision", f"申请已有变化，当前为“{label}”")
        action = _ACTIONS[decision.type]
        following = next_status(application.status, action)
        if following is None:
            label = LABELS[application.status]
            return self._refuse(application, decision, now, "wrong_state", f"申请当前为“{label}”，不能执行此操作")
        match action:
            case Action.approve:
                return self._approve(application, decision, now, following)
            case Action.reject:
                self._decide(application, decision, now, following, "reject")
                return RenewalRejected(**self._state(application), decision_id=decision.decision_id)
            case _:
                return self._withdraw(application, decision, now, following)

    def _approve(
        self, application: Application, decision: ReviewDecision, now: datetime, following: Status
    ) -> ApplicationState:
        standing = self._holdings.standing(application.person, self._rules.posts, business_day(now), but=application)
        reasons = self._rules.judge(standing, application)
        if reasons:
            detail = "；".join(reason.message for reason in reasons)
            return self._refuse(application, decision, now, reasons[0].code, detail)
        previous = application.last_approval
        self._decide(application, decision, now, following, "approve")
        application.last_approval = application.decision_no
        return RenewalApproved(
            **self._state(application),
            decision_id=decision.decision_id,
            approved_at=now,
            previous_approval=previous,
            replaces=next((c.certificate_number for c in self._holdings.replaceable(application)), None),
        )

    def _withdraw(
        self, application: Application, decision: ReviewDecision, now: datetime, following: Status
    ) -> ApplicationState:
        posts, post = self._rules.posts, self._rules.posts[application.post]
        others = self._holdings.standing(application.person, posts, business_day(now), but=application).live
        if other := excluded_by(post, others):
            detail = f"该人员另有在办的{other.name}换证申请，与本申请不能同时在办，请先处理该申请再撤回"
            code = "already_applied" if other == post else "constructor_and_quality"
            return self._refuse(application, decision, now, code, detail)
        approval = application.decision_no
        self._void_certificate(application, now)
        application.certificate_number = None
        application.numbering_failure = None
        self._decide(application, decision, now, following, "withdraw")
        return RenewalApprovalWithdrawn(
            **self._state(application), decision_id=decision.decision_id, approval=approval, withdrawn_at=now
        )

    def _void_certificate(self, application: Application, now: datetime) -> None:
        """What it took the place of is valid again, or replaced by what has replaced it since."""
        certificates = self._holdings.certificates[application.person_id]
        own = next((c for c in certificates if c.application_id == application.id and c.voided_at is None), None)
        if own is None:
            return
        own.voided_at = own.updated_at = now
        for certificate in certificates:
            if certificate.replaced_by == application.id:
                certificate.replaced_by, certificate.updated_at = own.replaced_by, now

    def _decide(
        self, application: Application, decision: ReviewDecision, now: datetime, following: Status, action: str
    ) -> None:
        application.status = following
        application.decision_no += 1
        application.reason_code = decision.reason_code
        application.reason_label = decision.reason_label
        application.reason_field = decision.reason_field
        application.comment = decision.comment
        record(self._session, application, action, decision.reviewer, now)

    def _refuse(
        self, application: Application, decision: ReviewDecision, now: datetime, code: str, detail: str
    ) -> RenewalDecisionRefused:
        record(self._session, application, "decision_refused", decision.reviewer, now, comment=detail)
        return RenewalDecisionRefused(
            **self._state(application), decision_id=decision.decision_id, code=code, detail=detail
        )

    def _state(self, application: Application) -> dict[str, Any]:
        held = self._holdings.valid(application.person_id, business_day(application.updated_at))
        return state(self._container, application, self._rules.posts, self._images[application.id], held)


_ACTIONS = {
    ReviewApproved.type: Action.approve,
    ReviewApprovalWithdrawn.type: Action.withdraw,
    ReviewRejected.type: Action.reject,
}


async def take_decisions(
    container: RenewalContainer, session: AsyncSession, batch: Sequence[Received[ReviewDecision]]
) -> None:
    """Raises PredecessorMissing for a decision on a state that is not here yet."""
    applications = await queries.lock_applications(session, (item.event.application_id for item in batch))
    person_ids = {application.person_id for application in applications.values()}
    holdings = await queries.holdings(session, person_ids, applications.values())
    images = await queries.current_images(session, applications)
    decider = Decider(container, session, await Rules.load(session), holdings, images)
    start = container.clock.now()
    for position, received in enumerate(traced(batch)):
        application = applications.get(received.event.application_id)
        if application is None:
            raise PredecessorMissing
        # Approvals are numbered by their time: those of one batch in the order in which they were decided.
        now = start + timedelta(microseconds=position)
        container.outbox.add(session, decider.take(application, received.event, now), now)
