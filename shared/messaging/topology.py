"""Names of exchanges and queues as value objects. The table itself is shared/contracts/topology.py.

There is one exchange, and every queue is bound to it by keys of its own. An event is sent once to each queue that hears
it, under `<event>.to.<queue>`: so the broker says of each by itself when it is not there, or not bound.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from shared.messaging.events import Event

EXCHANGE = "ganzheng.events"
_TO = ".to."


@dataclass(frozen=True)
class Part:
    """One of the broker's queues: the keys that lead to it, and its arguments. `former` are those that 0.1.0 declared
    it with, which a queue that is there keeps."""

    name: str
    keys: tuple[str, ...]
    arguments: dict[str, Any]
    former: dict[str, Any]


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

    @cached_property
    def routing_keys(self) -> tuple[str, ...]:
        return tuple(event.routing_key() for event in self.events)

    @cached_property
    def heard(self) -> tuple[str, ...]:
        """List the keys under which events come here: those of publishers of 0.1.0, and the addresses."""
        return (*self.routing_keys, *map(self.address, self.routing_keys))

    @property
    def states(self) -> dict[str, str]:
        """Name the states in which a message may wait, and the broker's queue for each."""
        return {"ready": self.name, "retry": self.retry, "dead": self.dead}

    def address(self, routing_key: str) -> str:
        """Give the key under which an event is sent to this queue and to no other."""
        return f"{routing_key}{_TO}{self.name}"

    def hears(self, routing_key: str) -> bool:
        """Tell whether what is sent under this key comes here."""
        return routing_key in self.heard

    def arguments(self, exchange: str = EXCHANGE) -> dict[str, Any]:
        """Declare the structure here, so that a broker without policies loses nothing; policies may tighten it."""
        return _quorum(exchange, self.dead) | {"x-delivery-limit": self.delivery_limit}

    def retry_arguments(self, exchange: str = EXCHANGE) -> dict[str, Any]:
        return _quorum(exchange, self.name) | {"x-message-ttl": self.retry_delay_ms}

    def dead_arguments(self) -> dict[str, Any]:
        # Looking at a dead letter counts as a delivery, and after 20 of them RabbitMQ 4 would drop it.
        return {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000_000}

    def parts(self) -> tuple[Part, Part, Part]:
        """List what the broker has to have, the target of dead letters first: without it a queue would drop them.

        The keys of events alone are for publishers of 0.1.0, which also let the default exchange move dead letters.
        """
        dead = self.dead_arguments()
        return (
            Part(self.dead, (self.dead,), dead, dead),
            Part(self.retry, (self.retry,), self.retry_arguments(), self.retry_arguments("")),
            Part(self.name, (self.name, *self.heard), self.arguments(), self.arguments("")),
        )


def event_key(routing_key: str) -> str:
    """Give the event's own key, whether or not it is addressed to one queue."""
    return routing_key.partition(_TO)[0]


def addresses(queues: Iterable[Queue], routing_key: str) -> tuple[str, ...]:
    """List the keys to send an event under so that each queue that hears it has it; its own where none does."""
    if _TO in routing_key:
        return (routing_key,)
    return tuple(queue.address(routing_key) for queue in queues if routing_key in queue.routing_keys) or (routing_key,)


def _quorum(exchange: str, dead_letters_to: str) -> dict[str, Any]:
    return {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": exchange,
        "x-dead-letter-routing-key": dead_letters_to,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
