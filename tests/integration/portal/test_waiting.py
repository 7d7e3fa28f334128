"""When more people come than can be served, the pages say where one stands, and lose nothing that was typed."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from services.portal.container import Portal
from services.portal.forms import form_token
from shared.web.door import Caller
from tests.integration.portal.browser import Browser, Page
from tests.integration.portal.gateway import portal_before, problem

TYPED = {"taxpayer_id": "91360199MA00000019", "name": "南昌三零企业", "contact_name": "某某"}
NAME = "南昌一零企业"


def busy(_request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(
        503,
        json={"code": "overloaded", "detail": "当前使用人数较多，请稍候片刻再试", "retry_after": 7, "ahead": 420},
        headers={"Retry-After": "7"},
    )


def open_session(request: httpx2.Request) -> httpx2.Response:
    """Vouch for every session, and have no more to say."""
    if not request.url.path.endswith("/browser-sessions/access"):
        return busy(request)
    account = {"id": str(uuid4()), "name": NAME, "roles": ["enterprise"]}
    access = {"access_token": "token", "expires_in": 600, "must_change_password": False}
    return httpx2.Response(200, json={**access, "account": account, "seal_key": "k"})


class Crowded:
    """A portal all of whose places are taken, by the same number of others that wait each for two seconds."""

    def __init__(self, browser: Browser, portal: Portal) -> None:
        self.browser = browser
        self.portal = portal

    async def fill(self) -> None:
        self.portal.door.pace = 2.0
        while self.portal.door.inside < self.portal.door.at_once:
            await self.portal.door.enter(lambda: Caller.authority)

    def sign_in(self, session_id: str) -> None:
        self.browser.client.cookies.set("sid", f"e.{session_id}", domain="localhost.local", path="/")


@pytest.fixture
async def crowded() -> AsyncIterator[Crowded]:
    async with portal_before(open_session) as (browser, portal):
        yield Crowded(browser, portal)


def says_where_one_stands(page: Page, seconds: int, ahead: int) -> None:
    assert page.status == 503
    assert page.response.headers["retry-after"] == str(seconds)
    assert page.response.headers["cache-control"] == "no-store"
    assert "正在排队" in page.text
    assert f"预计还需等待约 {seconds} 秒" in page.text
    assert f"前面约有 {ahead} 人" in page.text


def asks_again_by_itself(page: Page) -> bool:
    return page.response.headers.get("refresh") == page.response.headers["retry-after"]


class TestServicesThatAreBusy:
    async def test_a_page_waits_and_opens_by_itself(self) -> None:
        async with portal_before(busy) as (browser, _):
            page = await browser.get("/review/login")
            says_where_one_stands(page, 7, 420)
            assert asks_again_by_itself(page)
            assert "本页到时会自动重试" in page.text

    async def test_a_form_that_was_sent_is_offered_again_and_not_sent_by_itself(self) -> None:
        async with portal_before(busy) as (browser, _):
            page = await _register(browser, await browser.get("/enterprise/registration"))
            says_where_one_stands(page, 7, 420)
            assert not asks_again_by_itself(page)
            assert "您填写的内容已保留" in page.text
            assert TYPED.items() <= dict(page.form("/enterprise/registration").fields).items()

    async def test_a_part_that_follows_is_told_when_to_come_again(self) -> None:
        async with portal_before(busy) as (browser, _):
            browser.client.cookies.set("sid", "e.abc", domain="localhost.local", path="/")
            answer = (await browser.get("/applications", headers={"X-Requested-With": "fetch"})).response
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
            assert answer.json()["detail"] == "当前使用人数较多，请稍候片刻再试"

    async def test_what_is_away_for_another_reason_does_not_queue(self) -> None:
        async with portal_before(lambda _: problem(503, code="unavailable", retry_after=2)) as (browser, _):
            page = await browser.get("/review/login")
            assert page.status == 503
            assert "排队" not in page.text
            assert "refresh" not in page.response.headers


class TestPortalThatIsBusy:
    async def test_a_page_waits_and_opens_by_itself(self, crowded: Crowded) -> None:
        await crowded.fill()
        page = await crowded.browser.get("/")
        says_where_one_stands(page, 2, 1)
        assert asks_again_by_itself(page)
        assert "default-src 'none'; img-src" in page.response.headers["content-security-policy"]
        crowded.portal.door.leave()
        assert (await crowded.browser.get("/")).status == 200

    async def test_what_the_waiting_page_is_made_of_is_there(self, crowded: Crowded) -> None:
        await crowded.fill()
        assert (await crowded.browser.get("/static/portal.css")).status == 200
        assert (await crowded.browser.get("/healthz")).status == 200

    async def test_a_form_that_was_sent_is_offered_again(self, crowded: Crowded) -> None:
        form = await crowded.browser.get("/enterprise/registration")
        await crowded.fill()
        page = await _register(crowded.browser, form)
        says_where_one_stands(page, 2, 1)
        assert TYPED.items() <= dict(page.form("/enterprise/registration").fields).items()

    async def test_a_form_from_elsewhere_is_still_refused(self, crowded: Crowded) -> None:
        await crowded.fill()
        page = await crowded.browser.post("/enterprise/registration", [*TYPED.items()])
        assert page.status == 403

    async def test_a_form_with_files_has_to_be_sent_again(self, crowded: Crowded) -> None:
        await crowded.fill()
        page = await crowded.browser.post("/applications", [], {"file": ("p.jpg", b"0" * 2_000_000, "image/jpeg")})
        assert page.status == 503
        assert "请用浏览器的“后退”" in page.text
        assert not asks_again_by_itself(page)

    async def test_who_is_signed_in_is_let_in_where_strangers_are_not(self, crowded: Crowded) -> None:
        crowded.sign_in("known")
        await crowded.browser.get("/enterprise/profile")
        await crowded.fill()
        crowded.portal.door.pace = 0.5
        for session_id, awaited in (("claimed", Caller.anonymous), ("known", Caller.enterprise)):
            crowded.sign_in(session_id)
            assert _standing(crowded, session_id) == awaited
        crowded.sign_in("claimed")
        assert "正在排队" in (await crowded.browser.get("/")).text

    async def test_the_issuer_is_shown_the_last_token_of_the_session(self) -> None:
        shown: list[str | None] = []

        def answer(request: httpx2.Request) -> httpx2.Response:
            if request.url.path.endswith("/browser-sessions/access"):
                shown.append(request.headers.get("authorization"))
            return open_session(request)

        async with portal_before(answer) as (browser, _):
            browser.client.cookies.set("sid", "e.abc", domain="localhost.local", path="/")
            for _ in range(2):
                await browser.get("/enterprise/profile")
        assert shown == [None, "Bearer token"]

    async def test_who_logged_out_is_a_stranger(self, crowded: Crowded) -> None:
        crowded.sign_in("known")
        await crowded.browser.get("/enterprise/profile")
        assert _standing(crowded, "known") == Caller.enterprise
        await crowded.browser.post("/logout", [("_token", form_token("known"))])
        assert _standing(crowded, "known") == Caller.anonymous


async def _register(browser: Browser, page: Page) -> Page:
    filled = [(name, value) for name, value in page.form("/enterprise/registration").fields if name not in TYPED]
    return await browser.post("/enterprise/registration", [*filled, *TYPED.items()])


def _standing(crowded: Crowded, session_id: str) -> Any:
    return crowded.portal.known.standing("enterprise", session_id)
