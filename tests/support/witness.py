"""What clients were promised, and whether it is so: a history of every acknowledged operation, and its checker.

It reads what a client, an auditor and an operator may: the services' APIs, the proof of the series, the audit trail and
the metrics. No table, no queue.
"""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal
from uuid import uuid4

import httpx2

from deploy.journey import Api, import_people, log_in_enterprise, log_in_reviewer, register_enterprise
from deploy.synthetic import id_number, jpeg, person_name
from tests.support.platform import ENTERPRISE_PASSWORD, REVIEWER, REVIEWER_PASSWORD
from tests.support.wait import until

Step = Literal["submit", "approve", "reject", "withdraw"]
ENDS: dict[Step, str] = {
    "submit": "pending_review",
    "approve": "certified",
    "reject": "rejected",
    "withdraw": "pending_review",
}
REASONS = {"reject": "letter_unsealed", "withdraw": "approved_in_error"}
POST = "10"
AGAIN = 0.1
"""seconds until what was refused is tried again; Retry-After is for people"""


@dataclass
class Case:
    """An application, and what was acknowledged for it, in order."""

    id: str
    steps: list[Step] = field(default_factory=list)

    @property
    def revision(self) -> int:
        return self.steps.count("submit")

    @property
    def end(self) -> str:
        """Where it has to be once everything is done."""
        return ENDS[self.steps[-1]]


@dataclass
class Caller:
    """A client that does what it is told: after a 503 or a lost connection it asks again, under the same key."""

    http: httpx2.AsyncClient
    bases: dict[str, str]
    tokens: dict[str, str] = field(default_factory=dict)
    taxpayer: str = ""
    refusals: Counter[str] = field(default_factory=Counter)
    """answers of 5xx by status, and lost connections, by service"""
    complaints: list[str] = field(default_factory=list)
    """answers that nobody should get"""

    @property
    def api(self) -> Api:
        return Api(self.http, "", self.bases)

    async def log_in(self, who: str) -> None:
        if who == "reviewer":
            self.tokens[who] = await log_in_reviewer(self.api, REVIEWER, REVIEWER_PASSWORD)
        elif self.taxpayer:
            answer = await log_in_enterprise(self.api, self.taxpayer, ENTERPRISE_PASSWORD)
            self.tokens[who] = answer["access_token"]
        else:
            self.taxpayer, self.tokens[who] = await register_enterprise(
                self.api, "吉安测试建设有限公司", ENTERPRISE_PASSWORD
            )

    async def once(self, method: str, service: str, path: str, who: str = "", **request: Any) -> httpx2.Response | None:
        """The answer; None, and noted, where there is none or it is a 5xx."""
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who else {}
        headers |= request.pop("headers", {})
        address = f"{self.bases[service]}/api/{service}/v1{path}"
        try:
            answer = await self.http.request(method, address, headers=headers, **request)
        except httpx2.TransportError as error:
            self.refusals[f"{service} {type(error).__name__}"] += 1
            return None
        if answer.status_code < 500:
            return answer
        self.refusals[f"{service} {answer.status_code}"] += 1
        if answer.status_code != 503 or "retry-after" not in answer.headers:
            self.complaints.append(f"{method} {service}{path}: {answer.status_code} {answer.text[:300]}")
        return None

    async def ask(self, method: str, service: str, path: str, who: str = "", **request: Any) -> httpx2.Response:
        """Ask until it is answered."""
        key = {"Idempotency-Key": uuid4().hex} if method == "POST" else {}

        async def answered() -> httpx2.Response | None:
            answer = await self.once(method, service, path, who, headers=key, **request)
            if answer is not None and answer.status_code == 401 and who:
                await self.log_in(who)
                return None
            return answer

        return await until(answered, interval=AGAIN, what=f"an answer to {method} {service}{path}")

    async def read(self, service: str, path: str, who: str = "", **query: Any) -> Any:
        answer = await self.ask("GET", service, path, who, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()


@dataclass
class Witness:
    """Acts for an enterprise and a reviewer, remembers what was acknowledged, and checks it. `operations` are the
    addresses for operators, by process. Nobody else may give numbers meanwhile."""

    caller: Caller
    operations: Mapping[str, str]
    cases: list[Case] = field(default_factory=list)
    _numbers: set[str] = field(default_factory=set)
    _count: int = 0

    async def begin(self) -> None:
        """Note what there is already."""
        self.caller.refusals.clear()
        self.caller.complaints.clear()
        for who in ("reviewer", "enterprise"):
            await self.caller.log_in(who)
        # A test that failed may have left them anywhere; all begin where a reviewer is waited for.
        await asyncio.gather(*map(self._bring_back, self.cases))
        histories = [await self.history(case) for case in self.cases]
        self._numbers = set().union(*map(_given, histories))
        self._count = _count(await self.caller.read("certnumber", "/proof", "reviewer"))

    async def _bring_back(self, case: Case) -> None:
        await self.reach(case)
        if case.end == "certified":
            await self.decide(case, "withdraw")
        elif case.end == "rejected":
            await self.submit(case)
        await self.reach(case)

    async def open(self, count: int, born: date) -> None:
        """Submit the applications of new people."""
        people = [id_number("male", born, number) for number in range(count)]
        lines = [f"{person},{person_name(number)},,," for number, person in enumerate(people)]
        await import_people(self.caller.api, self.caller.tokens["reviewer"], lines)
        for number, person in enumerate(people):
            body = {"id_number": person, "post": POST}
            draft = (await self.caller.ask("POST", "renewal", "/applications", "enterprise", json=body)).json()
            self.cases.append(case := Case(draft["id"]))
            for position, kind in enumerate(("id-front", "id-back", "commitment-letter")):
                await self.upload(case, kind, 3 * number + position)
            await self.submit(case)

    async def upload(self, case: Case, kind: str, seed: int) -> None:
        files = {"file": (f"{kind}.jpg", jpeg(seed=seed), "image/jpeg")}
        path = f"/applications/{case.id}/images/{kind}"
        answer = await self.caller.ask("PUT", "renewal", path, "enterprise", files=files)
        assert answer.status_code == 200, answer.text

    # --- what people do; it is remembered when it is acknowledged

    async def submit(self, case: Case) -> None:
        path, body = f"/applications/{case.id}/submission", {"revision": case.revision}
        answer = await self.caller.ask("POST", "renewal", path, "enterprise", json=body)
        assert answer.status_code == 200, answer.text
        case.steps.append("submit")

    async def decide(self, case: Case, action: Literal["approve", "reject", "withdraw"]) -> None:
        """As soon as the desk shows what it is about."""
        reason = {"reason_code": REASONS[action]} if action in REASONS else {}
        body = {"action": action, "items": [{"application_id": case.id, "revision": case.revision}], **reason}

        async def accepted() -> bool:
            answer = await self.caller.ask("POST", "review", "/decisions", "reviewer", json=body)
            assert answer.status_code == 200, answer.text
            return bool(answer.json()["results"][0]["outcome"] == "accepted")

        await until(accepted, interval=AGAIN, what=f"{action} of {case.id} to be accepted")
        case.steps.append(action)

    async def reach(self, case: Case) -> None:
        """Wait until the last step has come to its end, at the enterprise and at the desk."""

        async def reached() -> bool:
            application = await self.caller.read("renewal", f"/applications/{case.id}", "enterprise")
            item = await self.caller.read("review", f"/items/{case.id}", "reviewer")
            return bool(application["status"] == item["status"] == case.end and not item["decision_pending"])

        await until(reached, interval=AGAIN, what=f"{case} to end")

    async def round(self, case: Case) -> None:
        """Once around: every service has a part in it, and a number is given and becomes void."""
        await self.decide(case, "reject")
        await self.reach(case)
        await self.submit(case)
        await self.decide(case, "approve")
        await self.reach(case)
        await self.decide(case, "withdraw")

    async def approve_all(self) -> None:
        """Until they wait for their numbers, where nobody gives any."""
        await asyncio.gather(*(self.decide(case, "approve") for case in self.cases))

        async def wait() -> bool:
            return bool((await self.caller.read("certnumber", "/proof", "reviewer"))["waiting"] == len(self.cases))

        await until(wait, interval=AGAIN, what="approvals that wait for a number")

    async def withdraw_all(self) -> None:
        """As soon as they have numbers."""

        async def one(case: Case) -> None:
            await self.reach(case)
            await self.decide(case, "withdraw")

        await asyncio.gather(*map(one, self.cases))

    async def rounds(self) -> None:
        await asyncio.gather(*map(self.round, self.cases))

    @asynccontextmanager
    async def load(self) -> AsyncIterator[None]:
        """Rounds without end, under way when the block begins and as long as it lasts. Each is finished."""
        over = asyncio.Event()

        async def go_round(case: Case) -> None:
            while not over.is_set():
                await self.round(case)

        steps = sum(len(case.steps) for case in self.cases)
        going = [asyncio.create_task(go_round(case)) for case in self.cases]
        try:
            await until(lambda: sum(len(case.steps) for case in self.cases) > steps, what="the first step")
            yield
        finally:
            over.set()
            await asyncio.gather(*going)

    @contextmanager
    def never_refused(self) -> Iterator[None]:
        """Every request of the block is answered at once, and not by 5xx."""
        before = self.caller.refusals.copy()
        yield
        assert self.caller.refusals == before

    # --- the checker

    async def history(self, case: Case) -> list[dict[str, Any]]:
        found = await self.caller.read("renewal", f"/applications/{case.id}", "enterprise")
        history: list[dict[str, Any]] = found["history"]
        return history

    async def check(self) -> None:
        """Wait until all is done, then hold everything against what was acknowledged."""
        await asyncio.gather(*map(self.reach, self.cases))
        await until(self._all_said, interval=AGAIN, what="all outboxes to be empty")
        assert not self.caller.complaints, self.caller.complaints
        numbers: Counter[str] = Counter()
        valid: set[str] = set()
        for case in self.cases:
            history = await self.history(case)
            _check_history(case, history)
            given = _given(history)
            numbers.update(given)
            last = await self._check_desk(case, history)
            valid |= {last} if last else set()
            for number in given - self._numbers:
                shown = await self.caller.read("certnumber", f"/certificates/{number}")
                assert shown["status"] == ("valid" if number == last else "void"), (case, shown)
        assert set(numbers.values()) <= {1}, "one number for two applications"
        await self._check_proof(len(numbers.keys() - self._numbers))

    async def _check_desk(self, case: Case, history: list[dict[str, Any]]) -> str | None:
        """The number that the application holds now."""
        item = await self.caller.read("review", f"/items/{case.id}", "reviewer")
        renewal = await self.caller.read("renewal", f"/applications/{case.id}", "enterprise")
        told = ("status", "revision", "decision_no", "certificate_number")
        assert [item[name] for name in told] == [renewal[name] for name in told]
        assert (item["status"], item["revision"]) == (case.end, case.revision), case
        asked = [step for step in case.steps if step != "submit"]
        decisions = item["decisions"][::-1]
        assert [decision["action"] for decision in decisions] == asked, (case, decisions)
        assert {decision["outcome"] for decision in decisions} <= {"accepted"}, decisions
        entries = await self._audit(case)
        assert [entry["action"] for entry in entries] == asked, (case, entries)
        ids = [decision["id"] for decision in decisions]
        assert [entry["detail"]["decision_id"] for entry in entries] == ids
        assert (renewal["certificate_number"] is not None) == (case.end == "certified")
        last: str | None = renewal["certificate_number"]
        assert last is None or last == [e["certificate_number"] for e in history if e["action"] == "certify"][-1]
        return last

    async def _audit(self, case: Case) -> list[dict[str, Any]]:
        """What the desk's trail says was accepted, in order."""
        entries: list[dict[str, Any]] = []
        query = {"subject": case.id, "limit": 100}
        while True:
            page = await self.caller.read("review", "/audit", "reviewer", **query)
            entries += [entry for entry in page["items"] if entry["detail"].get("outcome") == "accepted"]
            if page["next_cursor"] is None:
                return entries[::-1]
            query["cursor"] = page["next_cursor"]

    async def _check_proof(self, given: int) -> None:
        proof = await self.caller.read("certnumber", "/proof", "reviewer")
        assert (proof["gapless"], proof["waiting"], proof["failed"]) == (True, 0, 0), proof
        for series in proof["series"]:
            assert (series["gaps"], series["duplicates"]) == (0, 0), series
            assert series["count"] == series["highest"] == series["counter"] == series["valid"] + series["void"]
        assert _count(proof) == self._count + given, proof

    async def _all_said(self) -> bool:
        """Whether no event waits to be said, and none lies dead."""
        for name, base in self.operations.items():
            if name == "celery-worker" or not name.endswith("-worker"):
                continue
            try:
                text = (await self.caller.http.get(f"{base}/metrics")).text
            except httpx2.TransportError:
                return False
            left = re.findall(r"^ganzheng_outbox_rows\{.*?\} (.+)$", text, re.MULTILINE)
            dead = re.findall(r'^ganzheng_queue_messages\{.*state="dead"\} (.+)$', text, re.MULTILINE)
            if not left or any(map(float, left + dead)):
                return False
        return True


def _given(history: list[dict[str, Any]]) -> set[str]:
    """All numbers that were given for an application, also one that came after the withdrawal of its approval."""
    return {e["certificate_number"] for e in history if e["action"] == "certify"} | {
        e["comment"] for e in history if e["action"] == "number_voided"
    }


def _check_history(case: Case, history: list[dict[str, Any]]) -> None:
    assert [entry["change_no"] for entry in history] == sorted({entry["change_no"] for entry in history}), history
    steps = [entry["action"] for entry in history if entry["action"] in ENDS]
    assert steps == case.steps, f"{case.id}: acknowledged {case.steps}, done {steps}"
    assert "decision_refused" not in {entry["action"] for entry in history}
    # Each approval is certified once, unless it was withdrawn before that.
    acts = [entry["action"] for entry in history if entry["action"] in {*ENDS, "certify"}]
    for act, following in zip(acts, [*acts[1:], None], strict=True):
        if act == "certify":
            assert following in {None, "withdraw"}, acts
        if act == "approve":
            assert following in {"certify", "withdraw"}, acts


def _count(proof: Any) -> int:
    return sum(series["count"] for series in proof["series"])
