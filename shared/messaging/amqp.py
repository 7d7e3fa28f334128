"""How a message looks in AMQP, and what a delivery tells beside it."""

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic

from shared.messaging.events import Message
from shared.messaging.topology import event_key

PERSISTENT = 2


def properties_of(message: Message, headers: Mapping[str, str | int] | None = None) -> Basic.Properties:
    return Basic.Properties(
        message_id=str(message.id),
        message_type=event_key(message.routing_key),
        content_type="application/cloudevents+json",
        delivery_mode=PERSISTENT,
        headers=dict(headers) if headers else None,
    )


def headers_of(delivery: DeliveredMessage) -> Mapping[str, object]:
    return delivery.header.properties.headers or {}


def tag_of(delivery: DeliveredMessage) -> int:
    """Give the number under which its channel knows it."""
    return delivery.delivery_tag or 0


def tries(delivery: DeliveredMessage) -> int:
    """Tell how often the broker has given this message to someone who neither took nor refused it."""
    tries = headers_of(delivery).get("x-delivery-count", 0)
    return tries if isinstance(tries, int) else 0


def by_risk(batch: Sequence[DeliveredMessage]) -> Iterator[Sequence[DeliveredMessage]]:
    """Give fresh messages together, then one by one those that may have crashed a process, the likeliest last."""
    if fresh := [delivery for delivery in batch if not tries(delivery)]:
        yield fresh
    for delivery in sorted(filter(tries, batch), key=tries):
        yield [delivery]


def to_message(delivery: DeliveredMessage) -> Message:
    properties = delivery.header.properties
    try:
        event_id = UUID(properties.message_id or "")
    except ValueError:
        event_id = UUID(int=0)
    attempts = headers_of(delivery).get("x-attempts", 0)
    return Message(
        event_id,
        properties.message_type or delivery.routing_key or "",
        delivery.body,
        attempts if isinstance(attempts, int) else 0,
    )
