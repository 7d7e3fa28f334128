"""Dead letters as an operator sees them: what, why, and a way to put them back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True)
class DeadLetter:
    """A message no handler could take effect of. The body is not shown: it may hold a sealed block."""

    queue: str
    event_id: UUID
    routing_key: str
    error: str


class DeadLetters(Protocol):
    async def list(self, queue: str) -> Sequence[DeadLetter]:
        """List the queue's dead letters, oldest first; they stay where they are."""

    async def replay(self, queue: str, event_id: UUID | None = None) -> int:
        """Give one dead letter, or all of the queue, back to its handler as new; returns how many."""
