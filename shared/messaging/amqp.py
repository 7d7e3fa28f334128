"""How a message looks in AMQP, and what a delivery tells beside it."""

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from shared.messaging.events import Message
from shared.messaging.topology import event_key


def to_amqp(message: Message, headers: Mapping[str, str | int] | None = None) -> aio_pika.Message:
    return aio_pika.Message(
        message.body,
        message_id=str(message.id),
        type=event_key(message.routing_key),
        content_type="application/cloudevents+json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        headers=dict(headers or {}),
    )


def tries(delivery: AbstractIncomingMessage) -> int:
    """Tell how often the broker has given this message to someone who neither took nor refused it."""
    tries = delivery.headers.get("x-delivery-count", 0)
    return tries if isinstance(tries, int) else 0


def by_risk(batch: Sequence[AbstractIncomingMessage]) -> Iterator[Sequence[AbstractIncomingMessage]]:
    """Give fresh messages together, then one by one those that may have crashed a process, the likeliest last."""
    if fresh := [delivery for delivery in batch if not tries(delivery)]:
        yield fresh
    for delivery in sorted(filter(tries, batch), key=tries):
        yield [delivery]


def to_message(delivery: AbstractIncomingMessage) -> Message:
    try:
        event_id = UUID(delivery.message_id or "")
    except ValueError:
        event_id = UUID(int=0)
    attempts = delivery.headers.get("x-attempts", 0)
    return Message(
        event_id,
        delivery.type or delivery.routing_key or "",
        delivery.body,
        attempts if isinstance(attempts, int) else 0,
    )
