"""What registrars send and get."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field

from services.renewal.domain import Status
from services.renewal.schemas import PersonRead
from shared.web.validation import ONE_NAME, Line, RequestModel, Text


class RowErrorRead(BaseModel):
    row: int
    column: str
    code: str
    message: str


class RenamingRead(BaseModel):
    """A row that gives a known person another name: what the platform had and what it has after the import."""

    row: int
    id_number_masked: str
    old: str
    new: str


class ImportRead(BaseModel):
    """`failed` counts every bad row, `flagged` those taken that somebody should look at, `renamings` those that
    give a known person another name; of `errors`, `warnings` and `renamed` at most the first 1,000 each are listed."""

    rows: int
    created: int
    updated: int
    unchanged: int
    failed: int
    flagged: int = 0
    renamings: int = 0
    errors: list[RowErrorRead]
    warnings: list[RowErrorRead] = Field(default_factory=list)
    renamed: list[RenamingRead] = Field(default_factory=list)


class ImportProgress(BaseModel):
    rows_done: int
    rows_total: int | None


class ImportDone(BaseModel):
    report: ImportRead


class HeldCertificateRead(BaseModel):
    """A void certificate of the registry was removed, or is a number that was put right: `corrected_to`."""

    id: UUID
    certificate_number: str
    post: str
    post_name: str
    valid_until: date | None
    source: Literal["registry", "platform"]
    replaced: bool
    voided_at: datetime | None
    void_reason: str | None
    corrected_to: str | None
    updated_at: datetime


class PersonApplicationRead(BaseModel):
    application_id: UUID
    post: str
    post_name: str
    status: Status
    status_label: str


class RegistryPersonRead(PersonRead):
    id: UUID
    updated_at: datetime
    certificates: list[HeldCertificateRead]
    applications: list[PersonApplicationRead]


class RegistryChange(RequestModel):
    """Why something is put right, and what the client saw of it."""

    reason: Text = Field(title="原因", max_length=200)
    updated_at: AwareDatetime = Field(description="as it was shown; another means that somebody has changed it since")


class PersonCorrection(RegistryChange):
    name: Annotated[Text, ONE_NAME] = Field(title="姓名", max_length=100)


class CertificateCorrection(RegistryChange):
    """What is right, written as in an import; what is left out stays as it is."""

    certificate_number: Line | None = Field(title="证书编号", default=None, max_length=100)
    post: Text | None = Field(title="岗位", default=None, max_length=50, description="code or name")
    valid_until: str | None = Field(default=None, max_length=20, description="a date; empty for no expiry")
