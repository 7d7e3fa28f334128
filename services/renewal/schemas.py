"""What clients send and get; the registry's own are in registry/schemas.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from services.renewal.domain import ImageKind, Status
from shared.values.text import identifier
from shared.web.validation import CHOSEN, Identifier, RequestModel, Revision, Text, cleaned

REASON_FIELD = 'the part of the application that the reason is about: "post" or a kind of image'


class PostRead(BaseModel):
    code: str
    name: str
    family: str


class EligibilityRequest(RequestModel):
    id_number: Identifier = Field(title="身份证号", max_length=40)
    post: Text | None = Field(title="岗位", json_schema_extra=CHOSEN, default=None, max_length=20)


class ReasonRead(BaseModel):
    code: str
    rule: str
    message: str


class PersonRead(BaseModel):
    name: str
    id_number_masked: str
    sex: Literal["male", "female"]
    birth_date: date


class PostEligibility(BaseModel):
    code: str
    name: str
    eligible: bool
    reasons: list[ReasonRead]


class EligibilityRead(BaseModel):
    eligible: bool
    person: PersonRead
    reasons: list[ReasonRead]
    posts: list[PostEligibility]


class ApplicationDraft(RequestModel):
    id_number: Identifier = Field(title="身份证号", max_length=40)
    post: Text = Field(title="岗位", json_schema_extra=CHOSEN, max_length=20)


class ApplicationChange(RequestModel):
    post: Text = Field(title="岗位", json_schema_extra=CHOSEN, max_length=20)
    revision: Revision | None = None


@dataclass(frozen=True, kw_only=True)
class ApplicationSearch:
    """All given conditions must hold; `name` matches anywhere."""

    enterprise_id: UUID
    status: Status | None = None
    name: str | None = None
    added_from: datetime | None = None
    added_to: datetime | None = None
    application_ids: Sequence[UUID] | None = None


# HZ00000012, or only its digits.
ApplicationNumber = Annotated[str, StringConstraints(pattern="^(HZ)?[0-9]{1,12}$"), cleaned(identifier)]


@dataclass(frozen=True, kw_only=True)
class AuditSearch:
    """All given conditions must hold; `name` and `enterprise` match anywhere, the others exactly.

    `id_number` is given as its blind index and as it is shown, masked.
    """

    sequence: int | None = None
    name: str | None = None
    id_number: tuple[str, str] | None = None
    enterprise: str | None = None
    enterprise_id: UUID | None = None


class RevisionRequest(RequestModel):
    revision: Revision


class ImageSwap(RequestModel):
    kinds: frozenset[ImageKind] = Field(min_length=2, max_length=2)


class ImageRead(BaseModel):
    kind: ImageKind
    sha256: str
    width: int
    height: int
    bytes: int


class ApplicationRead(BaseModel):
    id: UUID
    application_number: str
    status: Status
    status_label: str
    revision: int
    decision_no: int
    name: str
    id_number_masked: str
    post: str
    post_name: str
    certificate_number: str | None
    reason_code: str | None
    reason_label: str | None
    reason_field: str | None = Field(description=REASON_FIELD)
    comment: str | None
    numbering_failure: str | None
    images: list[ImageRead]
    repeated_images: list[ImageKind] = Field(
        default=[], description="kinds that share one picture: one of them has to be replaced before submission"
    )
    added_at: datetime
    submitted_at: datetime | None
    updated_at: datetime


class HistoryEntry(BaseModel):
    change_no: int
    at: datetime
    action: str
    actor: str
    status: Status
    status_label: str
    revision: int
    decision_no: int
    reason_code: str | None
    reason_label: str | None
    reason_field: str | None = Field(description=REASON_FIELD)
    comment: str | None
    certificate_number: str | None


class ApplicationDetail(ApplicationRead):
    corrected: bool | None = Field(
        description="whether what the rejection is about has changed since; null unless rejected for such a part"
    )
    history: list[HistoryEntry]
