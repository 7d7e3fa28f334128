"""Events on the wire: a contract is a frozen pydantic model, the envelope carries CloudEvents 1.0 attributes."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict
from pydantic_core import to_json

from shared.observability.telemetry import current_traceparent

MAX_ENVELOPE_BYTES = 256 * 1024


class Event(BaseModel):
    """Base of every contract. `type` is the wire name and `version` its major version; readers ignore new fields."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: ClassVar[str]
    version: ClassVar[int] = 1
    subject_field: ClassVar[str]

    @classmethod
    def routing_key(cls) -> str:
        return f"{cls.type}.v{cls.version}"

    @property
    def subject(self) -> str:
        return str(getattr(self, self.subject_field))


E = TypeVar("E", bound=Event)
E_co = TypeVar("E_co", bound=Event, covariant=True)


class Envelope(BaseModel):
    """CloudEvents 1.0 in JSON structured mode."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    specversion: str = "1.0"
    id: UUID
    source: str
    type: str
    subject: str
    time: datetime
    dataschema: str
    datacontenttype: str = "application/json"
    traceparent: str | None = None
    data: Any

    @classmethod
    def wrap(cls, event: Event, source: str, time: datetime) -> "Envelope":
        return cls.model_validate_json(write(event, source, time, uuid4()))

    @property
    def routing_key(self) -> str:
        return self.dataschema.removeprefix("urn:ganzheng:")


def write(event: Event, source: str, time: datetime, event_id: UUID) -> bytes:
    """Write an event in the envelope that `Envelope` reads. All of it is ours and typed, so nothing is checked."""
    return to_json(
        {
            "specversion": "1.0",
            "id": event_id,
            "source": f"/{source}",
            "type": event.type,
            "subject": event.subject,
            "time": time,
            "dataschema": f"urn:ganzheng:{event.routing_key()}",
            "datacontenttype": "application/json",
            "traceparent": current_traceparent(),
            "data": event,
        }
    )


class EnvelopeOf(Envelope, Generic[E]):
    """An envelope whose contract is known before it is read: both are read at once."""

    data: E


@dataclass(frozen=True, slots=True)
class Message:
    """What a transport carries: the envelope's bytes and how often this delivery was tried before."""

    id: UUID
    routing_key: str
    body: bytes
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Received(Generic[E_co]):
    """What a handler gets: the parsed event with the attributes of its envelope."""

    id: UUID
    time: datetime
    traceparent: str | None
    event: E_co
