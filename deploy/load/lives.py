"""One application from all sides: what was asked, what its history tells, what the desk and its trail say."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.load.history import Operation

Add = Callable[[Any, str, str], None]
"""kind, subject, what is wrong"""

STEPS: Mapping[tuple[str, str], str] = {
    ("", "create"): "draft",
    ("draft", "submit"): "pending_review",
    ("rejected", "submit"): "pending_review",
    ("pending_review", "approve"): "approved",
    ("pending_review", "reject"): "rejected",
    ("approved", "certify"): "certified",
    ("approved", "withdraw"): "pending_review",
    ("certified", "withdraw"): "pending_review",
    ("draft", "cancel"): "cancelled",
    ("pending_review", "cancel"): "cancelled",
    ("rejected", "cancel"): "cancelled",
}
MOVES = {action for _, action in STEPS}
DECISIONS = ("approve", "reject", "withdraw")
# Decided by the platform itself, which asks nobody.
PLATFORM = "platform"
SAME = ("status", "revision", "decision_no", "certificate_number")

Decision = tuple[str, str, int]
"""reviewer, action, revision"""


@dataclass
class Life:
    """`found` is what its enterprise reads, `item` what the desk does, None where that has none; `draft` is None of one
    whose beginning nobody was told of; `trail` are the entries of accepted decisions."""

    id: str
    found: dict[str, Any]
    item: dict[str, Any] | None
    draft: Operation | None
    asked: list[Operation]
    trail: list[Any]

    @property
    def history(self) -> list[dict[str, Any]]:
        history: list[dict[str, Any]] = self.found["history"]
        return history

    def of(self, *what: str) -> Iterator[Operation]:
        return (operation for operation in self.asked if operation.what in what)


def numbers(history: Sequence[Mapping[str, Any]]) -> set[str]:
    """All that were given to an application, also those that came after the withdrawal of their approval."""
    return {one["certificate_number"] for one in history if one["action"] == "certify"} | {
        one["comment"] for one in history if one["action"] == "number_voided"
    }


def check_life(life: Life, add: Add, *, once: bool = False) -> None:
    """`once` asks for every effect to be there once, also one that changes nothing a second time."""
    if once:
        _check_once(life, add)
    _check_history(life, add)
    _check_what_the_enterprise_did(life, add)
    _check_pictures(life, add)
    _check_desk(life, add)
    _check_decisions(life, add)


def _check_once(life: Life, add: Add) -> None:
    voided = Counter(entry["comment"] for entry in life.history if entry["action"] == "number_voided")
    for number, times in voided.items():
        if times > 1:
            add("doubled", life.id, f"{number} became void {times} times")


def _check_history(life: Life, add: Add) -> None:
    """Every step follows from the one before, and the last is what is shown."""
    numbers = [entry["change_no"] for entry in life.history]
    if numbers != list(range(1, len(numbers) + 1)):
        add("contradictory", life.id, f"its changes are {numbers}")
    status, revision, decision_no = "", 0, 0
    for entry in life.history:
        action = entry["action"]
        if action in MOVES:
            following = STEPS.get((status, action))
            if following is None:
                add("contradictory", life.id, f"{action} after {status or 'nothing'}")
            status = following or entry["status"]
            revision += action == "submit"
            decision_no += action in DECISIONS
        if (entry["status"], entry["revision"], entry["decision_no"]) != (status, revision, decision_no):
            add("contradictory", life.id, f"{entry} should be {(status, revision, decision_no)}")
    shown = tuple(life.found[name] for name in ("status", "revision", "decision_no"))
    if shown != (status, revision, decision_no):
        add("contradictory", life.id, f"is {shown}, its history ends at {(status, revision, decision_no)}")
    if (life.found["certificate_number"] is not None) != (status == "certified"):
        add("contradictory", life.id, f"is {status} with the number {life.found['certificate_number']}")


def _check_what_the_enterprise_did(life: Life, add: Add) -> None:
    """Each submission and cancellation that was acknowledged is in the history once, each other one at most as often as
    somebody may have done it."""
    submitted = Counter(one["revision"] for one in life.history if one["action"] == "submit")
    asked: dict[int, Counter[str]] = {}
    for operation in life.of("submit"):
        asked.setdefault(operation.asked["revision"] + 1, Counter())[operation.outcome] += 1
    for revision in asked.keys() | submitted.keys():
        outcomes = asked.get(revision, Counter())
        _compare(life, add, f"submission {revision}", submitted[revision], outcomes["ok"], outcomes["unknown"])
    cancelled = sum(one["action"] == "cancel" for one in life.history)
    outcomes = Counter(operation.outcome for operation in life.of("cancel"))
    _compare(life, add, "cancellation", cancelled, outcomes["ok"], outcomes["unknown"])


def _compare(life: Life, add: Add, what: str, done: int, acknowledged: int, unknown: int) -> None:
    if done < acknowledged:
        add("lost", life.id, f"{what}: {acknowledged} acknowledged, {done} done")
    if done > acknowledged + unknown:
        add("doubled", life.id, f"{what}: {acknowledged} acknowledged, {unknown} unknown, {done} done")


def _check_pictures(life: Life, add: Add) -> None:
    shown = {image["kind"]: image["sha256"] for image in life.found["images"]}
    last: dict[str, Operation] = {}
    doubtful = set()
    for operation in life.of("upload"):
        kind = operation.asked["kind"]
        if operation.outcome == "ok":
            last[kind] = operation
        if operation.outcome == "unknown" or operation.attempts > 1:
            # What was once without an answer may have been done at any time since.
            doubtful.add(kind)
    for kind, operation in last.items():
        if kind not in shown or (kind not in doubtful and shown[kind] != operation.answer["sha256"]):
            add("lost", life.id, f"the picture {kind}: {operation}, and there is {shown.get(kind)}")


def _check_desk(life: Life, add: Add) -> None:
    """The desk shows what was submitted as it is."""
    if not life.found["revision"]:
        if life.item is not None:
            add("contradictory", life.id, "is at the desk, and was never submitted")
        return
    if life.item is None:
        add("lost", life.id, "was submitted, and the desk does not know it")
        return
    for name in SAME:
        if life.item[name] != life.found[name]:
            add("contradictory", life.id, f"{name} is {life.item[name]} at the desk and {life.found[name]} in truth")
    if life.item["decision_pending"] or life.found["status"] == "approved":
        add("stuck", life.id, f"is {life.found['status']}, decision pending: {life.item['decision_pending']}")
    revisions = sorted(one["revision"] for one in life.item["revisions"])
    if revisions != list(range(1, life.found["revision"] + 1)):
        add("lost", life.id, f"the desk has the submissions {revisions} of {life.found['revision']}")


def _check_decisions(life: Life, add: Add) -> None:
    """Each decision that the desk acknowledged is there once, was answered once, and took effect as its answer says."""
    desk = life.item["decisions"] if life.item else []
    there: Counter[Decision] = Counter((one["reviewer"], one["action"], one["revision"]) for one in desk)
    acknowledged, unknown = _asked_for(life)
    for decision in there.keys() | acknowledged.keys():
        what = " ".join(map(str, decision))
        _compare(life, add, f"decision {what}", there[decision], acknowledged[decision], unknown[decision])
    for one in desk:
        if one["outcome"] == "asked":
            add("stuck", life.id, f"has no answer to {one}")
    taken: Counter[Decision] = Counter(
        (one["actor"], one["action"], one["revision"])
        for one in life.history
        if one["action"] in DECISIONS and one["actor"] != PLATFORM
    )
    accepted: Counter[Decision] = Counter(
        (one["reviewer"], one["action"], one["revision"]) for one in desk if one["outcome"] == "accepted"
    )
    for decision in taken.keys() | accepted.keys():
        what = " ".join(map(str, decision))
        if taken[decision] != accepted[decision]:
            kind = "lost" if taken[decision] < accepted[decision] else "doubled"
            add(kind, life.id, f"{what}: {accepted[decision]} accepted, {taken[decision]} in its history")
    refused = sum(one["outcome"] == "refused" for one in desk)
    answers = sum(one["action"] == "decision_refused" for one in life.history)
    if refused != answers:
        add("contradictory", life.id, f"{refused} decisions refused at the desk, {answers} in its history")
    if {one["detail"]["decision_id"] for one in life.trail} != {one["id"] for one in desk}:
        add("contradictory", life.id, f"the trail has {len(life.trail)} decisions, the desk {len(desk)}")


def _asked_for(life: Life) -> tuple[Counter[Decision], Counter[Decision]]:
    """Decisions that were acknowledged, and those of which nobody knows."""
    acknowledged: Counter[Decision] = Counter()
    unknown: Counter[Decision] = Counter()
    for operation in life.of("decide"):
        revision = next(revision for one, revision in operation.asked["items"] if one == life.id)
        decision = (operation.client, operation.asked["action"], revision)
        if operation.outcome == "unknown":
            unknown[decision] += 1
        elif operation.outcome == "ok":
            results = {one: outcome for one, outcome, _ in operation.answer["results"]}
            acknowledged[decision] += results[life.id] == "accepted"
    return acknowledged, unknown
