"""What `certnumber` says. `decision_no` names the approval that the number belongs to."""

from datetime import date, datetime
from typing import ClassVar
from uuid import UUID

from shared.contracts.resync import ResyncRequested
from shared.messaging.events import Event


class NumberingEvent(Event):
    subject_field: ClassVar[str] = "application_id"

    application_id: UUID
    decision_no: int


class NumberAssigned(NumberingEvent):
    type: ClassVar[str] = "certnumber.assigned"

    number: str
    issued_on: date
    assigned_at: datetime
    replaces: str | None


class NumberVoided(NumberingEvent):
    type: ClassVar[str] = "certnumber.voided"

    number: str
    voided_at: datetime


class NumberingFailed(NumberingEvent):
    type: ClassVar[str] = "certnumber.failed"

    code: str
    detail: str


class ApprovalsResyncRequested(ResyncRequested):
    type: ClassVar[str] = "certnumber.resync_requested"
