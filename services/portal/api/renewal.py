"""What the renewal service answers. Written by `make models` from its OpenAPI document."""

from datetime import date
from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime

from services.portal.api import Answer, Known


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


class HeldCertificateRead(Answer):
    id: UUID
    certificate_number: str
    post: str
    post_name: str
    valid_until: date | None = None
    source: Known[Literal["registry", "platform"]]
    replaced: bool
    voided_at: AwareDatetime | None = None
    void_reason: str | None = None
    corrected_to: str | None = None
    updated_at: AwareDatetime


class HistoryEntry(Answer):
    change_no: int
    at: AwareDatetime
    action: str
    actor: str
    status: Known[Literal["draft", "pending_review", "approved", "certified", "rejected", "cancelled"]]
    status_label: str
    revision: int
    decision_no: int
    reason_code: str | None = None
    reason_label: str | None = None
    reason_field: str | None = None
    comment: str | None = None
    certificate_number: str | None = None


class ImageRead(Answer):
    kind: Known[Literal["id-front", "id-back", "commitment-letter"]]
    sha256: str
    width: int
    height: int
    bytes: int


class PageAuditRead(Answer):
    items: list[AuditRead]
    next_cursor: str | None = None


class PersonApplicationRead(Answer):
    application_id: UUID
    post: str
    post_name: str
    status: Known[Literal["draft", "pending_review", "approved", "certified", "rejected", "cancelled"]]
    status_label: str


class PersonRead(Answer):
    name: str
    id_number_masked: str
    sex: Known[Literal["male", "female"]]
    birth_date: date


class PostRead(Answer):
    code: str
    name: str
    family: str


class ReasonRead(Answer):
    code: str
    rule: str
    message: str


class RegistryPersonRead(Answer):
    name: str
    id_number_masked: str
    sex: Known[Literal["male", "female"]]
    birth_date: date
    id: UUID
    updated_at: AwareDatetime
    certificates: list[HeldCertificateRead]
    applications: list[PersonApplicationRead]


class RenamingRead(Answer):
    row: int
    id_number_masked: str
    old: str
    new: str


class RowErrorRead(Answer):
    row: int
    column: str
    code: str
    message: str


class ApplicationDetail(Answer):
    id: UUID
    application_number: str
    status: Known[Literal["draft", "pending_review", "approved", "certified", "rejected", "cancelled"]]
    status_label: str
    revision: int
    decision_no: int
    name: str
    id_number_masked: str
    post: str
    post_name: str
    certificate_number: str | None = None
    reason_code: str | None = None
    reason_label: str | None = None
    reason_field: str | None = None
    comment: str | None = None
    numbering_failure: str | None = None
    images: list[ImageRead]
    repeated_images: list[Known[Literal["id-front", "id-back", "commitment-letter"]]] = []
    added_at: AwareDatetime
    submitted_at: AwareDatetime | None = None
    updated_at: AwareDatetime
    corrected: bool | None = None
    history: list[HistoryEntry]


class ApplicationRead(Answer):
    id: UUID
    application_number: str
    status: Known[Literal["draft", "pending_review", "approved", "certified", "rejected", "cancelled"]]
    status_label: str
    revision: int
    decision_no: int
    name: str
    id_number_masked: str
    post: str
    post_name: str
    certificate_number: str | None = None
    reason_code: str | None = None
    reason_label: str | None = None
    reason_field: str | None = None
    comment: str | None = None
    numbering_failure: str | None = None
    images: list[ImageRead]
    repeated_images: list[Known[Literal["id-front", "id-back", "commitment-letter"]]] = []
    added_at: AwareDatetime
    submitted_at: AwareDatetime | None = None
    updated_at: AwareDatetime


class ImportRead(Answer):
    rows: int
    created: int
    updated: int
    unchanged: int
    failed: int
    flagged: int = 0
    renamings: int = 0
    errors: list[RowErrorRead]
    warnings: list[RowErrorRead] | None = None
    renamed: list[RenamingRead] | None = None


class PageApplicationRead(Answer):
    items: list[ApplicationRead]
    next_cursor: str | None = None


class PostEligibility(Answer):
    code: str
    name: str
    eligible: bool
    reasons: list[ReasonRead]


class EligibilityRead(Answer):
    eligible: bool
    person: PersonRead
    reasons: list[ReasonRead]
    posts: list[PostEligibility]
