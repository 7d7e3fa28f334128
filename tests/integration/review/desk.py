"""A review service on a database of its own, without HTTP server or broker; and what `renewal` may say to it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
from pydantic import SecretStr

from deploy import synthetic
from services.review.app import build, create_app
from services.review.consumers import SUBSCRIPTIONS
from services.review.domain import ROLES, Role
from services.review.schemas import ReviewerCreation
from services.review.service.reviewers import ensure_reviewer
from services.review.settings import ReviewSettings
from shared.contracts.renewal import (
    PERSON_BLOCK,
    HeldCertificate,
    PersonBlock,
    RenewalApprovalWithdrawn,
    RenewalApproved,
    RenewalCancelled,
    RenewalCertified,
    RenewalDecisionRefused,
    RenewalNumberingFailed,
    RenewalRejected,
    RenewalSubmitted,
)
from shared.messaging import Consumer, Event, Message, Verdict
from shared.runtime.container import Container
from shared.runtime.settings import new_key
from tests.support.clock import START, ManualClock
from tests.support.events import message

PASSWORD = "Zhang-shan-2026"


class Desk:
    """The service under test. `client` is nobody; `as_role` gives the client of someone who is logged in."""

    def __init__(self, container: Container, clock: ManualClock, exit_stack: AsyncExitStack) -> None:
        self.container = container
        self.clock = clock
        self.consumer = Consumer(SUBSCRIPTIONS[0], container, container.database)
        self._transport = httpx2.ASGITransport(app=create_app(container), raise_app_exceptions=False)
        self._exit = exit_stack
        self._logged_in: dict[str, httpx2.AsyncClient] = {}

    async def open(self, token: str | None = None) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        client = httpx2.AsyncClient(transport=self._transport, base_url="http://test", headers=headers)
        return await self._exit.enter_async_context(client)

    async def as_role(self, *roles: Role, username: str | None = None) -> httpx2.AsyncClient:
        username = username or "-".join(roles)
        if username not in self._logged_in:
            await self.add_reviewer(username, *roles)
            response = await self.log_in(username)
            assert response.status_code == 201, response.text
            self._logged_in[username] = await self.open(response.json()["access_token"])
        return self._logged_in[username]

    async def add_reviewer(self, username: str, *roles: Role) -> None:
        async with self.container.database.transaction() as session:
            await ensure_reviewer(
                session,
                ReviewerCreation(username=username, name=f"姓名{username}", roles=list(roles or ROLES)),
                PASSWORD,
            )

    async def captcha(self) -> dict[str, Any]:
        """A solved captcha, as fields of the login."""
        client = await self.open()
        response = await client.post("/captchas")
        assert response.status_code == 201, response.text
        return {"captcha_id": response.json()["captcha_id"], "captcha_answer": response.json()["answer"]}

    async def log_in(self, username: str, password: str = PASSWORD, **captcha: str) -> httpx2.Response:
        client = await self.open()
        body = {"username": username, "password": password, **(captcha or await self.captcha())}
        return await client.post("/sessions", json=body)

    async def audit(self, **query: str) -> list[dict[str, Any]]:
        admin = await self.as_role("admin")
        response = await admin.get("/audit", params={"limit": "100", **query})
        assert response.status_code == 200, response.text
        items: list[dict[str, Any]] = response.json()["items"]
        return items

    async def hear(self, *events: Event) -> None:
        """Deliver events as one batch."""
        outcomes = await self.consumer.process(messages(*events))
        assert [outcome.verdict for outcome in outcomes] == [Verdict.done] * len(events)


def messages(*events: Event) -> list[Message]:
    """Each event in a new envelope."""
    return [message(event) for event in events]


@asynccontextmanager
async def running(url: str) -> AsyncIterator[Desk]:
    clock = ManualClock()
    settings = ReviewSettings(
        demo=True,
        database_url=SecretStr(url),
        data_keys=SecretStr(f"k1:{new_key()}"),
        index_key=SecretStr(new_key()),
        signing_keys=SecretStr(f"s1:{new_key()}"),
        rate_limits=False,
    )
    container = build(settings, clock=clock)
    async with AsyncExitStack() as exit_stack:
        exit_stack.push_async_callback(container.close)
        yield Desk(container, clock, exit_stack)


class Application:
    """Tells an application's story as `renewal` would: each method is the next change, and returns its event."""

    def __init__(self, container: Container, n: int = 0, **fields: Any) -> None:
        self.id = uuid4()
        self.id_number = synthetic.id_number(sequence=n)
        self.name = fields.pop("name", synthetic.person_name(n))
        held = HeldCertificate(
            post="10", post_name="土建施工员", certificate_number="old", valid_until=date(2026, 12, 31)
        )
        block = PersonBlock(
            name=self.name, id_number=self.id_number, sex="male", birth_date=date(1990, 1, 1), held=(held,)
        )
        self.state: dict[str, Any] = {
            "application_id": self.id,
            "application_number": f"HZ{n:08d}",
            "change_no": 1,
            "revision": 0,
            "decision_no": 0,
            "status": "draft",
            "person": container.cipher.seal(block, PERSON_BLOCK),
            "person_index": container.cipher.blind_index(self.id_number),
            "enterprise_id": uuid4(),
            "enterprise_name": "南昌一零企业",
            "post": "10",
            "post_name": "土建施工员",
            "certificate_number": None,
            "images": [],
            "added_at": START + timedelta(minutes=n),
            "submitted_at": None,
            **fields,
        }

    def submitted(self, **changes: Any) -> RenewalSubmitted:
        submitted_at = START + timedelta(hours=self.state["change_no"])
        self._change("pending_review", **{"submitted_at": submitted_at, **changes})
        self.state["revision"] += 1
        self.state["images"] = [
            {"kind": kind, "sha256": f"{kind}-{version}", "width": 800, "height": 500}
            for kind, version in zip(
                ("id-front", "id-back", "commitment-letter"), changes.get("versions", "111"), strict=True
            )
        ]
        return RenewalSubmitted(**self.state)

    def approved(self, decision_id: UUID | None = None) -> RenewalApproved:
        self._decide("approved")
        return RenewalApproved(
            **self.state, decision_id=decision_id or uuid4(), approved_at=START, previous_approval=None
        )

    def rejected(self, decision_id: UUID | None = None) -> RenewalRejected:
        self._decide("rejected", reason_code="letter_unsigned")
        return RenewalRejected(**self.state, decision_id=decision_id or uuid4())

    def withdrawn(self, decision_id: UUID | None = None) -> RenewalApprovalWithdrawn:
        approval = self.state["decision_no"]
        self._decide("pending_review", certificate_number=None)
        return RenewalApprovalWithdrawn(
            **self.state, decision_id=decision_id or uuid4(), approval=approval, withdrawn_at=START
        )

    def refused(self, decision_id: UUID | None = None, code: str = "stale_revision") -> RenewalDecisionRefused:
        self._change(self.state["status"])
        return RenewalDecisionRefused(
            **self.state, decision_id=decision_id or uuid4(), code=code, detail="申请已有变化"
        )

    def numbering_failed(self) -> RenewalNumberingFailed:
        self._change("approved")
        return RenewalNumberingFailed(**self.state, code="series_exhausted", detail="编号已用尽")

    def certified(self, number: str = "00100000000001") -> RenewalCertified:
        self._change("certified", certificate_number=number)
        return RenewalCertified(**self.state, issued_on=date(2026, 3, 2))

    def cancelled(self) -> RenewalCancelled:
        self._change("cancelled")
        return RenewalCancelled(**self.state)

    def seen(self, **changes: Any) -> dict[str, Any]:
        """The application as a row of a decision request."""
        return {"application_id": str(self.id), "revision": self.state["revision"], **changes}

    def _decide(self, status: str, **fields: Any) -> None:
        self._change(status, **fields)
        self.state["decision_no"] += 1

    def _change(self, status: str, **fields: Any) -> None:
        fields.pop("versions", None)
        self.state |= {"status": status, **fields}
        self.state["change_no"] += 1
