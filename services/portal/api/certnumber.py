"""What the certnumber service answers. Written by `make models` from its OpenAPI document."""

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


class CertificateRead(Answer):
    number: str
    status: Known[Literal["valid", "void"]]
    post: str
    holder: str
    enterprise: str
    issued_on: date
    voided_on: date | None = None
    replaces: str | None = None
    replaced_by: str | None = None


class ClashRead(Answer):
    number: str
    series_id: UUID
    series: str


class CounterRead(Answer):
    period: int
    last: int


class PageAuditRead(Answer):
    items: list[AuditRead]
    next_cursor: str | None = None


class RefusalRead(Answer):
    code: str
    detail: str
    field: str


class SeriesPreview(Answer):
    post: str
    numbers: list[str]
    capacity: int
    refusal: RefusalRead | None = None


class SeriesProof(Answer):
    series_id: UUID
    name: str
    period: int
    count: int
    highest: int
    counter: int
    gaps: int
    gap_examples: list[int] = []
    duplicates: int
    void: int
    valid: int
    gapless: bool


class SeriesRead(Answer):
    id: UUID
    name: str
    layout: str
    posts: list[str] | None = None
    yearly: bool
    active: bool
    counters: list[CounterRead]
    capacity: int
    example: str
    clash: ClashRead | None = None
    failed: int = 0
    created_at: AwareDatetime
    updated_at: AwareDatetime


class UnnumberedApproval(Answer):
    application_id: UUID
    decision_no: int
    status: str
    approved_at: AwareDatetime
    failure_code: str | None = None


class PageSeriesRead(Answer):
    items: list[SeriesRead]
    next_cursor: str | None = None


class Proof(Answer):
    gapless: bool
    series: list[SeriesProof]
    waiting: int
    failed: int
    oldest_waiting_seconds: int | None = None
    oldest_waiting: UnnumberedApproval | None = None
