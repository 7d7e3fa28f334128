"""What registrars send and get."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from services.renewal.domain import Status
from services.renewal.schemas import PersonRead


class RowErrorRead(BaseModel):
    row: int
    column: str
    code: str
    message: str


class ImportRead(BaseModel):
    """`failed` counts every bad row; `errors` holds at most the first 1,000 errors."""

    rows: int
    created: int
    updated: int
    unchanged: int
    failed: int
    errors: list[RowErrorRead]


class ImportProgress(BaseModel):
    rows_done: int
    rows_total: int | None


class ImportDone(BaseModel):
    report: ImportRead


class HeldCertificateRead(BaseModel):
    certificate_number: str
    post: str
    post_name: str
    valid_until: date | None
    source: Literal["registry", "platform"]
    replaced: bool
    voided_at: datetime | None


class PersonApplicationRead(BaseModel):
    application_id: UUID
    post: str
    post_name: str
    status: Status
    status_label: str


class RegistryPersonRead(PersonRead):
    certificates: list[HeldCertificateRead]
    applications: list[PersonApplicationRead]
