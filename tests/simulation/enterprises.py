"""Enterprises: their clerks draft, submit, correct and cancel, most by the use cases, some over HTTP."""

import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from deploy.journey import StepFailed, log_in_enterprise
from deploy.synthetic import jpeg, taxpayer_id
from services.renewal.domain import IMAGE_KINDS, ImageKind
from services.renewal.models import Image
from services.renewal.schemas import ApplicationChange, ApplicationDraft
from services.renewal.service import applications
from shared.auth.tokens import Principal
from shared.errors import Problem
from shared.values.clock import start_of_business_day
from tests.simulation.chance import seconds
from tests.simulation.logins import Login
from tests.simulation.people import ALL_POSTS, People, Person
from tests.simulation.world import Violation, World

PASSWORD = "Ganjiang-2026"
# Shares of applications.
OVER_HTTP, LATER, NEVER, CANCELLED = 0.03, 0.12, 0.03, 0.015
# Of rejected applications on each working day, and of them for ever.
CORRECTED, GIVEN_UP, LEFT = 0.3, 0.03, 0.1
SITTING = 25


@dataclass(frozen=True)
class Clerk:
    principal: Principal
    login: Login


class Enterprises:
    """`submitted` is what was acknowledged: the last revision of each application."""

    def __init__(self, world: World, people: People) -> None:
        self.world = world
        self.people = people
        self.submitted: dict[UUID, int] = {}
        self.refusals: Counter[str] = Counter()
        self._source = world.chance.of("enterprises")
        self._clerks: list[Clerk] = []
        self._left: set[UUID] = set()
        self._of: dict[UUID, Clerk] = {}

    @property
    def logins(self) -> list[Login]:
        return [clerk.login for clerk in self._clerks]

    async def register(self, count: int) -> None:
        call = self.world.api.call
        for number in range(count):
            name, taxpayer = f"南昌{number:03d}建设有限公司", taxpayer_id(number)
            body = {"taxpayer_id": taxpayer, "name": name, "contact_name": "联系人", "contact_phone": "0791-88888888"}
            await call("POST", "enterprise", "/enterprises", json=body, expect=201)
            first = await log_in_enterprise(self.world.api, taxpayer, "111111")
            change = {"old_password": "111111", "new_password": PASSWORD}
            await call("PUT", "enterprise", "/password", token=first["access_token"], json=change, expect=204)
            login = Login(self.world, "enterprise", partial(_credentials, taxpayer))
            me = await login.call("GET", "enterprise", "/me")
            principal = Principal("enterprise", UUID(me["id"]), uuid4(), name, frozenset({"enterprise"}), False)
            self._clerks.append(Clerk(principal, login))
            self._of[principal.subject] = self._clerks[-1]

    def plan_day(self, day: date, count: int) -> None:
        """Put a working day's sittings, with so many applications in all, on the agenda."""
        opening = start_of_business_day(day) + timedelta(hours=8, minutes=30)
        while count > 0:
            size = min(count, self._source.randint(1, SITTING))
            count -= size
            clerk = self._source.choice(self._clerks)
            moment = opening + seconds(self._source, 0, 8 * 3600)
            for _ in range(size):
                self.world.agenda.at(moment, partial(self._apply, clerk))
                moment += seconds(self._source, 20, 90)
        self.world.agenda.at(opening + timedelta(hours=8), self._correct)

    def plan_birthdays(self, people: list[Person]) -> None:
        """On the birthday itself a person may still renew; a second into the day after, not any more."""
        for person in people:
            clerk, day = self._source.choice(self._clerks), start_of_business_day(person.last_day)
            for moment, is_late in ((day + timedelta(hours=10), False), (day + timedelta(days=1, seconds=1), True)):
                self.world.agenda.at(
                    moment - timedelta(days=3), partial(self._draft_at_limit, clerk, person, moment, is_late)
                )

    async def _draft_at_limit(self, clerk: Clerk, person: Person, moment: datetime, is_late: bool) -> None:
        application = await self._draft(clerk, person, person.posts.pop())
        self.world.agenda.at(
            moment, partial(self._submit_at_limit, clerk, application, f"over_age_{person.sex}", is_late)
        )

    async def _submit_at_limit(self, clerk: Clerk, application: UUID, code: str, is_late: bool) -> None:
        refusals = await self._submit(clerk, application, 0)
        if refusals != ([code] if is_late else []):
            raise Violation(f"{application} was submitted {'after' if is_late else 'on'} the last day: {refusals}")
        self.world.network.counts["refused a second after the last day" if is_late else "taken on the last day"] += 1

    async def _apply(self, clerk: Clerk) -> None:
        person, post = self.people.next()
        if self._source.random() < OVER_HTTP:
            await self._apply_over_http(clerk, person, post)
            return
        application = await self._draft(clerk, person, post)
        fate = self._source.random()
        if fate < NEVER:
            return
        if fate < NEVER + LATER:
            delay = timedelta(days=self._source.randint(1, 40))
            self.world.agenda.after(delay, partial(self._submit, clerk, application, 0))
            return
        if not await self._submit(clerk, application, 0) and self._source.random() < CANCELLED:
            self.world.agenda.after(seconds(self._source, 60, 2 * 86_400), partial(self._cancel, clerk, application))

    # --- by use cases

    async def _draft(self, clerk: Clerk, person: Person, post: str) -> UUID:
        renewal = self.world.renewal
        async with renewal.database.transaction() as session:
            draft = ApplicationDraft(id_number=person.id_number, post=post)
            created = await applications.create_application(renewal, session, clerk.principal, draft)
            application = created.application.id
            session.add_all([self._picture(application, kind) for kind in IMAGE_KINDS])
        return application

    async def _submit(self, clerk: Clerk, application: UUID, revision: int, corrected: str | None = None) -> list[str]:
        """Submit, with another picture or post where that was to be corrected; gives the reasons of a refusal."""
        renewal, subject = self.world.renewal, clerk.principal.subject
        try:
            async with renewal.database.transaction() as session:
                if corrected == "post":
                    change = ApplicationChange(post=self._source.choice(ALL_POSTS), revision=revision)
                    await applications.change_application(renewal, session, subject, application, change)
                elif corrected in IMAGE_KINDS:
                    present = sa.update(Image).where(Image.application_id == application, Image.kind == corrected)
                    await session.execute(present.values(current=False))
                    session.add(self._picture(application, corrected))
                await applications.submit_application(renewal, session, subject, application, revision)
        except Problem as problem:
            return self._refused(problem.code, [reason["code"] for reason in problem.members.get("reasons", ())])
        self.submitted[application] = revision + 1
        return []

    async def _cancel(self, clerk: Clerk, application: UUID) -> None:
        renewal, revision = self.world.renewal, self.submitted[application]
        try:
            async with renewal.database.transaction() as session:
                await applications.cancel_application(renewal, session, clerk.principal.subject, application, revision)
        except Problem as problem:
            self._refused(problem.code, [])

    async def _correct(self) -> None:
        """Look at what was rejected, and correct some of it."""
        rows = await self.world.fetch(
            "renewal",
            "SELECT id, enterprise_id, revision, reason_field FROM applications"
            " WHERE status = 'rejected' ORDER BY sequence",
        )
        for row in rows:
            if row["id"] in self._left:
                continue
            clerk, draw = self._of[row["enterprise_id"]], self._source.random()
            if draw < CORRECTED:
                field = row["reason_field"] or self._source.choice(IMAGE_KINDS)
                act = partial(self._submit, clerk, row["id"], row["revision"], field)
                self.world.agenda.after(seconds(self._source, 0, 3600), act)
            elif draw < CORRECTED + GIVEN_UP:
                self.world.agenda.after(seconds(self._source, 0, 3600), partial(self._cancel, clerk, row["id"]))
            elif draw < CORRECTED + GIVEN_UP + CORRECTED * LEFT:
                self._left.add(row["id"])

    def _picture(self, application: UUID, kind: str) -> Image:
        digest = uuid4().hex
        key = f"applications/{application}/{digest}.jpg"
        self.world.store.written[key] = self.world.agenda.now()
        return Image(
            id=uuid4(),
            application_id=application,
            kind=kind,
            current=True,
            object_key=key,
            content_type="image/jpeg",
            sha256=digest,
            pixel_sha256=digest,
            width=800,
            height=500,
            bytes=1000,
            uploaded_at=self.world.agenda.now(),
        )

    def _refused(self, code: str, reasons: list[str]) -> list[str]:
        self.refusals.update(reasons or [code])
        return reasons or [code]

    # --- over HTTP

    async def _apply_over_http(self, clerk: Clerk, person: Person, post: str) -> None:
        """Draft, upload and submit, each POST twice under one key: the second answer is the first."""
        body = {"id_number": person.id_number, "post": post}
        draft = await self._twice(clerk, "/applications", body, 201)
        path = f"/applications/{draft['id']}"
        for kind in self._kinds():
            files = {"file": ("photo.jpg", jpeg(400, 300, self._source.randrange(10**6)), "image/jpeg")}
            await clerk.login.call("PUT", "renewal", f"{path}/images/{kind}", files=files)
        # An upload that ends between the store and the database.
        if self._source.random() < 0.2:
            await self.world.store.put(f"applications/{draft['id']}/{uuid4()}.jpg", b"", "image/jpeg")
        try:
            answer = await self._twice(clerk, f"{path}/submission", {"revision": 0}, 200)
        except StepFailed:
            self.refusals["over HTTP"] += 1
        else:
            self.submitted[UUID(draft["id"])] = answer["revision"]

    async def _twice(self, clerk: Clerk, path: str, body: dict[str, Any], status: int) -> dict[str, Any]:
        headers = {"Idempotency-Key": secrets.token_hex(8), "Authorization": f"Bearer {await clerk.login.token()}"}
        address, client = f"/api/renewal/v1{path}", self.world.client
        first = await client.post(address, json=body, headers=headers)
        if first.status_code != status:
            raise StepFailed(first.text)
        again = await client.post(address, json=body, headers=headers)
        if again.headers.get("Idempotency-Replayed") != "true" or again.content != first.content:
            raise Violation(f"{path}: another answer under one key: {again.status_code} {again.text[:200]}")
        answer: dict[str, Any] = first.json()
        return answer

    def _kinds(self) -> Iterator[ImageKind]:
        """Every kind, now and then one of them twice: a picture that is replaced before it was submitted."""
        for kind in IMAGE_KINDS:
            yield kind
            if self._source.random() < 0.2:
                yield kind


async def _credentials(taxpayer: str) -> dict[str, Any]:
    return {"taxpayer_id": taxpayer, "password": PASSWORD}
