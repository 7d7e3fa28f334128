"""What clients ask for and are answered; their docstrings and descriptions are the API's documentation."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from services.certnumber.domain import MAX_NUMBER, NumberState
from shared.web.validation import RequestModel, Text

PostCode = Annotated[str, StringConstraints(pattern="^[0-9]{2}$")]
Posts = Annotated[
    list[PostCode], Field(min_length=1, max_length=100, description="post codes; null: all posts no other series names")
]
# Longer than a number, because a placeholder is longer than what it becomes.
LayoutText = Annotated[
    Text,
    Field(
        max_length=4 * MAX_NUMBER,
        description="literals, {post}, {year}, {year:02}, one {serial:07}, {check} at the end",
        examples=["00707{post}{serial:07}"],
    ),
]


class SeriesCreation(RequestModel):
    name: Text = Field(title="规则名称", max_length=100)
    layout: LayoutText = Field(title="编号格式")
    posts: Posts | None = None
    yearly: bool = False
    active: bool = True


class SeriesChange(RequestModel):
    """`posts` null makes it the default series; any other null changes nothing."""

    name: Text | None = Field(title="规则名称", default=None, max_length=100)
    layout: LayoutText | None = Field(title="编号格式", default=None)
    posts: Posts | None = None
    yearly: bool | None = None
    active: bool | None = None


class SeriesDraft(SeriesCreation):
    """A series to look at before it is saved: a new one, or `series_id` as it would be."""

    series_id: UUID | None = None


class CounterRead(BaseModel):
    """`period` is 0, or the year of approval in a yearly series; `last` the last serial given."""

    period: int
    last: int


class ClashRead(BaseModel):
    """A number that another active series would give as well."""

    number: str
    series_id: UUID
    series: str


class SeriesRead(BaseModel):
    """`capacity` is the highest serial that fits; `example` what the series' next number might be.

    `clash` is with another active series, saved before that was refused; `failed` counts the approvals of its posts
    that could not be numbered.
    """

    id: UUID
    name: str
    layout: str
    posts: list[str] | None
    yearly: bool
    active: bool
    counters: list[CounterRead]
    capacity: int
    example: str
    clash: ClashRead | None
    failed: int = 0
    created_at: datetime
    updated_at: datetime


class RefusalRead(BaseModel):
    """Why the series cannot be saved: as the refusal would say it, and for which `field`."""

    code: str
    detail: str
    field: str


class SeriesPreview(BaseModel):
    """The next numbers the series would give for the first of its posts; none when its serials are used up."""

    post: str
    numbers: list[str]
    capacity: int
    refusal: RefusalRead | None


class CertificateRead(BaseModel):
    number: str
    status: NumberState
    post: str
    holder: str
    enterprise: str
    issued_on: date
    voided_on: date | None
    replaces: str | None
    replaced_by: str | None


class SeriesProof(BaseModel):
    """One counter's proof. `highest` is the highest serial in the ledger, `counter` the last one given;
    `gap_examples` the first missing serials, at most ten."""

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


class UnnumberedApproval(BaseModel):
    application_id: UUID
    decision_no: int
    status: str
    approved_at: datetime
    failure_code: str | None


class Proof(BaseModel):
    """`oldest_waiting` is the oldest approval without a number, waiting or failed."""

    gapless: bool
    series: list[SeriesProof]
    waiting: int
    failed: int
    oldest_waiting_seconds: int | None
    oldest_waiting: UnnumberedApproval | None
