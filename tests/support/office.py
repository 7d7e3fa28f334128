"""An enterprise and a reviewer on a running platform, and short words for what they do."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import sqlalchemy as sa

from deploy.journey import decide, import_people, wait_for
from deploy.synthetic import id_number, person_name
from services.renewal.container import RenewalContainer
from services.renewal.domain import IMAGE_KINDS
from services.renewal.models import Image
from shared.messaging.tables import OutboxMessage
from shared.runtime.container import Container
from shared.values.idnumber import Sex
from tests.support.platform import Harness
from tests.support.wait import until

_serial = itertools.count()


def new_person(sex: Sex = "male", born: date | None = None) -> str:
    """The id number of somebody no test has had yet."""
    number = next(_serial)
    return id_number(sex, (born or date(1985, 1, 1)) + timedelta(days=0 if born else number // 500), number % 500)


def new_certificate() -> str:
    return f"OLD{next(_serial):08d}"


def line(person: str, post: str = "", number: str = "", until: str = "") -> str:
    """A row of a registry import."""
    return f"{person},{person_name(sum(map(ord, person)))},{post},{number},{until}"


async def attach_pictures(container: RenewalContainer, applications: Iterable[str]) -> None:
    """Rows of three pictures each, without the bytes: what submitting looks at."""
    async with container.database.transaction() as session:
        for application in applications:
            for kind in IMAGE_KINDS:
                digest = uuid4().hex
                session.add(
                    Image(
                        id=uuid4(),
                        application_id=UUID(application),
                        kind=kind,
                        current=True,
                        object_key=f"applications/{application}/{digest}.jpg",
                        content_type="image/jpeg",
                        sha256=digest,
                        pixel_sha256=digest,
                        width=800,
                        height=500,
                        bytes=1000,
                        uploaded_at=datetime.now(UTC),
                    )
                )


async def pending_events(containers: Iterable[Container]) -> int:
    total = 0
    for container in containers:
        async with container.database.transaction() as session:
            total += await session.scalar(sa.select(sa.func.count()).select_from(OutboxMessage)) or 0
    return total


@dataclass
class Office:
    harness: Harness
    reviewer: str
    enterprise: str

    @classmethod
    async def open(cls, harness: Harness) -> "Office":
        return cls(harness, await harness.reviewer(), await harness.enterprise())

    @property
    def renewal(self) -> RenewalContainer:
        container: RenewalContainer = self.harness.platform.containers["renewal"]
        return container

    async def request(self, method: str, path: str, token: str | None = None, **options: Any) -> httpx2.Response:
        token = self.enterprise if token is None else token
        return await self.harness.request(method, f"/api/renewal/v1{path}", token, **options)

    async def person(self, *posts: str, sex: Sex = "male", born: date | None = None) -> str:
        """The id number of someone new in the platform's data who holds a certificate of each of `posts`."""
        person = new_person(sex, born)
        await self.holds(person, *posts)
        return person

    async def holds(self, person: str, *posts: str) -> None:
        lines = [line(person, post, new_certificate()) for post in posts] or [line(person)]
        report = await import_people(self.harness.api, self.reviewer, lines)
        assert report["failed"] == 0

    async def draft(self, person: str, post: str, token: str | None = None, *, pictures: bool = True) -> dict[str, Any]:
        response = await self.request("POST", "/applications", token, json={"id_number": person, "post": post})
        assert response.status_code == 201, response.text
        draft: dict[str, Any] = response.json()
        if pictures:
            await attach_pictures(self.renewal, [draft["id"]])
        return draft

    async def submit(self, application: str, revision: int = 0, token: str | None = None) -> httpx2.Response:
        return await self.request("POST", f"/applications/{application}/submission", token, json={"revision": revision})

    async def cancel(self, application: str, revision: int, token: str | None = None) -> httpx2.Response:
        path = f"/applications/{application}/cancellation"
        return await self.request("POST", path, token, json={"revision": revision})

    async def submitted(self, person: str, post: str, token: str | None = None) -> str:
        """The id of an application that waits for review."""
        draft = await self.draft(person, post, token)
        response = await self.submit(draft["id"], 0, token)
        assert response.status_code == 200, response.text
        return str(draft["id"])

    async def decide(
        self, action: str, application: str, revision: int = 1, reason_code: str = "information_false"
    ) -> None:
        """As soon as the desk shows a state that the decision is possible on."""
        reason = {} if action == "approve" else {"reason_code": reason_code}

        async def accepted() -> bool:
            result = await decide(self.harness.api, self.reviewer, action, application, revision, **reason)
            return bool(result["outcome"] == "accepted")

        await until(accepted, what=f"{action} of {application} to be accepted by the desk")

    async def read(self, application: str, token: str | None = None) -> dict[str, Any]:
        response = await self.request("GET", f"/applications/{application}", token)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    async def reach(self, application: str, *statuses: str) -> dict[str, Any]:
        """The application once it has one of `statuses`."""

        async def reached() -> dict[str, Any] | None:
            found = await self.read(application)
            return found if found["status"] in statuses else None

        return await until(reached, what=f"{application} to be {' or '.join(statuses)}")

    async def item(self, application: str, **expected: Any) -> dict[str, Any]:
        """The desk's item once it shows these values."""

        def shows(item: Any) -> bool:
            return all(item[name] == value for name, value in expected.items())

        path, what = f"/items/{application}", f"the desk to show {expected}"
        item: dict[str, Any] = await wait_for(self.harness.api, self.reviewer, "review", path, what, shows)
        return item

    async def certified(self, person: str, post: str) -> dict[str, Any]:
        application = await self.submitted(person, post)
        await self.decide("approve", application)
        return await self.reach(application, "certified")

    async def known(self, person: str) -> dict[str, Any]:
        """The registrar's look at a person."""
        response = await self.request("GET", "/registry/people", self.reviewer, params={"id_number": person})
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    async def audit(self, **query: str) -> list[dict[str, Any]]:
        """The latest entries of renewal's audit trail, newest first."""
        response = await self.request("GET", "/audit", await self.harness.reviewer("auditor", ("admin",)), params=query)
        assert response.status_code == 200, response.text
        items: list[dict[str, Any]] = response.json()["items"]
        return items

    async def quiet(self) -> None:
        """Until no service has anything left to say. An event hops from one to the next, so one look is not enough."""
        containers = self.harness.platform.containers.values()

        async def silent() -> bool:
            for _ in range(3):
                await self.harness.platform.containers["certnumber"].waker.join()
                if await pending_events(containers):
                    return False
            return True

        await until(silent, what="all outboxes to be empty")


def problem(response: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document, checked for its form."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["code"] == code
    assert document["detail"]
    assert any("一" <= character <= "鿿" for character in document["detail"])
    return document
