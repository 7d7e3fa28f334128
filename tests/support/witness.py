"""Does what a test of faults wants done, keeps a history of what was acknowledged, and has it checked (deploy/load)."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal
from uuid import uuid4

import httpx2

from deploy.journey import Api, import_people, log_in_enterprise, log_in_reviewer, register_enterprise
from deploy.load.checker import Checker
from deploy.load.client import Client
from deploy.load.history import History
from deploy.load.lives import numbers
from deploy.synthetic import id_number, jpeg, person_name
from tests.support.platform import ENTERPRISE_PASSWORD, REVIEWER, REVIEWER_PASSWORD
from tests.support.wait import PATIENCE, until

Step = Literal["submit", "approve", "reject", "withdraw"]
ENDS: dict[Step, str] = {
    "submit": "pending_review",
    "approve": "certified",
    "reject": "rejected",
    "withdraw": "pending_review",
}
REASONS = {"reject": "letter_unsealed", "withdraw": "approved_in_error"}
POST = "10"
SIGNATURE = "测试审核员"
"""the reviewer's name"""
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
    history: History = field(default_factory=History)
    _others: int = 0
    """numbers that were not given to our cases"""

    async def begin(self) -> None:
        """Note what there is already."""
        self.caller.refusals.clear()
        self.caller.complaints.clear()
        for who in ("reviewer", "enterprise"):
            await self.caller.log_in(who)
        # A test that failed may have left them anywhere; all begin where a reviewer is waited for.
        await asyncio.gather(*map(self._bring_back, self.cases))
        paths = [f"/applications/{case.id}" for case in self.cases]
        own = [numbers((await self.caller.read("renewal", path, "enterprise"))["history"]) for path in paths]
        proof = await self.caller.read("certnumber", "/proof", "reviewer")
        self._others = sum(series["count"] for series in proof["series"]) - sum(map(len, own))

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
            with self._noted("draft", case, person=person, post=POST, owner=self.caller.taxpayer):
                pass
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
        with self._noted("submit", case, **body) as told:
            answer = await self.caller.ask("POST", "renewal", path, "enterprise", json=body)
            assert answer.status_code == 200, answer.text
            told |= {name: answer.json()[name] for name in ("revision", "status", "decision_no")}
        case.steps.append("submit")

    async def decide(self, case: Case, action: Literal["approve", "reject", "withdraw"]) -> None:
        """As soon as the desk shows what it is about."""
        reason = {"reason_code": REASONS[action]} if action in REASONS else {}
        body = {"action": action, "items": [{"application_id": case.id, "revision": case.revision}], **reason}

        async def accepted() -> bool:
            answer = await self.caller.ask("POST", "review", "/decisions", "reviewer", json=body)
            assert answer.status_code == 200, answer.text
            return bool(answer.json()["results"][0]["outcome"] == "accepted")

        with self._noted("decide", case, action=action, items=[[case.id, case.revision]]) as told:
            await until(accepted, interval=AGAIN, what=f"{action} of {case.id} to be accepted")
            told["results"] = [[case.id, "accepted", None]]
        case.steps.append(action)

    @contextmanager
    def _noted(self, what: str, case: Case, **asked: Any) -> Iterator[dict[str, Any]]:
        """Acknowledged, with what is put into the answer, when the block ends; unknown if it is left otherwise."""
        with self.history.operation(SIGNATURE, what, case.id, **asked) as operation:
            yield operation.answer
            operation.outcome = "ok"

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

    async def check(self) -> None:
        """Wait until all is done, then hold everything against what was acknowledged."""
        await asyncio.gather(*map(self.reach, self.cases))
        checker = self._checker()
        await checker.quiet(PATIENCE)
        verdict = await checker.check()
        assert verdict, "\n".join(verdict.tell(self.history))
        assert not self.caller.complaints, self.caller.complaints

    def _checker(self) -> Checker:
        api, chance = self.caller.api, random.Random(0)

        async def log_in() -> str:
            return str((await log_in_enterprise(api, self.caller.taxpayer, ENTERPRISE_PASSWORD))["access_token"])

        auditor = Client(
            "auditor", api, self.history, chance, lambda: log_in_reviewer(api, REVIEWER, REVIEWER_PASSWORD)
        )
        clerk = Client("clerk", api, self.history, chance, log_in)
        return Checker(
            self.history, auditor, {self.caller.taxpayer: clerk}, before=self._others, alone=False,
            operations=self.operations, http=self.caller.http,
        )  # fmt: skip
