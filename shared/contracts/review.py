"""What `review` asks: a decision a reviewer has taken on what the desk showed (`revision`, `decision_no`)."""

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from shared.contracts.resync import ResyncRequested
from shared.messaging.events import Event


class ReviewDecision(Event):
    """`reason_field` names the part of the application that the reason is about: "post" or a kind of image."""

    subject_field: ClassVar[str] = "application_id"

    application_id: UUID
    decision_id: UUID
    revision: int
    decision_no: int
    reviewer: str
    decided_at: datetime
    reason_code: str | None = None
    reason_label: str | None = None
    reason_field: str | None = None
    comment: str | None = None


class ReviewApproved(ReviewDecision):
    type: ClassVar[str] = "review.approved"


class ReviewRejected(ReviewDecision):
    type: ClassVar[str] = "review.rejected"


class ReviewApprovalWithdrawn(ReviewDecision):
    type: ClassVar[str] = "review.approval_withdrawn"


class ReviewDecisionRepeated(ReviewDecision):
    """A decision that has had no answer for a while: taken if it never came, and answered again if it did."""

    type: ClassVar[str] = "review.decision_repeated"

    action: Literal["approve", "reject", "withdraw"]


class ApplicationsResyncRequested(ResyncRequested):
    type: ClassVar[str] = "review.resync_requested"
