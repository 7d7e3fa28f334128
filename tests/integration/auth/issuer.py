"""An account at one of the two issuing services, and what is asked for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import httpx2
import sqlalchemy as sa

from deploy.journey import register_enterprise
from services.review.domain import Role
from services.review.schemas import ReviewerCreation
from services.review.service.reviewers import ensure_reviewer
from tests.support.platform import BASE, Harness
from tests.support.wait import PATIENCE

ISSUERS = ("enterprise", "review")
PASSWORD, NEW_PASSWORD = "Xiu-shui-2026-pass", "Gan-jiang-2026-pass"
WRONG = "not the password"
OPENED = (201, "")
LOCKED = (429, "account_locked")
CAPTCHA_REQUIRED = (422, "captcha_required")


@dataclass
class Portal:
    """What a web portal asks of one issuing service, for an account of its own."""

    harness: Harness
    service: str
    login: dict[str, str]
    address: str = "127.0.0.1"

    def at(self, address: str) -> "Portal":
        """The same account, asked for from elsewhere."""
        return replace(self, address=address)

    async def post(self, path: str, **body: Any) -> httpx2.Response:
        transport = httpx2.ASGITransport(
            app=self.harness.platform.app, raise_app_exceptions=False, client=(self.address, 1)
        )
        async with httpx2.AsyncClient(transport=transport, base_url=BASE, timeout=PATIENCE) as http:
            return await http.post(f"/api/{self.service}/v1{path}", json=body)

    async def call(self, method: str, path: str, token: str, **options: Any) -> httpx2.Response:
        return await self.harness.request(method, f"/api/{self.service}/v1{path}", token, **options)

    async def credentials(
        self, password: str = PASSWORD, *, captcha: bool = False, device: str | None = None
    ) -> dict[str, str]:
        """What a login is made of; a reviewer's always with a captcha."""
        solved = await self.captcha() if captcha or self.service == "review" else {}
        return {**self.login, "password": password, **solved, **({"device": device} if device else {})}

    async def captcha(self) -> dict[str, str]:
        question = await self.harness.api.call("POST", self.service, "/captchas", expect=201)
        return {"captcha_id": question["captcha_id"], "captcha_answer": question["answer"]}

    async def guess(self, path: str = "/browser-sessions", **credentials: Any) -> tuple[int, str]:
        """Log in with a wrong password, or as told; the answer's status and code."""
        answer = await self.post(path, **await self.credentials(**{"password": WRONG, **credentials}))
        return answer.status_code, answer.json().get("code", "")

    async def lock(self) -> None:
        """Guess, as a person who waits as long as told, until this address is locked."""
        for _ in range(5):
            assert await self.guess(captcha=True) == (401, "wrong_credentials")
            self.harness.clock.advance(seconds=4)
        assert await self.guess(captcha=True) == LOCKED

    async def log_in(self, path: str = "/browser-sessions", password: str = PASSWORD) -> dict[str, Any]:
        response = await self.post(path, **await self.credentials(password))
        assert response.status_code == 201, response.text
        body: dict[str, Any] = response.json()
        return body

    async def access(self, session_id: str) -> httpx2.Response:
        return await self.post("/browser-sessions/access", session_id=session_id)

    async def rotate(self, session_id: str) -> httpx2.Response:
        return await self.post("/browser-sessions/rotation", session_id=session_id)

    async def is_dead(self, session_id: str) -> bool:
        answers = [await self.access(session_id), await self.rotate(session_id)]
        refused = {(answer.status_code, answer.json().get("code")) for answer in answers}
        assert refused in ({(401, "invalid_session")}, {(200, None)})
        return refused == {(401, "invalid_session")}

    @contextmanager
    def session_updates(self) -> Iterator[list[int]]:
        """How many rows each update of the sessions changed inside the block."""
        engine = self.harness.platform.containers[self.service].database.engine.sync_engine
        counts: list[int] = []

        def note(_connection: Any, cursor: Any, statement: str, *_: Any) -> None:
            if statement.startswith("UPDATE sessions"):
                counts.append(cursor.rowcount)

        sa.event.listen(engine, "after_cursor_execute", note)
        yield counts
        sa.event.remove(engine, "after_cursor_execute", note)


async def new_reviewer(harness: Harness, *roles: Role) -> Portal:
    username = f"r-{uuid4().hex[:12]}"
    async with harness.platform.containers["review"].database.transaction() as session:
        creation = ReviewerCreation(username=username, name="某审核员", roles=list(roles) or ["reviewer", "admin"])
        await ensure_reviewer(session, creation, PASSWORD)
    return Portal(harness, "review", {"username": username})


async def new_enterprise(harness: Harness) -> Portal:
    taxpayer, _ = await register_enterprise(harness.api, "南昌一零企业", PASSWORD)
    return Portal(harness, "enterprise", {"taxpayer_id": taxpayer})


async def change_reviewer(reviewer: Portal, account_id: str, **change: Any) -> None:
    admin = await reviewer.harness.reviewer("the-admin", ("admin",))
    assert (await reviewer.call("PATCH", f"/reviewers/{account_id}", admin, json=change)).status_code == 200
