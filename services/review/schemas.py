"""What clients ask for and are answered; their docstrings and descriptions are the API's documentation."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from services.review.domain import Action, ItemStatus, Role
from shared.auth.sessions import Credentials
from shared.values.text import identifier, login_name
from shared.web.validation import (
    CHOSEN,
    SHOWN,
    Identifier,
    LoginName,
    Paragraph,
    PersonName,
    RequestModel,
    Revision,
    Text,
    cleaned,
)

Username = Annotated[str, StringConstraints(pattern="^[!-~]{3,40}$"), SHOWN, cleaned(login_name)]


class LoginRequest(Credentials):
    username: LoginName = Field(title="账号", max_length=100)
    captcha_id: UUID = Field(description="checked first, and spent whatever the outcome")
    captcha_answer: Identifier = Field(title="验证码", max_length=20)


class ReviewerRead(BaseModel):
    id: UUID
    username: str
    name: str
    roles: list[Role]
    must_change_password: bool


class ReviewerAccount(ReviewerRead):
    disabled: bool
    created_at: datetime


class ReviewerCreation(RequestModel):
    username: Username = Field(
        title="账号",
        examples=["zhangsan01（3 至 40 个字母、数字或符号）"],
        description="full-width forms and capitals make no difference",
    )
    name: PersonName = Field(title="姓名", max_length=50)
    roles: list[Role] = Field(title="角色", json_schema_extra=CHOSEN, min_length=1, max_length=3)


class ReviewerChange(RequestModel):
    name: PersonName | None = Field(title="姓名", default=None, max_length=50)
    roles: list[Role] | None = Field(title="角色", json_schema_extra=CHOSEN, default=None, min_length=1, max_length=3)
    disabled: bool | None = None


class InitialPassword(BaseModel):
    initial_password: str = Field(description="shown this once; must be changed at the first login")


class ReviewerCreated(ReviewerAccount, InitialPassword):
    pass


# HZ00000012, or only its digits.
ApplicationNumber = Annotated[str, StringConstraints(pattern="^(HZ)?[0-9]{1,12}$"), cleaned(identifier)]


@dataclass(frozen=True, kw_only=True)
class AuditSearch:
    """All given conditions must hold; `name` and `enterprise` match anywhere, the others exactly."""

    account: str | None = None
    application_number: str | None = None
    name: str | None = None
    id_number_index: str | None = None
    enterprise: str | None = None
    enterprise_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class ItemSearch:
    """All given conditions must hold; `name` and `enterprise` match anywhere, the others exactly."""

    name: str | None = None
    id_number_index: str | None = None
    certificate_number: str | None = None
    post: str | None = None
    status: ItemStatus | None = None
    enterprise: str | None = None
    added_from: datetime | None = None
    added_to: datetime | None = None
    application_ids: Sequence[UUID] | None = None


class Note(BaseModel):
    code: str
    detail: str


class ItemRead(BaseModel):
    application_id: UUID
    application_number: str
    revision: int
    decision_no: int
    name: str
    id_number_masked: str
    enterprise: str
    post: str
    post_name: str
    certificate_number: str | None
    status: str
    status_label: str
    added_at: datetime
    submitted_at: datetime | None
    reason_code: str | None
    comment: str | None
    decision_pending: bool
    actions: list[Action] = Field(description="what may be asked for now; nothing while a decision is pending")
    refusal: Note | None
    numbering_failure: Note | None
    withdrawal: Note | None = Field(description="why its approval was withdrawn, while it waits for review anew")


class ImageRead(BaseModel):
    kind: str
    url: str
    sha256: str
    width: int
    height: int


class DecisionRead(BaseModel):
    id: UUID
    action: Action
    revision: int
    reviewer: str
    reason_code: str | None
    reason_label: str | None
    comment: str | None
    decided_at: datetime
    outcome: Literal["asked", "accepted", "refused"]
    outcome_code: str | None
    outcome_detail: str | None
    outcome_at: datetime | None


class RevisionRead(BaseModel):
    revision: int
    submitted_at: datetime
    post: str
    post_name: str
    images: list[ImageRead]
    changed: list[str] = Field(description='"post" and kinds of image that differ from the revision before')


class HeldCertificate(BaseModel):
    post: str
    post_name: str
    certificate_number: str | None
    valid_until: date | None


class ItemDetail(ItemRead):
    id_number: str
    sex: Literal["male", "female"]
    birth_date: date
    age: int = Field(description="in full years, on the day of submission in Asia/Shanghai")
    held: list[HeldCertificate]
    images: list[ImageRead]
    decisions: list[DecisionRead] = Field(description="newest first")
    revisions: list[RevisionRead] = Field(description="newest first")


class NeighbourRead(BaseModel):
    application_id: UUID
    name: str
    status: str


class NeighboursRead(BaseModel):
    previous: NeighbourRead | None = Field(description="the next newer one")
    next: NeighbourRead | None = Field(description="the next older one")


class WaitingRead(BaseModel):
    from_days: int
    to_days: int | None
    count: int


class DayRead(BaseModel):
    day: date = Field(description="in Asia/Shanghai")
    approved: int = 0
    rejected: int = 0
    withdrawn: int = 0


class ReasonCount(BaseModel):
    code: str
    label: str
    count: int


class StatisticsRead(BaseModel):
    waiting: list[WaitingRead] = Field(description="waiting for review, by days since submission")
    waiting_total: int
    oldest_waiting_at: datetime | None
    decided: list[DayRead] = Field(description="every day of the window, today last")
    reasons: list[ReasonCount] = Field(description="of rejections in the window, most frequent first")


class ReasonRead(BaseModel):
    code: str
    label: str
    field: str | None = Field(default=None, description='"post" or a kind of image')
    actions: list[Action]
    needs_comment: bool


class DecisionItem(RequestModel):
    application_id: UUID
    revision: Revision
    decision_no: Revision | None = None


class DecisionRequest(RequestModel):
    action: Action
    items: list[DecisionItem] = Field(title="要审核的申请", json_schema_extra=CHOSEN, min_length=1, max_length=500)
    reason_code: Text | None = Field(default=None, max_length=50)
    comment: Paragraph | None = Field(default=None, max_length=500)


class DecisionResult(BaseModel):
    application_id: UUID
    outcome: Literal["accepted", "refused"] = Field(description="accepted: asked for; `renewal` has the last word")
    code: str | None = None
    detail: str | None = None


class DecisionResults(BaseModel):
    results: list[DecisionResult]
