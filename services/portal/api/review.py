"""What the review service answers. Written by `make models` from its OpenAPI document."""

from datetime import date
from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime

from services.portal.api import Answer, Known


class AccountRead(Answer):
    id: UUID
    name: str
    roles: list[str]


class AuditRead(Answer):
    id: UUID
    at: AwareDatetime
    actor_id: UUID | None = None
    actor: str | None = None
    action: str
    action_label: str
    subject: str | None = None
    subject_label: str | None = None
    detail: dict[str, object]


class BrowserAccess(Answer):
    access_token: str
    token_type: str = "Bearer"
    expires_in: int
    must_change_password: bool
    account: AccountRead
    seal_key: str


class BrowserSession(Answer):
    access_token: str
    token_type: str = "Bearer"
    expires_in: int
    must_change_password: bool
    account: AccountRead
    seal_key: str
    session_id: str


class CaptchaRead(Answer):
    captcha_id: UUID
    image: str
    expires_in: int
    answer: str | None = None


class DayRead(Answer):
    day: date
    approved: int = 0
    rejected: int = 0
    withdrawn: int = 0


class DecisionRead(Answer):
    id: UUID
    action: Known[Literal["approve", "reject", "withdraw"]]
    revision: int
    reviewer: str
    reason_code: str | None = None
    reason_label: str | None = None
    comment: str | None = None
    decided_at: AwareDatetime
    outcome: Known[Literal["asked", "accepted", "refused"]]
    outcome_code: str | None = None
    outcome_detail: str | None = None
    outcome_at: AwareDatetime | None = None


class DecisionResult(Answer):
    application_id: UUID
    outcome: Known[Literal["accepted", "refused"]]
    code: str | None = None
    detail: str | None = None


class DecisionResults(Answer):
    results: list[DecisionResult]


class HeldCertificate(Answer):
    post: str
    post_name: str
    certificate_number: str | None = None
    valid_until: date | None = None


class ImageRead(Answer):
    kind: str
    url: str
    sha256: str
    width: int
    height: int


class InitialPassword(Answer):
    initial_password: str


class NeighbourRead(Answer):
    application_id: UUID
    name: str
    status: str


class NeighboursRead(Answer):
    previous: NeighbourRead | None = None
    next: NeighbourRead | None = None


class Note(Answer):
    code: str
    detail: str


class PageAuditRead(Answer):
    items: list[AuditRead]
    next_cursor: str | None = None


class ReasonCount(Answer):
    code: str
    label: str
    count: int


class ReasonRead(Answer):
    code: str
    label: str
    field: str | None = None
    actions: list[Known[Literal["approve", "reject", "withdraw"]]]
    needs_comment: bool


class ReviewerAccount(Answer):
    id: UUID
    username: str
    name: str
    roles: list[Known[Literal["reviewer", "registrar", "admin"]]]
    must_change_password: bool
    disabled: bool
    created_at: AwareDatetime


class ReviewerCreated(Answer):
    initial_password: str
    id: UUID
    username: str
    name: str
    roles: list[Known[Literal["reviewer", "registrar", "admin"]]]
    must_change_password: bool
    disabled: bool
    created_at: AwareDatetime


class ReviewerRead(Answer):
    id: UUID
    username: str
    name: str
    roles: list[Known[Literal["reviewer", "registrar", "admin"]]]
    must_change_password: bool


class RevisionRead(Answer):
    revision: int
    submitted_at: AwareDatetime
    post: str
    post_name: str
    images: list[ImageRead]
    changed: list[str]


class TokenPair(Answer):
    access_token: str
    token_type: str = "Bearer"
    expires_in: int
    must_change_password: bool
    refresh_token: str


class WaitingRead(Answer):
    from_days: int
    to_days: int | None = None
    count: int


class ItemDetail(Answer):
    application_id: UUID
    application_number: str
    revision: int
    decision_no: int
    name: str
    id_number_masked: str
    enterprise: str
    post: str
    post_name: str
    certificate_number: str | None = None
    status: str
    status_label: str
    added_at: AwareDatetime
    submitted_at: AwareDatetime | None = None
    reason_code: str | None = None
    comment: str | None = None
    decision_pending: bool
    actions: list[Known[Literal["approve", "reject", "withdraw"]]]
    refusal: Note | None = None
    numbering_failure: Note | None = None
    withdrawal: Note | None = None
    id_number: str
    sex: Known[Literal["male", "female"]]
    birth_date: date
    age: int
    held: list[HeldCertificate]
    images: list[ImageRead]
    decisions: list[DecisionRead]
    revisions: list[RevisionRead]


class ItemRead(Answer):
    application_id: UUID
    application_number: str
    revision: int
    decision_no: int
    name: str
    id_number_masked: str
    enterprise: str
    post: str
    post_name: str
    certificate_number: str | None = None
    status: str
    status_label: str
    added_at: AwareDatetime
    submitted_at: AwareDatetime | None = None
    reason_code: str | None = None
    comment: str | None = None
    decision_pending: bool
    actions: list[Known[Literal["approve", "reject", "withdraw"]]]
    refusal: Note | None = None
    numbering_failure: Note | None = None
    withdrawal: Note | None = None


class PageItemRead(Answer):
    items: list[ItemRead]
    next_cursor: str | None = None


class PageReviewerAccount(Answer):
    items: list[ReviewerAccount]
    next_cursor: str | None = None


class StatisticsRead(Answer):
    waiting: list[WaitingRead]
    waiting_total: int
    oldest_waiting_at: AwareDatetime | None = None
    decided: list[DayRead]
    reasons: list[ReasonCount]
