"""Sessions in a browser, and what happens to forms when the session is not the one of the page that showed them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from deploy.journey import register_enterprise
from deploy.synthetic import jpeg
from tests.integration.portal.applying import draft
from tests.integration.portal.browser import Browser
from tests.integration.portal.conftest import ADDRESS
from tests.integration.portal.people import (
    NEW_PASSWORD,
    become_enterprise,
    become_reviewer,
    change_password,
    log_in_enterprise,
)
from tests.support.platform import ENTERPRISE_PASSWORD, Harness

EXPIRED = "登录已过期"
NOTICE = "notice--done"
CHOSEN = 'value="40" checked'


async def _draft(browser: Browser, platform: Harness) -> tuple[str, str]:
    """A new enterprise that is logged in, and the address of its draft for post 10."""
    taxpayer = await become_enterprise(browser, platform)
    page = await draft(browser, platform)
    assert CHOSEN not in page.html
    return taxpayer, page.path


def session_id(browser: Browser) -> str:
    return str(browser.client.cookies.get("sid"))


class TestSession:
    async def test_has_a_new_id_after_login_and_after_a_password_change(
        self, browser: Browser, new_browser: Callable[[], Awaitable[Browser]], platform: Harness
    ) -> None:
        await become_enterprise(browser, platform)
        first = session_id(browser)
        await change_password(browser, ENTERPRISE_PASSWORD)
        second = session_id(browser)
        assert first != second
        thief = await new_browser()
        thief.client.cookies.set("sid", first, domain="localhost.local", path="/")
        assert (await thief.get("/applications")).path == "/enterprise/login"
        assert (await browser.get("/applications")).path == "/applications"

    async def test_a_login_of_empty_fields_names_them(self, browser: Browser) -> None:
        page = await browser.send(
            await browser.get("/enterprise/login"), "/enterprise/login", taxpayer_id="", password=""
        )
        for words in ("请填写企业账号", "请填写密码"):
            assert words in page.text

    async def test_logout_kills_it(
        self, browser: Browser, new_browser: Callable[[], Awaitable[Browser]], platform: Harness
    ) -> None:
        await become_enterprise(browser, platform)
        identity = session_id(browser)
        page = await browser.send(await browser.get("/applications"), "/logout")
        assert page.path == "/"
        assert "您已安全退出" in page.text
        assert browser.client.cookies.get("sid") is None
        thief = await new_browser()
        thief.client.cookies.set("sid", identity, domain="localhost.local", path="/")
        assert (await thief.get("/applications")).path == "/enterprise/login"

    async def test_an_ended_one_can_be_logged_out(self, browser: Browser, platform: Harness) -> None:
        await become_enterprise(browser, platform)
        page = await browser.get("/applications")
        platform.clock.advance(minutes=31)
        assert (await browser.send(page, "/logout")).path == "/"
        assert browser.client.cookies.get("sid") is None

    async def test_a_page_that_refreshes_itself_does_not_keep_it_open(
        self, browser: Browser, platform: Harness
    ) -> None:
        await become_enterprise(browser, platform)
        for _ in range(2):
            platform.clock.advance(minutes=20)
            last = await browser.client.get("/applications", headers={"X-Requested-With": "fetch"})
        assert last.status_code == 401
        assert (await browser.get("/applications")).path == "/enterprise/login"

    async def test_a_page_that_is_opened_does(self, browser: Browser, platform: Harness) -> None:
        await become_enterprise(browser, platform)
        for _ in range(2):
            platform.clock.advance(minutes=20)
            assert (await browser.get("/applications")).path == "/applications"

    async def test_of_an_enterprise_opens_nothing_at_the_desk(self, browser: Browser, platform: Harness) -> None:
        await become_enterprise(browser, platform)
        assert (await browser.get("/review/items")).path == "/review/login"
        # Still an enterprise until somebody else logs in.
        assert (await browser.get("/applications")).path == "/applications"
        await become_reviewer(browser, platform)
        assert (await browser.get("/review/items")).path == "/review/items"
        assert (await browser.get("/applications")).path == "/enterprise/login"

    async def test_a_name_of_the_other_issuer_opens_nothing(self, browser: Browser, platform: Harness) -> None:
        await become_enterprise(browser, platform)
        identity = session_id(browser)
        browser.client.cookies.clear()
        browser.client.cookies.set("sid", identity.replace("e.", "r.", 1), domain="localhost.local", path="/")
        assert (await browser.get("/review/items")).path == "/review/login"


class TestExpiredSession:
    async def test_leads_back_to_the_page(self, browser: Browser, platform: Harness) -> None:
        taxpayer = await become_enterprise(browser, platform)
        platform.clock.advance(minutes=31)
        page = await browser.get("/applications?status=draft")
        page = await browser.send(page, "/enterprise/login", taxpayer_id=taxpayer, password=ENTERPRISE_PASSWORD)
        assert str(page.response.url) == f"{ADDRESS}/applications?status=draft"

    async def test_keeps_the_form_and_goes_on_after_the_login(self, browser: Browser, platform: Harness) -> None:
        taxpayer = await become_enterprise(browser, platform)
        page = await browser.get("/enterprise/profile")
        platform.clock.advance(minutes=31)
        page = await browser.send(page, "/enterprise/profile", address="南昌市红谷滩区")
        assert page.status == 401
        assert EXPIRED in page.text
        # A mistyped password loses nothing either.
        page = await browser.send(page, "/enterprise/login", taxpayer_id=taxpayer, password="wrong")
        assert page.status == 401
        page = await browser.send(page, "/enterprise/login", taxpayer_id=taxpayer, password=ENTERPRISE_PASSWORD)
        assert "继续刚才的操作" in page.text
        page = await browser.send(page, "/enterprise/profile")
        assert "企业信息已保存" in page.text
        assert 'value="南昌市红谷滩区"' in page.html

    async def test_asks_for_the_file_again(self, browser: Browser, platform: Harness) -> None:
        taxpayer = await become_enterprise(browser, platform)
        page = await browser.get("/enterprise/profile")
        (token,) = [value for name, value in page.form("/enterprise/profile").fields if name == "_token"]
        platform.clock.advance(minutes=31)
        page = await browser.post(
            f"/applications/{'0' * 8}-0000-4000-8000-{'0' * 12}/images/id-front",
            [("_token", token)],
            {"file": ("a.jpg", jpeg(), "image/jpeg")},
            {"Referer": f"{ADDRESS}/enterprise/profile"},
        )
        assert page.status == 401
        assert "重新选择文件" in page.text
        page = await browser.send(page, "/enterprise/login", taxpayer_id=taxpayer, password=ENTERPRISE_PASSWORD)
        assert page.path == "/enterprise/profile"

    async def test_says_what_is_kept_and_which_files_are_not_and_goes_on_with_both(
        self, browser: Browser, platform: Harness
    ) -> None:
        taxpayer, address = await _draft(browser, platform)
        # Saved before: coming back must not say so again.
        page = await browser.get(f"{address}?notice=saved")
        platform.clock.advance(minutes=31)
        files = {"id-front": ("正面.jpg", jpeg(), "image/jpeg"), "id-back": ("", b"", "application/octet-stream")}
        referer = {"Referer": f"{ADDRESS}{address}?notice=saved"}
        page = await browser.send(page, address, ("action", "save"), files, headers=referer, post="40")
        assert page.status == 401
        assert "您填写的内容已保留（岗位）。文件不能保留，登录后请重新选择：身份证正面照片（正面.jpg）" in page.text
        page = await browser.send(page, "/enterprise/login", taxpayer_id=taxpayer, password=ENTERPRISE_PASSWORD)
        assert "继续刚才的操作" in page.text
        assert NOTICE not in page.html
        assert page.form(address).files == ["id-front"]
        # Without the file it is not taken: the picture from before would be submitted in its place.
        page = await browser.send(page, address)
        assert page.status == 422
        assert "还有文件没有重新选择" in page.text
        page = await browser.send(page, address, files={"id-front": ("front.jpg", jpeg(), "image/jpeg")})
        assert page.path == address
        assert NOTICE in page.html
        assert CHOSEN in page.html
        assert "✓ 已上传" in page.text

    async def test_keeps_the_texts_of_a_form_too_large_to_be_read(self, browser: Browser, platform: Harness) -> None:
        taxpayer, address = await _draft(browser, platform)
        page = await browser.get(address)
        platform.clock.advance(minutes=31)
        large = {kind: (f"{kind}.jpg", b"x" * 700_000, "image/jpeg") for kind in ("id-front", "id-back")}
        page = await browser.send(page, address, ("action", "save"), large, post="40")
        assert page.status == 401
        assert "（岗位）" in page.text
        assert "身份证正面照片（id-front.jpg）、身份证反面照片（id-back.jpg）" in page.text
        page = await browser.send(page, "/enterprise/login", taxpayer_id=taxpayer, password=ENTERPRISE_PASSWORD)
        form = page.form(address)
        assert form.files == ["id-front", "id-back"]
        assert ("post", "40") in form.fields

    @pytest.mark.parametrize("target", ["get", "post"])
    async def test_leads_back_without_the_notice_of_before(
        self, browser: Browser, platform: Harness, target: str
    ) -> None:
        taxpayer, address = await _draft(browser, platform)
        page = await browser.get("/password")
        platform.clock.advance(minutes=31)
        if target == "get":
            page = await browser.get(f"{address}?notice=saved&x=1")
        else:
            referer = {"Referer": f"{ADDRESS}{address}?notice=saved&x=1"}
            page = await browser.send(page, "/password", headers=referer, old_password="a", new_password="b")
            assert "密码没有保留" in page.text
        page = await browser.send(page, "/enterprise/login", taxpayer_id=taxpayer, password=ENTERPRISE_PASSWORD)
        assert str(page.response.url) == f"{ADDRESS}{address}?x=1"
        assert NOTICE not in page.html

    async def test_large_forms_of_strangers_are_not_even_read(self, browser: Browser) -> None:
        async def endless() -> AsyncIterator[bytes]:
            raise AssertionError("the body was read")
            yield b""

        length = {"Content-Length": str(20 * 1024 * 1024), "Content-Type": "multipart/form-data; boundary=x"}
        for headers in (length, {"Content-Type": length["Content-Type"]}):
            browser.client.cookies.set("sid", "e.nobody", domain="localhost.local", path="/")
            answer = await browser.client.post("/registry/imports", headers=headers, content=endless())
            assert answer.status_code == 401
            assert EXPIRED in answer.text

    async def test_carries_no_password(self, browser: Browser, platform: Harness) -> None:
        taxpayer = await become_enterprise(browser, platform)
        page = await browser.get("/password")
        platform.clock.advance(minutes=31)
        values: dict[str, Any] = {
            "old_password": ENTERPRISE_PASSWORD,
            "new_password": NEW_PASSWORD,
            "repeated_password": NEW_PASSWORD,
        }
        page = await browser.send(page, "/password", **values)
        assert page.status == 401
        assert NEW_PASSWORD not in page.html
        page = await browser.send(page, "/enterprise/login", taxpayer_id=taxpayer, password=ENTERPRISE_PASSWORD)
        assert page.path == "/password"

    async def test_tells_the_script_where_to_log_in(self, browser: Browser, platform: Harness) -> None:
        await become_enterprise(browser, platform)
        platform.clock.advance(minutes=31)
        answer = await browser.get("/applications", headers={"X-Requested-With": "fetch"})
        assert answer.status == 401
        assert answer.response.json()["login"] == "/enterprise/login"


class TestLoggedOutElsewhere:
    """Another tab has logged out: the session's cookie is gone, or another's."""

    async def _log_out(self, browser: Browser) -> None:
        assert (await browser.send(await browser.get("/applications"), "/logout")).path == "/"

    async def test_a_form_gets_the_login_and_is_kept(self, browser: Browser, platform: Harness) -> None:
        taxpayer, address = await _draft(browser, platform)
        page = await browser.get(address)
        await self._log_out(browser)
        files = {"id-front": ("a.jpg", jpeg(), "image/jpeg")}
        page = await browser.send(page, address, ("action", "save"), files, post="40")
        assert page.status == 401
        assert "没有权限" not in page.text
        assert "您填写的内容已保留（岗位）" in page.text
        page = await browser.send(page, "/enterprise/login", taxpayer_id=taxpayer, password=ENTERPRISE_PASSWORD)
        page = await browser.send(page, address, files=files)
        assert CHOSEN in page.html
        assert "✓ 已上传" in page.text

    async def test_after_another_login_the_form_is_asked_about_with_its_files(
        self, browser: Browser, platform: Harness
    ) -> None:
        taxpayer, address = await _draft(browser, platform)
        page = await browser.get(address)
        await self._log_out(browser)
        await log_in_enterprise(browser, taxpayer)
        files = {"id-front": ("a.jpg", jpeg(), "image/jpeg")}
        page = await browser.send(page, address, ("action", "save"), files, post="40")
        assert page.status == 403
        assert "没有权限" not in page.text
        assert page.form(address).files == ["id-front"]
        assert CHOSEN in (await browser.send(page, address, files=files)).html

    async def test_an_upload_by_script_is_told_where_to_log_in(self, browser: Browser, platform: Harness) -> None:
        _, address = await _draft(browser, platform)
        page = await browser.get(address)
        (token,) = [value for name, value in page.form(address).fields if name == "_token"]
        await self._log_out(browser)
        answer = await browser.post(
            f"{address}/images/id-front",
            [("_token", token)],
            {"file": ("a.jpg", jpeg(), "image/jpeg")},
            {"X-Requested-With": "fetch"},
        )
        assert (answer.status, answer.response.json()["login"]) == (401, "/enterprise/login")

    async def test_the_desk_gets_its_own_login(self, browser: Browser, platform: Harness) -> None:
        await become_reviewer(browser, platform)
        page = await browser.get("/review/items")
        await browser.send(page, "/logout")
        page = await browser.send(page, "/review/items/search", name="赵")
        assert page.status == 401
        assert "管理部门登录" in page.text

    async def test_logging_out_once_more_is_fine(self, browser: Browser, platform: Harness) -> None:
        await become_enterprise(browser, platform)
        page = await browser.get("/applications")
        await self._log_out(browser)
        page = await browser.send(page, "/logout")
        assert (page.path, page.status) == ("/", 200)
        assert "您已安全退出" in page.text

    async def test_a_login_form_from_before_is_shown_anew(self, browser: Browser, platform: Harness) -> None:
        taxpayer, _ = await register_enterprise(platform.api, "南昌一零企业", ENTERPRISE_PASSWORD)
        old = await browser.get("/enterprise/login", params={"next": "/enterprise/profile"})
        await log_in_enterprise(browser, taxpayer)
        page = await browser.send(old, "/enterprise/login", taxpayer_id=taxpayer, password=ENTERPRISE_PASSWORD)
        assert page.status == 403
        assert "请重新输入密码登录" in page.text
        page = await browser.send(page, "/enterprise/login", taxpayer_id=taxpayer, password=ENTERPRISE_PASSWORD)
        assert page.path == "/enterprise/profile"


class TestForeignForms:
    @pytest.mark.parametrize(
        "headers",
        [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}],
    )
    async def test_from_elsewhere_are_refused(
        self, browser: Browser, platform: Harness, headers: dict[str, str]
    ) -> None:
        await become_enterprise(browser, platform)
        form = (await browser.get("/enterprise/profile")).form("/enterprise/profile")
        fields = {**dict(form.fields), "name": "被改的名称"}
        answer = await browser.client.post("/enterprise/profile", data=fields, headers=headers)
        assert answer.status_code == 403
        assert "被改的名称" not in (await browser.get("/enterprise/profile")).html

    @pytest.mark.parametrize("token", [None, "", "0" * 64, "汉字"])
    async def test_without_our_token_are_asked_about(
        self, browser: Browser, platform: Harness, token: str | None
    ) -> None:
        await become_enterprise(browser, platform)
        form = (await browser.get("/enterprise/profile")).form("/enterprise/profile")
        fields = [(name, value) for name, value in form.fields if name not in {"_token", "name"}]
        page = await browser.post(
            "/enterprise/profile", [*fields, ("name", "新名称"), *([] if token is None else [("_token", token)])]
        )
        assert page.status == 403
        assert "新名称" not in (await browser.get("/enterprise/profile")).html
        # Whoever meant it can go on.
        assert 'value="新名称"' in (await browser.send(page, "/enterprise/profile")).html

    async def test_a_login_needs_a_form_of_ours(self, browser: Browser, platform: Harness) -> None:
        taxpayer, _ = await register_enterprise(platform.api, "南昌一零企业", ENTERPRISE_PASSWORD)
        fields = [("taxpayer_id", taxpayer), ("password", ENTERPRISE_PASSWORD)]
        page = await browser.post("/enterprise/login", fields)
        assert page.status == 403
        assert browser.client.cookies.get("sid") is None


class TestNext:
    @pytest.mark.parametrize(
        "target",
        [
            "https://evil.example/",
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "javascript:alert(1)",
            "\n//evil.example",
        ],
    )
    async def test_never_leads_away(self, browser: Browser, platform: Harness, target: str) -> None:
        taxpayer, _ = await register_enterprise(platform.api, "南昌一零企业", ENTERPRISE_PASSWORD)
        page = await browser.get("/enterprise/login", params={"next": target})
        assert ("target", "") in page.form("/enterprise/login").fields
        # Nor does a form that somebody changed.
        values: dict[str, Any] = {"taxpayer_id": taxpayer, "password": ENTERPRISE_PASSWORD, "target": target}
        page = await browser.send(page, "/enterprise/login", **values)
        assert str(page.response.url) == f"{ADDRESS}/applications"
