"""Registrar, logging in, password and profile; and what is told when the gateway is in trouble."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from deploy.journey import register_enterprise
from deploy.synthetic import taxpayer_id
from services.portal.forms import form_token
from tests.integration.portal.browser import Browser, Page
from tests.integration.portal.gateway import browser_before, problem
from tests.integration.portal.people import (
    NEW_PASSWORD,
    become_enterprise,
    captcha_answer,
    change_password,
    log_in_enterprise,
    log_in_reviewer,
)
from tests.support.platform import ENTERPRISE_PASSWORD, REVIEWER, REVIEWER_PASSWORD, Harness


def registration() -> dict[str, Any]:
    return {
        "taxpayer_id": taxpayer_id(secrets.randbelow(10_000_000)),
        "name": "南昌一零企业",
        "contact_name": "联系人",
        "contact_phone": "0791-88888888",
    }


async def register(browser: Browser, **changes: str) -> Page:
    page = await browser.get("/enterprise/registration")
    return await browser.send(page, "/enterprise/registration", **{**registration(), **changes})


class TestRegistration:
    async def test_leads_from_nothing_to_the_work(self, browser: Browser) -> None:
        page = await register(browser, taxpayer_id=(number := registration()["taxpayer_id"]))
        assert page.status == 201
        assert number in page.text
        assert "111111" in page.text
        page = await log_in_enterprise(browser, number, "111111")
        assert page.path == "/password"
        assert "您正在使用初始密码" in page.text
        # Nothing else opens before that.
        assert (await browser.get("/applications")).path == "/password"
        answer = await browser.get("/applications", headers={"X-Requested-With": "fetch"})
        assert (answer.status, answer.response.json()["login"]) == (403, "/password")
        page = await change_password(browser, "111111")
        assert page.path == "/applications"
        assert "密码已修改" in page.text

    async def test_keeps_what_was_typed(self, browser: Browser) -> None:
        page = await register(browser, taxpayer_id="123", contact_phone="打电话", address="南昌市")
        assert page.status == 422
        for value in ("123", "打电话", "南昌市", "南昌一零企业"):
            assert f'value="{value}"' in page.html
        assert 'href="#contact_phone"' in page.html
        assert 'id="contact_phone-error"' in page.html

    async def test_says_all_that_is_wrong_at_once(self, browser: Browser) -> None:
        # The last digit of a credit code that is right but for that, and a telephone that is none.
        page = await register(browser, taxpayer_id="91360199MA00000018", contact_phone="打电话", contact_name="")
        for words in ("校验码不正确", "例如 0791-88888888", "请填写联系人"):
            assert words in page.text.split("注册</button>")[0]
        page = await register(browser, taxpayer_id="", name="", contact_name="", contact_phone="")
        for words in ("请填写纳税人识别号", "请填写企业名称", "请填写联系人", "请填写联系电话"):
            assert words in page.text
        assert "必填" not in page.text
        assert "内容过短" not in page.text

    async def test_a_wrong_taxpayer_id_alone_keeps_its_code(self, platform: Harness) -> None:
        body = registration() | {"taxpayer_id": "91360199MA00000018"}
        answer = await platform.request("POST", "/api/enterprise/v1/enterprises", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_taxpayer_id")
        assert answer.json()["errors"][0]["field"] == "taxpayer_id"

    async def test_says_what_is_left_out(self, browser: Browser) -> None:
        page = await register(browser, name="  ")
        assert page.status == 422
        assert "请填写企业名称" in page.text

    async def test_knows_an_enterprise_that_is_there(self, browser: Browser) -> None:
        values = registration()
        await register(browser, **values)
        page = await register(browser, **values)
        assert page.status == 409
        assert 'id="taxpayer_id-error"' in page.html
        assert "已注册" in page.text

    async def test_a_double_click_registers_once(self, browser: Browser) -> None:
        page, values = await browser.get("/enterprise/registration"), registration()
        answers = await asyncio.gather(*(browser.send(page, "/enterprise/registration", **values) for _ in range(2)))
        assert [answer.status for answer in answers] == [201, 201]
        # Gone back to and filled in anew it is another registration.
        assert (await browser.send(page, "/enterprise/registration", **registration())).status == 201


class TestPassword:
    @pytest.mark.parametrize(
        ("old", "new", "repeated", "field", "words"),
        [
            ("not the password", NEW_PASSWORD, NEW_PASSWORD, "old_password", "原密码不正确"),
            (ENTERPRISE_PASSWORD, NEW_PASSWORD, "other", "repeated_password", "两次输入的新密码不一致"),
            (ENTERPRISE_PASSWORD, "short", "short", "new_password", "8"),
            (ENTERPRISE_PASSWORD, "111111", "111111", "new_password", "字母和数字（或符号）；不能包含账号或初始密码"),
            ("", "", "", "old_password", "请填写原密码"),
            ("", "", "", "new_password", "请填写新密码"),
            ("", NEW_PASSWORD, "", "repeated_password", "请再次输入新密码"),
        ],
    )
    async def test_says_beside_the_field_what_is_wrong(
        self, browser: Browser, platform: Harness, old: str, new: str, repeated: str, field: str, words: str
    ) -> None:
        await become_enterprise(browser, platform)
        hint = (await browser.get("/password")).text
        for rule in ("8 至 128 位", "字母和数字（或符号）", "不能与原密码相同", "不能包含账号或初始密码"):
            assert rule in hint
        page = await change_password(browser, old, new, repeated)
        assert page.status == 422
        assert words in page.html.split(f'id="{field}-error"')[1].split("</p>")[0]

    async def test_goes_on_where_it_was_asked_for(self, browser: Browser) -> None:
        number = registration()["taxpayer_id"]
        await register(browser, taxpayer_id=number)
        page = await browser.get("/enterprise/profile")
        page = await browser.send(page, "/enterprise/login", taxpayer_id=number, password="111111")
        values: dict[str, Any] = {
            "old_password": "111111",
            "new_password": NEW_PASSWORD,
            "repeated_password": NEW_PASSWORD,
        }
        assert (await browser.send(page, "/password", **values)).path == "/enterprise/profile"


class TestEnterpriseLogin:
    async def test_keeps_the_account(self, browser: Browser, platform: Harness) -> None:
        taxpayer, _ = await register_enterprise(platform.api, "南昌一零企业", ENTERPRISE_PASSWORD)
        page = await log_in_enterprise(browser, taxpayer, "wrong password")
        assert page.status == 401
        assert "账号或密码错误" in page.text
        assert f'value="{taxpayer}"' in page.html
        assert "wrong password" not in page.html

    async def test_tells_when_a_locked_account_opens_again(self, browser: Browser, platform: Harness) -> None:
        taxpayer, _ = await register_enterprise(platform.api, "南昌一零企业", ENTERPRISE_PASSWORD)
        page = await browser.get("/enterprise/login")
        for attempt in range(6):
            answer: Any = {"captcha_answer": captcha_answer(page)} if attempt >= 3 else {}
            password = ENTERPRISE_PASSWORD if attempt == 5 else "wrong password"
            page = await browser.send(page, "/enterprise/login", taxpayer_id=taxpayer, password=password, **answer)
            platform.clock.advance(seconds=4)
        assert page.status == 429
        assert "账号已临时锁定，请稍后再试（约15分钟后）" in page.text

    async def test_asks_for_a_captcha_once_it_is_needed_and_keeps_the_rest(
        self, browser: Browser, platform: Harness
    ) -> None:
        taxpayer, _ = await register_enterprise(platform.api, "南昌一零企业", ENTERPRISE_PASSWORD)
        page = await browser.get("/enterprise/login", params={"next": "/enterprise/profile"})
        for _ in range(3):
            assert "验证码" not in page.text
            page = await browser.send(page, "/enterprise/login", taxpayer_id=taxpayer, password="wrong password")
        platform.clock.advance(seconds=2)
        page = await browser.send(page, "/enterprise/login", refresh="captcha")
        assert f'value="{taxpayer}"' in page.html
        typed: Any = {"taxpayer_id": taxpayer, "password": ENTERPRISE_PASSWORD}
        page = await browser.send(page, "/enterprise/login", **typed, captcha_answer="wrong")
        assert "验证码不正确或已失效" in page.text
        page = await browser.send(page, "/enterprise/login", **typed, captcha_answer=captcha_answer(page))
        assert page.path == "/enterprise/profile"

    async def test_a_browser_that_has_logged_in_before_is_not_kept_out_by_others(
        self, browser: Browser, new_browser: Callable[[], Awaitable[Browser]], platform: Harness
    ) -> None:
        taxpayer = await become_enterprise(browser, platform)
        await browser.send(await browser.get("/applications"), "/logout")
        stranger = await new_browser()
        page = await stranger.get("/enterprise/login")
        for attempt in range(6):
            answer: Any = {"captcha_answer": captcha_answer(page)} if attempt >= 3 else {}
            page = await stranger.send(page, "/enterprise/login", taxpayer_id=taxpayer, password="wrong", **answer)
            platform.clock.advance(seconds=4)
        assert page.status == 429
        assert (await log_in_enterprise(browser, taxpayer)).path == "/applications"


class TestReviewerLogin:
    async def test_another_captcha_keeps_the_rest(self, browser: Browser) -> None:
        page = await browser.get("/review/items?status=approved")
        first = dict(page.form("/review/login").fields)
        page = await browser.send(page, "/review/login", press=("refresh", "captcha"), username=REVIEWER)
        second = dict(page.form("/review/login").fields)
        assert page.status == 200
        assert first["captcha_id"] != second["captcha_id"]
        assert (second["username"], second["target"]) == (REVIEWER, "/review/items?status=approved")

    async def test_a_wrong_captcha_is_said_beside_it(self, browser: Browser, platform: Harness) -> None:
        await platform.reviewer()
        page = await browser.get("/review/login")
        values: dict[str, Any] = {"username": REVIEWER, "password": REVIEWER_PASSWORD, "captcha_answer": "00000"}
        page = await browser.send(page, "/review/login", **values)
        assert page.status == 422
        assert 'id="captcha_answer-error"' in page.html
        assert f'value="{REVIEWER}"' in page.html
        assert (await log_in_reviewer(browser)).path == "/review/items"


class TestProfile:
    async def test_is_saved(self, browser: Browser, platform: Harness) -> None:
        await become_enterprise(browser, platform)
        page = await browser.get("/enterprise/profile")
        page = await browser.send(page, "/enterprise/profile", name="南昌二零企业", address="南昌市")
        assert "企业信息已保存" in page.text
        page = await browser.send(page, "/enterprise/profile", address="")
        assert dict(page.form("/enterprise/profile").fields)["address"] == ""
        assert 'value="南昌二零企业"' in page.html

    async def test_says_what_is_missing_and_keeps_the_rest(self, browser: Browser, platform: Harness) -> None:
        taxpayer = await become_enterprise(browser, platform)
        page = await browser.get("/enterprise/profile")
        page = await browser.send(page, "/enterprise/profile", contact_name="", address="南昌市")
        assert page.status == 422
        assert 'id="contact_name-error"' in page.html
        assert 'value="南昌市"' in page.html
        assert taxpayer in page.text


class TestGatewayInTrouble:
    @pytest.mark.parametrize("answer", [httpx2.Response(502, text="<html>Bad Gateway"), problem(503), None])
    async def test_is_told_in_words_and_loses_nothing(self, answer: httpx2.Response | None) -> None:
        def give(request: httpx2.Request) -> httpx2.Response:
            if answer is None:
                raise httpx2.ConnectError("away", request=request)
            return answer

        async with browser_before(give) as browser:
            page = await register(browser, name="南昌三零企业")
            assert page.status == 503
            assert "服务暂时不可用，请稍后再试" in page.text
            assert ("name", "南昌三零企业") in page.form("/enterprise/registration").fields

    async def test_who_logs_out_is_logged_out_here(self) -> None:
        async with browser_before(lambda _: httpx2.Response(503)) as browser:
            browser.client.cookies.set("sid", "e.abc", domain="localhost.local", path="/")
            fields = [("_token", form_token("abc"))]
            page = await browser.post("/logout", fields)
            assert page.path == "/"
            assert "您已在此浏览器退出" in page.text
            assert browser.client.cookies.get("sid") is None

    async def test_a_changed_password_is_said_to_be_changed(self) -> None:
        account = {"id": str(uuid4()), "name": "南昌一零企业", "roles": ["enterprise"]}
        access = {
            "access_token": "t",
            "expires_in": 600,
            "must_change_password": False,
            "account": account,
            "seal_key": "k",
        }

        def answer(request: httpx2.Request) -> httpx2.Response:
            if request.url.path.endswith("/access"):
                return httpx2.Response(200, json=access)
            return httpx2.Response(204 if request.method == "PUT" else 503)

        async with browser_before(answer) as browser:
            browser.client.cookies.set("sid", "e.abc", domain="localhost.local", path="/")
            page = await browser.get("/password")
            page = await browser.send(
                page, "/password", old_password="111111", new_password=NEW_PASSWORD, repeated_password=NEW_PASSWORD
            )
            assert page.path == "/enterprise/login"
            assert "密码已修改" in page.text

    async def test_a_retry_is_the_same_request(self) -> None:
        keys: list[str] = []

        def give(request: httpx2.Request) -> httpx2.Response:
            keys.append(request.headers["Idempotency-Key"])
            return problem(503)

        async with browser_before(give) as browser:
            await browser.send(await register(browser), "/enterprise/registration")
        assert (len(keys), len(set(keys))) == (2, 1)

    async def test_a_login_is_not_offered_again_without_its_password(self) -> None:
        async with browser_before(lambda _: problem(503)) as browser:
            page = await log_in_enterprise(browser, "91360100000000000X", "a password")
            assert (page.status, page.forms) == (503, [])

    async def test_too_many_requests_keep_the_form(self) -> None:
        detail = "操作过于频繁，请稍后再试"
        async with browser_before(lambda _: problem(429, code="too_many_requests", detail=detail)) as browser:
            page = await register(browser, name="南昌三零企业")
            assert page.status == 429
            assert detail in page.text
            assert 'value="南昌三零企业"' in page.html

    async def test_without_a_captcha_an_interrupted_form_is_kept(self) -> None:
        def give(request: httpx2.Request) -> httpx2.Response:
            if request.url.path.endswith("/browser-sessions/access"):
                return problem(401, code="invalid_session", detail="登录已失效")
            return problem(503)

        async with browser_before(give) as browser:
            browser.client.cookies.set("sid", "r.ended", domain="localhost.local", path="/")
            page = await browser.get("/enterprise/registration")
            token = dict(page.form("/enterprise/registration").fields)["_token"]
            page = await browser.post("/review/decisions", [("_token", token), ("comment", "写了很久的意见")])
            assert page.status == 503
            assert ("comment", "写了很久的意见") in page.form("/review/decisions").fields
