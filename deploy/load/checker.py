"""Holds a history against what there is in the end, as far as a client, an auditor and an operator can see it.

It reads the services' APIs, the proof of the series, the audit trail and the metrics: no table and no queue.
"""

import asyncio
import hashlib
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx2

from deploy.journey import log_in_enterprise
from deploy.load.client import FAILURES, Client
from deploy.load.history import History, Operation
from deploy.load.lives import Life, check_life, numbers

Kind = Literal["lost", "doubled", "gaps", "contradictory", "stuck", "improper"]
KINDS: tuple[Kind, ...] = ("lost", "doubled", "gaps", "contradictory", "stuck", "improper")
"""lost: acknowledged and not there. doubled: there more often than anybody asked. gaps: a series is not 1..N.
contradictory: two say what cannot both be so. stuck: not done though nothing is in its way any more. improper: an
answer that nobody should get."""

AT_ONCE = 4
SHOWN = 12
"""findings of a kind that are told with all that was asked and answered about them"""
SERIAL = 7
"""the last digits of a number that count, as the series of a new installation writes it"""


@dataclass
class Verdict:
    """What was found, by kind: the subject, and what is wrong with it."""

    found: dict[Kind, list[tuple[str, str]]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    checked: Counter[str] = field(default_factory=Counter)

    def add(self, kind: Kind, subject: str, what: str) -> None:
        self.found[kind].append((subject, what))

    def __bool__(self) -> bool:
        """Whether every promise was kept."""
        return not any(self.found.values())

    def __str__(self) -> str:
        return ", ".join(f"{len(found)} {kind}" for kind, found in self.found.items())

    def tell(self, history: History) -> Iterable[str]:
        """Every finding, and of the first of each kind what clients had asked and been told about its subject."""
        for kind, found in self.found.items():
            for position, (subject, what) in enumerate(found):
                yield f"{kind}: {subject} {what}"
                if position < SHOWN and subject:
                    yield from (f"    {line[:400]}" for line in history.about(subject))


class Checker:
    """`auditor` may do all that reviewers, registrars and administrators may; `enterprises` gives each taxpayer's
    client. `before` is how many numbers there were before the history began; `operations` are the addresses for
    operators, where there are any, by process; `once` is for services that do not compare what they know, so that
    nothing is said twice in good faith; `alone` says that nobody else was given numbers since."""

    def __init__(
        self,
        history: History,
        auditor: Client,
        enterprises: Mapping[str, Client],
        *,
        before: int = 0,
        operations: Mapping[str, str] | None = None,
        http: httpx2.AsyncClient | None = None,
        once: bool = False,
        alone: bool = True,
    ) -> None:
        self.verdict = Verdict()
        self._history = history
        self._auditor = auditor
        self._enterprises = enterprises
        self._before = before
        self._operations = dict(operations or {})
        self._http = http
        self._once = once
        self._alone = alone
        self._lives: dict[str, Life] = {}
        self._room = asyncio.Semaphore(AT_ONCE)

    # --- waiting for the end

    async def quiet(self, patience: float) -> float:
        """Wait until nothing is left to be done; the seconds it took. What then is not done yet is stuck."""
        began = time.monotonic()
        left: Sequence[str] = ("nobody was asked",)
        while left and time.monotonic() - began < patience:
            # Twice: an event between two services is nowhere to be seen for a moment.
            left = [*await self._unsaid(), *await self._waiting()]
            await asyncio.sleep(0.5)
            left = left or [*await self._unsaid(), *await self._waiting()]
        for what in left:
            self.verdict.add("stuck", "", what)
        return time.monotonic() - began

    async def _unsaid(self) -> list[str]:
        """Events in an outbox or in a queue, as the workers count them."""
        left = []
        for name, base in self._operations.items():
            if self._http is None or not name.endswith("-worker") or name == "celery-worker":
                continue
            try:
                text = (await self._http.get(f"{base}/metrics")).text
            except httpx2.TransportError:
                left.append(f"{name} does not answer")
                continue
            figures = re.findall(r"^(ganzheng_(?:outbox_rows|queue_messages)\{.*\}) (.+)$", text, re.MULTILINE)
            if not any(figure.startswith("ganzheng_outbox") for figure, _ in figures):
                left.append(f"{name} does not know its outbox")
            left += [f"{name}: {figure} {number}" for figure, number in figures if float(number)]
        return left

    async def _waiting(self) -> list[str]:
        """Approvals without a number, and decisions without an answer."""
        proof = await self._auditor.read("certnumber", "/proof")
        left = [f"{proof[name]} approvals are {name}" for name in ("waiting", "failed") if proof[name]]
        approved = await self._auditor.read("review", "/items", status="approved", limit=1)
        return left + [f"{item['application_id']} has no number yet" for item in approved["items"]]

    # --- checking

    async def check(self) -> Verdict:
        """Everything there is against everything that was asked and told. Call it when nothing is left to be done."""
        for answer in self._history.improper:
            self.verdict.add("improper", "", answer)
        await self._check_enterprises()
        self._lives = {life.id: life for life in await self._read_lives()}
        await self._check_people()
        self._check_lists()
        for life in self._lives.values():
            check_life(life, self.verdict.add, once=self._once)
        self._check_persons()
        await self._check_numbers()
        return self.verdict

    async def _check_enterprises(self) -> None:
        renamed: defaultdict[str, list[Operation]] = defaultdict(list)
        for operation in self._history.of("register", "rename"):
            renamed[operation.subject].append(operation)
        for taxpayer, client in self._enterprises.items():
            me = await client.read("enterprise", "/me")
            self.verdict.checked["enterprises"] += 1
            names = last_words(renamed[taxpayer], lambda one: str(one.asked["name"]))
            if names and me["name"] not in names:
                self.verdict.add("lost", taxpayer, f"is named {me['name']}, should be {' or '.join(names)}")
        for operation in self._history.of("register"):
            if operation.outcome == "ok" and operation.subject not in self._enterprises:
                await self._find_account(operation.subject)

    async def _find_account(self, taxpayer: str) -> None:
        """Check that one of the passwords an enterprise may have opens its account."""
        passwords = [str(one.asked["password"]) for one in self._history.of("password") if one.subject == taxpayer]
        for password in ("111111", *passwords):
            try:
                await log_in_enterprise(self._auditor.api, taxpayer, password)
            except FAILURES:
                continue
            return
        self.verdict.add("lost", taxpayer, "has registered, and cannot log in")

    async def _read_lives(self) -> list[Life]:
        """Every application there is, with all that was asked about it."""
        drafts = {one.subject: one for one in self._history.of("draft") if one.outcome == "ok"}
        trail = await self._trail()
        found: dict[str, str] = {}
        for taxpayer, client in self._enterprises.items():
            listed = {one["id"] for one in await client.pages("renewal", "/applications")}
            found |= dict.fromkeys(listed, taxpayer)
            unknown = sum(
                one.outcome == "unknown" and one.asked["owner"] == taxpayer for one in self._history.of("draft")
            )
            surplus = listed - drafts.keys()
            if len(surplus) > unknown:
                self.verdict.add("doubled", taxpayer, f"{len(surplus)} drafts, of which {unknown} may be: {surplus}")
        for application in drafts.keys() - found.keys():
            self.verdict.add("lost", application, "was begun, and is not there")
        asked: defaultdict[str, list[Operation]] = defaultdict(list)
        for operation in self._history.of("submit", "cancel", "upload"):
            asked[operation.subject].append(operation)
        for operation in self._history.of("decide"):
            for application, _ in operation.asked["items"]:
                asked[application].append(operation)
        return await asyncio.gather(
            *(self._read(one, found[one], drafts.get(one), asked[one], trail[one]) for one in found)
        )

    async def _read(
        self, application: str, taxpayer: str, draft: Operation | None, asked: list[Operation], trail: list[Any]
    ) -> Life:
        async with self._room:
            client = self._enterprises[taxpayer]
            path = f"/applications/{application}"
            found = await client.read("renewal", path)
            item = await self._auditor.read("review", f"/items/{application}")
            self.verdict.checked["applications"] += 1
            for image in found["images"][:1]:
                picture = await client.read("renewal", f"{path}/images/{image['kind']}")
                self.verdict.checked["pictures"] += 1
                if picture is None or hashlib.sha256(picture).hexdigest() != image["sha256"]:
                    self.verdict.add("lost", application, f"the picture {image['kind']} is not what was uploaded")
            return Life(application, found, item, draft, asked, trail)

    async def _trail(self) -> dict[str, list[Any]]:
        """What the desk's trail says was accepted, by application."""
        trail: defaultdict[str, list[Any]] = defaultdict(list)
        for action in ("approve", "reject", "withdraw"):
            for entry in await self._auditor.pages("review", "/audit", action=action):
                if entry["detail"].get("outcome") == "accepted":
                    trail[entry["subject"]].append(entry)
        return trail

    async def _check_people(self) -> None:
        used = {one.asked["person"] for one in self._history.of("draft") if one.outcome == "ok"}
        known: set[str] = set()
        for operation in self._history.of("import"):
            people = set(operation.asked["people"])
            if operation.outcome == "ok":
                if people <= known and operation.answer["created"]:
                    self.verdict.add("doubled", "", f"people were new a second time: {operation}")
                if operation.answer["failed"]:
                    self.verdict.add("improper", "", f"rows were refused: {operation}")
                known |= people
        for person in sorted(known - used):
            self.verdict.checked["people"] += 1
            if await self._auditor.read("renewal", "/registry/people", id_number=person) is None:
                self.verdict.add("lost", "", "a person was imported, and is not known")

    def _check_lists(self) -> None:
        """No look shows less than somebody had been told before it began."""
        told: list[tuple[float, str, tuple[int, int]]] = []
        for operation in self._history.of("submit", "cancel"):
            if operation.outcome == "ok":
                state = (operation.answer["revision"], operation.answer["decision_no"])
                told.append((operation.ended, operation.subject, state))
        looks = [one for one in self._history.of("list") if one.outcome == "ok"]
        for look in looks:
            told += [(look.ended, item[0], (item[2], item[3])) for item in look.answer["items"]]
        told.sort()
        newest: dict[str, tuple[int, int]] = {}
        position = 0
        for look in sorted(looks, key=lambda one: one.began):
            while position < len(told) and told[position][0] < look.began:
                _, application, state = told[position]
                newest[application] = max(newest.get(application, state), state)
                position += 1
            self.verdict.checked["looks"] += 1
            for application, _, revision, decision_no, _ in look.answer["items"]:
                before = newest.get(application)
                if before and (revision, decision_no) < before:
                    what = f"was at {before}, and shown at {(revision, decision_no)} at {look.began:.2f} s"
                    self.verdict.add("contradictory", application, what)

    def _check_persons(self) -> None:
        """Nobody has two live applications for one post."""
        live: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for life in self._lives.values():
            if life.draft and life.found["status"] in {"pending_review", "approved"}:
                live[life.draft.asked["person"], life.found["post"]].append(life.id)
        for applications in live.values():
            if len(applications) > 1:
                self.verdict.add("contradictory", applications[0], f"is live for one person and post: {applications}")

    async def _check_numbers(self) -> None:
        """Each number belongs to one approval, is worth what its application says, and together they are 1..N."""
        owners: defaultdict[str, list[Life]] = defaultdict(list)
        for life in self._lives.values():
            for number in numbers(life.history):
                owners[number].append(life)
        for number, lives in owners.items():
            if len(lives) > 1:
                self.verdict.add("doubled", number, f"is of {[life.id for life in lives]}")
        await asyncio.gather(*(self._check_certificate(number, lives[0]) for number, lives in owners.items()))
        for operation in self._history.of("verify"):
            if operation.subject not in owners:
                self.verdict.add("lost", operation.subject, "was seen, and belongs to no application")
        await self._check_proof(owners.keys())

    async def _check_proof(self, known: Collection[str]) -> None:
        proof = await self._auditor.read("certnumber", "/proof")
        for series in proof["series"]:
            if series["gaps"]:
                self.verdict.add("gaps", series["name"], str(series))
            if series["duplicates"]:
                self.verdict.add("doubled", series["name"], str(series))
            if len({series[name] for name in ("count", "highest", "counter")} | {series["valid"] + series["void"]}) > 1:
                self.verdict.add("gaps", series["name"], f"does not add up: {series}")
        given = sum(series["count"] for series in proof["series"]) - self._before
        if given != len(known):
            self.verdict.add("lost", "", f"{given} numbers were given, and applications tell of {len(known)}")
        if self._alone:
            serials = {int(number[-SERIAL:]) for number in known}
            missing = set(range(self._before + 1, self._before + len(known) + 1)) - serials
            if missing:
                self.verdict.add("gaps", "", f"nobody has the serials {sorted(missing)[:20]} of {len(known)}")

    async def _check_certificate(self, number: str, life: Life) -> None:
        async with self._room:
            shown = await self._auditor.read("certnumber", f"/certificates/{number}")
        self.verdict.checked["numbers"] += 1
        if shown is None:
            self.verdict.add("lost", number, f"was given to {life.id}, and nobody knows it")
            return
        current = number == life.found["certificate_number"]
        # A later certificate of the same person may have taken its place.
        worth = {"valid"} if current and not shown["replaced_by"] else {"void"}
        if shown["status"] not in worth:
            self.verdict.add("contradictory", life.id, f"{number} is {shown['status']}, should be {worth.pop()}")


def last_words(operations: Iterable[Operation], word: Callable[[Operation], str]) -> set[str]:
    """What may stand in the end: what was acknowledged last, and whatever was once without an answer: it may have been
    done at any time since."""
    operations = list(operations)
    acknowledged = [one for one in operations if one.outcome == "ok"]
    doubtful = [one for one in operations if one.outcome == "unknown" or one.attempts > 1]
    return {word(one) for one in (*acknowledged[-1:], *doubtful)}
