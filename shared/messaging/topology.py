"""Names of exchanges and queues as value objects. The table itself is shared/contracts/topology.py."""

from dataclasses import dataclass
from typing import Any

from shared.messaging.events import Event

EXCHANGE = "ganzheng.events"


@dataclass(frozen=True)
class Queue:
    """One quorum queue of one consuming service and concern, with its delay and dead-letter queues.

    A message is a dead letter after `max_attempts` refusals by a handler, which we count ourselves, or when the
    consuming process crashed over it more than `delivery_limit` times, which the broker counts.
    """

    name: str
    service: str
    events: tuple[type[Event], ...]
    retry_delay_ms: int = 3_000
    delivery_limit: int = 10
    max_attempts: int = 20

    @property
    def retry(self) -> str:
        return f"{self.name}.retry"

    @property
    def dead(self) -> str:
        return f"{self.name}.dead"

    @property
    def routing_keys(self) -> tuple[str, ...]:
        return tuple(event.routing_key() for event in self.events)

    @property
    def states(self) -> dict[str, str]:
        """Name the states in which a message may wait, and the broker's queue for each."""
        return {"ready": self.name, "retry": self.retry, "dead": self.dead}

    def arguments(self) -> dict[str, Any]:
        """Declare the structure here, so that a broker without policies loses nothing; policies may tighten it."""
        return _quorum(self.dead) | {"x-delivery-limit": self.delivery_limit}

    def retry_arguments(self) -> dict[str, Any]:
        return _quorum(self.name) | {"x-message-ttl": self.retry_delay_ms}

    def dead_arguments(self) -> dict[str, Any]:
        # Looking at a dead letter counts as a delivery, and after 20 of them RabbitMQ 4 would drop it.
        return {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000_000}


def _quorum(dead_letters_to: str) -> dict[str, Any]:
    return {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": dead_letters_to,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
