"""What `renewal` says: the one authority for an application's state.

Every event carries the application's whole public state and `change_no`, which grows with every change. A reader that
keeps the state of the highest `change_no` is right whatever the order and number of deliveries.
"""

from datetime import date, datetime
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from shared.contracts.resync import Digest, ResyncRequested
from shared.messaging.events import Event

# The context that binds a sealed PersonBlock to being sent.
PERSON_BLOCK = "event.person"

Status = Literal["draft", "pending_review", "approved", "certified", "rejected", "cancelled"]
Sex = Literal["male", "female"]


class HeldCertificate(BaseModel):
    """A certificate that the person holds; `valid_until` is None where the registry does not tell."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    post: str
    post_name: str
    certificate_number: str | None
    valid_until: date | None


class PersonBlock(BaseModel):
    """What an event tells of the person, sent only encrypted as `ApplicationState.person`.

    A reader whose block does not fit is told which field, never the value.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    name: str
    id_number: str
    sex: Sex
    birth_date: date
    held: tuple[HeldCertificate, ...]


class ImageReference(BaseModel):
    """One uploaded picture of a submission; the bytes stay in the object store of `renewal`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Literal["id-front", "id-back", "commitment-letter"]
    sha256: str
    width: int
    height: int


class ApplicationState(Event):
    """Base of all renewal events. `person` is a PersonBlock, sealed; `person_index` its id number's blind index."""

    subject_field: ClassVar[str] = "application_id"

    application_id: UUID
    application_number: str
    change_no: int
    revision: int
    decision_no: int
    status: Status
    person: str
    person_index: str
    enterprise_id: UUID
    enterprise_name: str
    post: str
    post_name: str
    certificate_number: str | None
    images: tuple[ImageReference, ...]
    added_at: datetime
    submitted_at: datetime | None
    reason_code: str | None = None
    comment: str | None = None


class RenewalSubmitted(ApplicationState):
    type: ClassVar[str] = "renewal.submitted"


class RenewalApproved(ApplicationState):
    """`decision_no` names this approval. `previous_approval` is the decision_no of the approval it follows, if any:
    a number may be given only when that one is known to be withdrawn. `replaces` is the number of the certificate the
    person holds for this post, which the new one is to take the place of."""

    type: ClassVar[str] = "renewal.approved"

    decision_id: UUID
    approved_at: datetime
    previous_approval: int | None
    replaces: str | None = None


class RenewalRejected(ApplicationState):
    type: ClassVar[str] = "renewal.rejected"

    decision_id: UUID


class RenewalApprovalWithdrawn(ApplicationState):
    """`approval` is the decision_no of the approval that no longer holds. `decision_id` is None when the platform
    itself withdrew it, because its number turned out to be another certificate's."""

    type: ClassVar[str] = "renewal.approval_withdrawn"

    decision_id: UUID | None
    approval: int
    withdrawn_at: datetime


class RenewalCertified(ApplicationState):
    type: ClassVar[str] = "renewal.certified"

    issued_on: date


class RenewalCancelled(ApplicationState):
    type: ClassVar[str] = "renewal.cancelled"


class RenewalDecisionRefused(ApplicationState):
    """The desk's decision could not be taken: `code` for programs, `detail` (Chinese) for the reviewer."""

    type: ClassVar[str] = "renewal.decision_refused"

    decision_id: UUID
    code: str
    detail: str


class RenewalNumberingFailed(ApplicationState):
    """The approval holds but has no number, and needs an administrator."""

    type: ClassVar[str] = "renewal.numbering_failed"

    code: str
    detail: str


class RenewalRestated(ApplicationState):
    """Something about the person has changed: the name was put right, or what the person holds is another."""

    type: ClassVar[str] = "renewal.restated"


class SubmittedRevision(BaseModel):
    """What was submitted as one revision."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    revision: int
    submitted_at: datetime
    post: str
    post_name: str
    images: tuple[ImageReference, ...]


class DecisionAnswer(BaseModel):
    """What became of a decision of the desk; `code` and `detail` say why it was refused."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    decision_id: UUID
    accepted: bool
    code: str | None = None
    detail: str | None = None
    answered_at: datetime
    change_no: int


class ApprovalRecord(BaseModel):
    """An approval as RenewalApproved told it and, where it holds no more, as RenewalApprovalWithdrawn did."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    decision_no: int
    previous_approval: int | None
    approved_at: datetime
    replaces: str | None
    withdrawn_at: datetime | None
    reason_code: str | None
    comment: str | None


class NumberingFailureRecord(BaseModel):
    """Why the present approval has no number yet, as RenewalNumberingFailed told it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    change_no: int
    detail: str


class RenewalSnapshot(ApplicationState):
    """All that the application's events have told, for one service that lacks some of it. `change_no` is that of the
    last of them; post and images are those of the last submission."""

    type: ClassVar[str] = "renewal.snapshot"

    submissions: tuple[SubmittedRevision, ...]
    answers: tuple[DecisionAnswer, ...]
    approvals: tuple[ApprovalRecord, ...]
    numbering_failure: NumberingFailureRecord | None = None


class ApplicationsDigest(Digest):
    """Sums up all applications that were ever submitted, and the `change_no` of the last event of each."""

    type: ClassVar[str] = "renewal.applications_digest"


class ApprovalsDigest(Digest):
    """Sums up all applications that were ever approved, and how many approvals and withdrawals each has had."""

    type: ClassVar[str] = "renewal.approvals_digest"


class EnterprisesResyncRequested(ResyncRequested):
    type: ClassVar[str] = "renewal.resync_requested"
