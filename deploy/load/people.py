"""Who uses a platform, until told to stop: clerks, reviewers, a registrar, the public. Each has a chance of its own,
drawn from the seed; together they keep one history."""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from datetime import date, timedelta
from itertools import count
from typing import Any

from deploy.journey import (
    IMAGES,
    Api,
    StepFailed,
    import_people,
    log_in_enterprise,
    log_in_reviewer,
)
from deploy.load.client import Client
from deploy.load.history import History
from deploy.synthetic import id_number, jpeg, person_name, taxpayer_id

PASSWORD = "Load-2026-pass"  # noqa: S105 - of accounts that exist only in this run
INITIAL = "111111"
POSTS = ("10", "10", "11", "20")
"""施工员 twice and 质量员: who is named for both may hold one"""
TABLE = 40
"""rows of an import"""
IMPATIENT = 0.1
"""how likely somebody asks once and never again"""
REASONS = {"reject": ("letter_unsealed", "id_front_unclear", "information_false"), "withdraw": ("approved_in_error",)}
EDITABLE, ENDABLE = ("draft", "rejected"), ("draft", "pending_review", "rejected")
CONFLICTS = ("wrong_state", "stale_revision")
NOT_SUBMITTED = (*CONFLICTS, "not_eligible", "images_missing", "duplicate_image")
PEOPLE_A_DAY = 500


class Load:
    """`numbers` are those that clerks have seen; `names` the reviewers' accounts by the name they sign with."""

    def __init__(
        self,
        api: Api,
        history: History,
        seed: int,
        administrator: tuple[str, str],
        *,
        clerks: int = 6,
        reviewers: int = 2,
    ) -> None:
        self.api = api
        self.history = history
        self._seed = seed
        self.administrator = self.client("administrator", lambda: log_in_reviewer(api, *administrator))
        self.people: deque[str] = deque()
        self.numbers: dict[str, str] = {}
        self.taxpayers: dict[str, str] = {}
        self.clerks: dict[str, Client] = {}
        self.names = [f"审核员{'甲乙丙丁戊'[number]}" for number in range(reviewers)]
        self._wanted = clerks
        self._enterprises = count(random.Random(seed).randrange(1_000_000))  # noqa: S311 - no secret
        self._born = count()
        self._tasks: set[asyncio.Task[None]] = set()

    def client(self, name: str, log_in: Callable[[], Awaitable[str]] | None = None) -> Client:
        chance = random.Random(f"{self._seed} {name}")  # noqa: S311 - no secret
        return Client(name, self.api, self.history, chance, log_in)

    async def prepare(self) -> None:
        """Import people, make reviewers' accounts, register enterprises. Raises StepFailed, HTTPError."""
        table = self.table()
        await import_people(self.api, await self.administrator.token(), rows(table))
        self.people.extend(table)
        for number, name in enumerate(self.names):
            username, token = f"load-{number}", await self.administrator.token()
            body = {"username": username, "name": name, "roles": ["reviewer"]}
            made = await self.api.call("POST", "review", "/reviewers", token=token, json=body, expect=201)
            first = await log_in_reviewer(self.api, username, made["initial_password"])
            change = {"old_password": made["initial_password"], "new_password": PASSWORD}
            await self.api.call("PUT", "review", "/password", token=first, json=change, expect=204)
        for _ in range(self._wanted):
            if await self.found() is None:
                raise StepFailed("an enterprise could not be registered")

    def table(self) -> list[str]:
        """New people."""
        numbers = [next(self._born) for _ in range(TABLE)]
        return [
            id_number("female", date(1980, 1, 1) + timedelta(days=n // PEOPLE_A_DAY), n % PEOPLE_A_DAY) for n in numbers
        ]

    async def found(self) -> Client | None:
        """Register an enterprise, which has a clerk then, unless that ends in doubt."""
        taxpayer = taxpayer_id(next(self._enterprises))
        name = f"赣州负载建设{len(self.taxpayers)}有限公司"
        client = self.client(f"clerk {len(self.taxpayers)}")
        self.taxpayers[taxpayer] = client.name
        body = {"taxpayer_id": taxpayer, "name": name, "contact_name": "联系人", "contact_phone": "0791-88888888"}
        with self.history.operation(client.name, "register", taxpayer, name=name) as operation:
            await client.act(operation, "POST", "enterprise", "/enterprises", json=body)
        if operation.outcome != "ok":
            return None
        client = self.client(client.name, lambda: self._log_in(taxpayer, INITIAL))
        with self.history.operation(client.name, "password", taxpayer, password=PASSWORD) as operation:
            change = {"old_password": INITIAL, "new_password": PASSWORD}
            await client.act(operation, "PUT", "enterprise", "/password", json=change)
        client = self.clerks[taxpayer] = self.client(client.name, lambda: self._log_in(taxpayer, PASSWORD))
        return client

    async def _log_in(self, taxpayer: str, password: str) -> str:
        return str((await log_in_enterprise(self.api, taxpayer, password))["access_token"])

    # --- at work

    def start(self) -> None:
        """Let all of them go about their work, until `stop`."""
        for taxpayer, client in self.clerks.items():
            self.go(Clerk(self, client, taxpayer).work())
        for number, name in enumerate(self.names):
            client = self.client(name, lambda number=number: log_in_reviewer(self.api, f"load-{number}", PASSWORD))  # type: ignore[misc]
            self.go(review(client))
        self.go(register_people(self))
        self.go(verify(self, self.client("public")))

    def go(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(asyncio.create_task(work))

    async def stop(self) -> None:
        """End them where they stand. Raises what one of them has failed of."""
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for end in ended:
            if isinstance(end, Exception):
                raise end


class Clerk:
    """Applies for people, mends what was rejected, and changes its mind; `known` is what its last look showed."""

    def __init__(self, load: Load, client: Client, taxpayer: str) -> None:
        self._load = load
        self._client = client
        self._taxpayer = taxpayer
        self._chance = client.chance
        self._known: dict[str, tuple[str, int]] = {}

    async def work(self) -> None:
        turns = {self.apply: 8, self.look: 3, self.mend: 5, self.cancel: 1, self.rename: 0.3, self.branch_out: 0.05}
        while True:
            (turn,) = self._chance.choices(list(turns), list(turns.values()))
            await turn()
            await asyncio.sleep(self._chance.uniform(0, 0.4))

    async def apply(self) -> None:
        if not self._load.people:
            await asyncio.sleep(0.5)
            return
        person = self._load.people.popleft()
        if self._chance.random() < 0.1:
            # Another enterprise wants the same person.
            self._load.people.appendleft(person)
        body = {"id_number": person, "post": self._chance.choice(POSTS)}
        with self._begin("draft", "", owner=self._taxpayer, person=person, post=body["post"]) as operation:
            made = await self._client.act(
                operation, "POST", "renewal", "/applications", attempts=self._attempts(), json=body
            )
            if made is None:
                return
            operation.subject = application = str(made["id"])
            self._known[application] = ("draft", 0)
        for kind in IMAGES:
            await self._upload(application, kind)
        if self._chance.random() > 0.05:
            await self._submit(application, 0)

    async def look(self) -> None:
        with self._begin("list") as operation:
            page = await self._client.act(operation, "GET", "renewal", "/applications?limit=100")
            if page is None:
                return
            operation.answer["items"] = [
                [one["id"], one["status"], one["revision"], one["decision_no"], one["certificate_number"]]
                for one in page["items"]
            ]
            for application, status, revision, _, number in operation.answer["items"]:
                self._known[application] = (status, revision)
                if number:
                    self._load.numbers[number] = application

    async def mend(self) -> None:
        await self.look()
        found = self._any("rejected")
        if found:
            application, revision = found
            await self._upload(application, "commitment-letter")
            await self._submit(application, revision)

    async def cancel(self) -> None:
        found = self._any(*ENDABLE)
        if found is None:
            return
        application, revision = found
        with self._begin("cancel", application, revision=revision) as operation:
            path, body = f"/applications/{application}/cancellation", {"revision": revision}
            answer = await self._client.act(
                operation, "POST", "renewal", path, attempts=self._attempts(), refusals=CONFLICTS, json=body
            )
            self._learn(application, operation.answer, answer)

    async def rename(self) -> None:
        name = f"赣州负载建设{self._chance.randrange(10_000)}有限公司"
        with self._begin("rename", self._taxpayer, name=name) as operation:
            await self._client.act(operation, "PATCH", "enterprise", "/me", json={"name": name})

    async def branch_out(self) -> None:
        client = await self._load.found()
        if client:
            taxpayer = next(one for one, clerk in self._load.clerks.items() if clerk is client)
            self._load.go(Clerk(self._load, client, taxpayer).work())

    # --- what these are made of

    def _begin(self, what: str, subject: str = "", **asked: Any) -> Any:
        return self._load.history.operation(self._client.name, what, subject, **asked)

    def _attempts(self) -> int:
        return 1 if self._chance.random() < IMPATIENT else 0

    def _any(self, *statuses: str) -> tuple[str, int] | None:
        found = sorted((one, revision) for one, (status, revision) in self._known.items() if status in statuses)
        return self._chance.choice(found) if found else None

    async def _upload(self, application: str, kind: str) -> None:
        # Pictures may not repeat.
        files = {"file": (f"{kind}.jpg", jpeg(400, 300, self._chance.getrandbits(48)), "image/jpeg")}
        with self._begin("upload", application, kind=kind) as operation:
            path = f"/applications/{application}/images/{kind}"
            answer = await self._client.act(
                operation, "PUT", "renewal", path, attempts=self._attempts(), refusals=CONFLICTS, files=files
            )
            if answer:
                operation.answer["sha256"] = answer["sha256"]

    async def _submit(self, application: str, revision: int) -> None:
        # Sometimes a button is pressed in two tabs.
        times = 2 if self._chance.random() < 0.1 else 1
        await asyncio.gather(*(self._submit_once(application, revision) for _ in range(times)))

    async def _submit_once(self, application: str, revision: int) -> None:
        with self._begin("submit", application, revision=revision) as operation:
            path, body = f"/applications/{application}/submission", {"revision": revision}
            answer = await self._client.act(
                operation, "POST", "renewal", path, attempts=self._attempts(), refusals=NOT_SUBMITTED, json=body
            )
            self._learn(application, operation.answer, answer)

    def _learn(self, application: str, note: dict[str, Any], answer: Any) -> None:
        if answer:
            note |= {name: answer[name] for name in ("revision", "status", "decision_no")}
            self._known[application] = (answer["status"], answer["revision"])


async def review(client: Client) -> None:
    """Approve and reject what waits, one or many at once, and sometimes withdraw."""
    chance = client.chance
    while True:
        await asyncio.sleep(chance.uniform(0, 0.6))
        (action,) = chance.choices(("approve", "reject", "withdraw"), (12, 4, 3))
        status = "pending_review" if action != "withdraw" else chance.choice(("approved", "certified"))
        most = chance.choice((1, 3, 3)) if action == "withdraw" else chance.choice((1, 1, 3, 10, 100))
        page = await client.once("list", "GET", "review", "/items", params={"status": status, "limit": 100})
        if page is None or not page.is_success:
            continue
        found = [[item["application_id"], item["revision"]] for item in page.json()["items"]]
        items = chance.sample(found, min(most, len(found)))
        if items:
            await decide(client, action, items)


async def decide(client: Client, action: str, items: list[list[Any]]) -> None:
    """Ask the desk for a decision on each of these, [application, revision]."""
    body: dict[str, Any] = {
        "action": action,
        "items": [{"application_id": application, "revision": revision} for application, revision in items],
    }
    if action in REASONS:
        body["reason_code"] = client.chance.choice(REASONS[action])
    with client.history.operation(client.name, "decide", action=action, items=items) as operation:
        answer = await client.act(
            operation, "POST", "review", "/decisions", json=body,
            attempts=1 if client.chance.random() < IMPATIENT else 0,
        )  # fmt: skip
        if answer:
            operation.answer["results"] = [
                [one["application_id"], one["outcome"], one.get("code")] for one in answer["results"]
            ]


async def register_people(load: Load) -> None:
    """Import people where they become few; sometimes the same table again."""
    client = load.administrator
    while True:
        if len(load.people) < TABLE:
            table = load.table()
            for _ in range(1 + (client.chance.random() < 0.2)):
                await import_table(client, table)
            load.people.extend(table)
        await asyncio.sleep(0.5)


async def import_table(client: Client, table: list[str]) -> None:
    content = "\n".join(["id_number,name,post,certificate_number,valid_until", *rows(table)])
    with client.history.operation(client.name, "import", people=table) as operation:
        files = {"file": ("people.csv", content.encode(), "text/csv")}
        report = await client.act(operation, "POST", "renewal", "/registry/imports", files=files)
        if report:
            operation.answer |= {name: report[name] for name in ("created", "failed")}


def rows(table: list[str]) -> list[str]:
    return [f"{person},{person_name(sum(map(ord, person)))},,," for person in table]


async def verify(load: Load, client: Client) -> None:
    """Look up numbers that somebody has seen."""
    while True:
        await asyncio.sleep(client.chance.uniform(0, 0.5))
        if load.numbers:
            number = client.chance.choice(sorted(load.numbers))
            with client.history.operation(client.name, "verify", number) as operation:
                answer = await client.act(operation, "GET", "certnumber", f"/certificates/{number}")
                if answer:
                    operation.answer["status"] = answer["status"]
