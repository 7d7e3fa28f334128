"""Events as a transport would hand them over."""

from datetime import datetime
from uuid import UUID, uuid4

from shared.messaging import Envelope, Event, Message
from tests.support.clock import START


def message(event: Event, event_id: UUID | None = None, at: datetime = START) -> Message:
    """The event in an envelope of its own, or under `event_id`: the same twice is one message come again."""
    envelope = Envelope.wrap(event, "test", at).model_copy(update={"id": event_id or uuid4()})
    return Message(envelope.id, envelope.routing_key, envelope.model_dump_json().encode())
