"""Which faults, drawn from a seed: the same seed has the same faults, each after as much work as before."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from deploy.embedded.platform import SERVICES
from shared.contracts.topology import QUEUES

APIS = tuple(f"{service}-api" for service in SERVICES)
WORKERS = tuple(f"{service}-worker" for service in SERVICES)
COPIES = {"renewal-worker-2": "renewal-worker", "celery-worker-2": "celery-worker"}
"""further copies of workers, beside what they are copies of"""
CELERY = ("celery-worker", "celery-worker-2")
PROCESSES = (*APIS, *WORKERS, *COPIES, "celery-worker", "celery-beat")
NODE = ("renewal-worker", "celery-worker", "celery-beat")
"""the processes whose clock jumps"""
BACKING = ("database", "broker")
WIRES = tuple(f"{service} {to}" for service in SERVICES for to in ("api", *BACKING))
DELETE = "delete the queue"
PAUSE = (15, 60)
"""operations that are acknowledged between the beginnings of two faults"""


@dataclass(frozen=True)
class Fault:
    """`after` so many acknowledged operations since the one before began, `what` befalls `target` for `seconds`; what
    takes no time has none."""

    after: int
    what: str
    target: str
    seconds: float

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"after {self.after} operations: {self.what} {self.target}{lasting}"


@dataclass(frozen=True)
class Kind:
    what: str
    likely: float
    targets: Sequence[str]
    seconds: tuple[float, float] = (0, 0)


KINDS = (
    Kind("kill -9", 5, PROCESSES),
    Kind("kill -9 a child of", 3, CELERY),
    Kind("stop", 4, PROCESSES, (2, 12)),
    Kind("end connections to the database of", 3, tuple(SERVICES)),
    Kind("kill -9", 1, ("postgres",), (0, 3)),
    Kind("kill -9", 1, ("rabbitmq",), (0, 3)),
    Kind("restart", 1, ("rabbitmq",)),
    Kind("freeze", 1, ("rabbitmq",), (2, 8)),
    Kind("take away", 2, ("renewal store",), (2, 10)),
    Kind("silence", 3, (*WIRES, "renewal store"), (2, 10)),
    Kind("lose the answers of", 4, tuple(f"{service} api" for service in SERVICES), (1, 4)),
    Kind("lose the answers of", 3, tuple(f"{service} {to}" for service in SERVICES for to in BACKING), (1, 4)),
    Kind("half-open", 2, WIRES),
    Kind("reset", 2, (*WIRES, "renewal store")),
    Kind("say twice", 4, ("all events",), (5, 30)),
    Kind(DELETE, 2, tuple(queue.name for queue in QUEUES)),
    Kind("move the clock an hour forward on", 1, ("the node",), (3, 15)),
    Kind("move the clock an hour back on", 1, ("the node",), (3, 15)),
)


def heals(seed: int) -> bool:
    """Whether services compare what they know in this run. Only then do queues get lost; in the other runs nobody mends
    what a fault of ours has lost or doubled, and it shows."""
    return bool(seed % 2)


def draw(seed: int) -> Iterator[Fault]:
    """Faults without end."""
    chance = random.Random(f"{seed} faults")
    kinds = [kind for kind in KINDS if kind.what != DELETE or heals(seed)]
    while True:
        (kind,) = chance.choices(kinds, [kind.likely for kind in kinds])
        yield Fault(
            chance.randint(*PAUSE), kind.what, chance.choice(kind.targets), round(chance.uniform(*kind.seconds), 1)
        )
