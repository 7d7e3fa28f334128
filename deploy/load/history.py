"""What clients asked for and what they were told, one operation a line."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

Outcome = Literal["ok", "refused", "unknown"]
"""ok: acknowledged. refused: not done, as was said. unknown: no answer that tells, however often it was asked."""


@dataclass
class Operation:
    """One thing that one client wanted; `began` and `ended` are seconds since the history's beginning.

    what      subject          asked                    answer, if ok
    register  taxpayer id      name
    password  taxpayer id      password
    rename    taxpayer id      name
    import                     people                   created, failed
    draft     application id   person, post, owner
    upload    application id   kind                     sha256
    submit    application id   revision (the seen one)  revision, status, decision_no
    cancel    application id   revision                 revision, status, decision_no
    list                                                items: [id, status, revision, decision_no, number]
    decide                     action, items: [id, revision]   results: [id, outcome, code]
    verify    number                                    status
    """

    number: int
    client: str
    what: str
    subject: str
    asked: dict[str, Any]
    began: float
    ended: float = float("inf")
    outcome: Outcome = "unknown"
    answer: dict[str, Any] = field(default_factory=dict)
    attempts: int = 0

    def __str__(self) -> str:
        told = {**self.asked, **self.answer}
        return f"{self.began:.2f}–{self.ended:.2f} s {self.client}: {self.what} {self.subject} {told} {self.outcome}"


class History:
    """All operations, in the order in which they began; `file` gets each when it has ended, as JSON.

    `improper` are answers that nobody should get, with the operation they were given to.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.operations: list[Operation] = []
        self.improper: list[str] = []
        self.unanswered: Counter[str] = Counter()
        self.acknowledged = 0
        self._file: IO[str] | None = file.open("w") if file else None
        self._start = time.monotonic()

    def now(self) -> float:
        return time.monotonic() - self._start

    @contextmanager
    def operation(self, client: str, what: str, subject: str = "", **asked: Any) -> Iterator[Operation]:
        """One that is unknown unless the block says otherwise; one cut off in its midst is kept, too."""
        operation = Operation(len(self.operations), client, what, subject, asked, self.now())
        self.operations.append(operation)
        try:
            yield operation
        finally:
            operation.ended = self.now()
            self.acknowledged += operation.outcome == "ok" and what not in {"list", "verify"}
            if self._file:
                self._file.write(json.dumps(asdict(operation), ensure_ascii=False) + "\n")

    def of(self, *what: str) -> Iterator[Operation]:
        return (operation for operation in self.operations if operation.what in what)

    def about(self, subject: str) -> list[str]:
        """The operations that had to do with an application or a number, in words."""
        return [str(one) for one in self.operations if one.subject == subject or _names(one, subject)]

    def count(self) -> Counter[tuple[str, Outcome]]:
        return Counter((operation.what, operation.outcome) for operation in self.operations)

    def close(self) -> None:
        if self._file:
            self._file.close()


def _names(operation: Operation, subject: str) -> bool:
    return operation.what == "decide" and any(one == subject for one, _ in operation.asked["items"])
