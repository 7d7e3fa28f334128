"""An enterprise's whole work in a browser without script, and the parts that the script asks for."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import date
from itertools import count
from typing import Any

import pytest

from deploy.journey import application_in, decide, desk_item, import_people, log_in_enterprise
from deploy.synthetic import id_number, jpeg, png
from tests.fixtures.platform import ENTERPRISE_PASSWORD, Harness
from tests.integration.portal.browser import Browser, Page
from tests.integration.portal.people import become_enterprise

KINDS = ("id-front", "id-back", "commitment-letter")
FRAGMENT = {"X-Requested-With": "fetch"}
serials = count()


def picture(seed: int, name: str = "照片.jpg") -> dict[str, tuple[str, bytes, str]]:
    return {"file": (name, jpeg(640, 420, seed), "image/jpeg")}


async def person(platform: Harness, *held: str, born: date = date(1990, 1, 1)) -> str:
    """The id number of somebody new who holds certificates for these posts."""
    serial = next(serials)
    number = id_number("male", born, serial)
    rows = [f"{number},赵安宁,{post},PORTAL{serial:04d}{post},2099-12-31" for post in held]
    await import_people(platform.api, await platform.reviewer(), rows or [f"{number},赵安宁,,,"])
    return number


async def check(browser: Browser, number: str) -> Page:
    return await browser.send(await browser.get("/applications/new"), "/applications/checks", id_number=number)


async def draft(browser: Browser, platform: Harness, post: str = "10") -> Page:
    page = await check(browser, await person(platform))
    return await browser.send(page, "/applications", post=post)


async def upload(browser: Browser, page: Page, *kinds: str, seed: int = 0) -> Page:
    for kind in kinds:
        page = await browser.send(page, f"{page.path}/images/{kind}", files=picture(10 * seed + KINDS.index(kind)))
        assert page.status == 200, page.text
    return page


async def submitted(browser: Browser, platform: Harness) -> Page:
    page = await upload(browser, await draft(browser, platform), *KINDS)
    return await browser.send(page, f"{page.path}/submission")


def identity(page: Page) -> str:
    return page.path.split("/")[2]


async def decided(platform: Harness, page: Page, revision: int, action: str, **reason: str) -> Any:
    """What a reviewer decides through the API, taken in by renewal."""
    token = await platform.reviewer()
    await desk_item(platform.api, token, identity(page), "pending_review", revision)
    await decide(platform.api, token, action, identity(page), revision, **reason)


@pytest.fixture
async def taxpayer(browser: Browser, platform: Harness) -> str:
    return await become_enterprise(browser, platform)


@pytest.fixture
async def token(taxpayer: str, platform: Harness) -> str:
    return str((await log_in_enterprise(platform.api, taxpayer, ENTERPRISE_PASSWORD))["access_token"])


@pytest.mark.usefixtures("taxpayer")
class TestList:
    async def test_tells_a_new_enterprise_what_to_do(self, browser: Browser) -> None:
        page = await browser.get("/applications")
        assert "还没有换证申请" in page.text
        assert 'href="/applications/new"' in page.html
        assert page.response.headers["cache-control"] == "no-store"

    async def test_shows_and_filters(self, browser: Browser, platform: Harness) -> None:
        await draft(browser, platform)
        await submitted(browser, platform)
        page = await browser.get("/applications")
        headings = re.findall(r'<th scope="col">(.*?)</th>', page.html)
        assert headings == ["申请编号", "姓名", "身份证", "岗位", "证书编号", "证书状态", "添加时间", "操作"]
        assert page.html.count('<tr id="application-') == 2
        assert re.search(r"3601\*{10}\d{3}[0-9X]", page.html)
        drafts = await browser.send(page, "/applications/search", status="draft")
        assert drafts.html.count('<tr id="application-') == 1
        assert "继续填写" in drafts.text
        nobody = await browser.send(page, "/applications/search", name="查无此人")
        assert "没有符合条件的申请" in nobody.text
        assert nobody.form("/applications/search").fields[1] == ("name", "查无此人")
        assert (await browser.send(page, "/applications/search", added_to="2020-01-01")).text.count("HZ") == 0

    async def test_keeps_what_was_typed_out_of_the_address(self, browser: Browser) -> None:
        number = id_number("male", date(1991, 1, 1), 400)
        page = await browser.send(await browser.get("/applications"), "/applications/search", name=number)
        assert number not in str(page.response.url)
        assert number in page.html

    async def test_says_what_is_wrong_with_a_filter(self, browser: Browser) -> None:
        page = await browser.send(await browser.get("/applications"), "/applications/search", added_from="昨天")
        assert page.status == 422
        assert 'id="added_from-error"' in page.html
        assert 'value="昨天"' in page.html

    async def test_turns_pages(self, browser: Browser, platform: Harness) -> None:
        number = await person(platform)
        page = await check(browser, number)
        form = page.form("/applications")
        for serial in range(3):
            fields = [(name, value) for name, value in form.fields if name != "_key"]
            await browser.post("/applications", [*fields, ("_key", str(serial)), ("post", "30")])
        first = await browser.get("/applications?limit=2")
        following = re.search(r'href="([^"]+)" rel="next"', first.html)
        assert following
        second = await browser.get(following[1].replace("&amp;", "&"))
        rows = [re.findall(r'<tr id="application-([^"]+)"', each.html) for each in (first, second)]
        assert [len(each) for each in rows] == [2, 1]
        assert not set(rows[0]) & set(rows[1])
        assert 'rel="first"' in second.html
        assert 'rel="next"' not in second.html

    async def test_rows_follow_what_is_under_way(self, browser: Browser, platform: Harness) -> None:
        waiting, still = await submitted(browser, platform), await draft(browser, platform)
        page = await browser.get("/applications")
        live = re.search(r'data-live-rows="([^"]+)"', page.html)
        assert live
        assert identity(waiting) in live[1]
        rows = await browser.get(live[1], headers=FRAGMENT)
        assert "<html" not in rows.html
        assert rows.html.count("<tr") == 2
        assert "X-Live" not in rows.response.headers
        done = await browser.get(f"/applications/rows?application_ids={identity(still)}", headers=FRAGMENT)
        assert done.response.headers["X-Live"] == "done"

    async def test_follows_nothing_where_nothing_is_under_way(self, browser: Browser, platform: Harness) -> None:
        await draft(browser, platform)
        assert "data-live-rows" not in (await browser.get("/applications")).html


@pytest.mark.usefixtures("taxpayer")
class TestEligibility:
    async def test_offers_the_posts(self, browser: Browser, platform: Harness) -> None:
        page = await check(browser, await person(platform, "10"))
        assert page.status == 200
        assert "身份证号检测通过" in page.text
        assert "1990-01-01" in page.text
        closed = re.findall(r'value="(\d+)" disabled aria-describedby', page.html)
        assert closed == ["20", "21", "22", "23"]
        assert "不允许同时存在施工员与质量员" in page.text

    @pytest.mark.parametrize(
        ("held", "born", "words"),
        [
            (("30", "40", "70"), date(1990, 1, 1), ("合计达到三本，不允许换证", "证书失效")),
            ((), date(1950, 1, 1), ("男性年龄大于60岁不允许换证", "请核对身份证号")),
        ],
    )
    async def test_tells_every_reason_and_what_to_do(
        self, browser: Browser, platform: Harness, held: tuple[str, ...], born: date, words: tuple[str, ...]
    ) -> None:
        page = await check(browser, await person(platform, *held, born=born))
        assert all(word in page.text for word in words)
        assert not [form for form in page.forms if form.action == "/applications"]
        assert 'href="/applications/new"' in page.html

    async def test_keeps_a_wrong_number(self, browser: Browser) -> None:
        page = await check(browser, "360199199001010000")
        assert page.status == 422
        assert 'value="360199199001010000"' in page.html
        assert 'id="id_number-error"' in page.html
        assert "360199199001010000" not in str(page.response.url)

    async def test_knows_when_somebody_is_unknown(self, browser: Browser) -> None:
        page = await check(browser, id_number("female", date(1970, 1, 1), 499))
        assert page.status == 404
        assert "平台数据中没有该人员" in page.text
        assert 'id="id_number-error"' in page.html

    async def test_asks_for_a_post(self, browser: Browser, platform: Harness) -> None:
        page = await browser.send(await check(browser, await person(platform)), "/applications")
        assert page.status == 422
        assert "选择岗位" in page.text
        assert page.form("/applications").action == "/applications"

    async def test_a_form_sent_twice_makes_one_application(self, browser: Browser, platform: Harness) -> None:
        page = await check(browser, await person(platform))
        both = await asyncio.gather(*(browser.send(page, "/applications", post="10") for _ in range(2)))
        assert both[0].path == both[1].path
        # Gone back to, and another post chosen.
        assert (await browser.send(page, "/applications", post="30")).path != both[0].path


@pytest.mark.usefixtures("taxpayer")
class TestDraft:
    async def test_from_the_number_to_the_submission(self, browser: Browser, platform: Harness) -> None:
        page = await draft(browser, platform)
        assert "申请已保存为草稿" in page.text
        assert "提交前还需上传： 身份证正面照片 、 身份证反面照片 、 承诺书照片" in page.text
        page = await upload(browser, page, "id-front")
        assert "提交前还需上传： 身份证反面照片 、 承诺书照片" in page.text
        page = await upload(browser, page, "id-back", "commitment-letter")
        assert "三张照片已齐全" in page.text
        image = await browser.get(f"{page.path}/images/id-front")
        assert image.response.headers["content-type"] == "image/jpeg"
        assert image.response.headers["cache-control"] == "no-store"
        page = await browser.send(page, f"{page.path}/submission")
        assert page.status == 200
        assert "待审核" in page.text
        assert "等待省级管理部门审核" in page.text
        assert f'data-live="{page.path}/status"' in page.html

    async def test_gives_the_letter_as_a_file(self, browser: Browser, platform: Harness) -> None:
        page = await draft(browser, platform)
        letter = await browser.get(f"{page.path}/commitment-letter")
        assert letter.response.content.startswith(b"PK")
        assert letter.response.headers["content-disposition"].startswith("attachment")
        assert "filename*=UTF-8''" in letter.response.headers["content-disposition"]

    async def test_changes_the_post(self, browser: Browser, platform: Harness) -> None:
        page = await draft(browser, platform)
        page = await browser.send(page, f"{page.path}/post", post="30")
        assert "岗位已修改" in page.text
        assert '<option value="30" selected>' in page.html

    @pytest.mark.parametrize(
        ("content", "status", "words"),
        [
            (b"x" * 100, 415, "只支持 JPG 或 PNG"),
            (b"\xff\xd8\xff" + bytes(5 * 1024 * 1024), 413, "不能超过5MB"),
            (b"\xff\xd8\xff" + bytes(100), 422, "图片已损坏"),
            (png(200, 200), 422, "短边不能少于300像素"),
        ],
    )
    @pytest.mark.parametrize("scripted", [False, True])
    async def test_says_beside_the_slot_what_is_wrong(
        self, browser: Browser, platform: Harness, content: bytes, status: int, words: str, scripted: bool
    ) -> None:
        page = await draft(browser, platform)
        address = f"{page.path}/images/id-back"
        files = {"file": ("照片.jpg", content, "image/jpeg")}
        answer = await browser.send(page, address, files=files, headers=FRAGMENT if scripted else None)
        assert answer.status == status
        slot = answer.html[answer.html.index('id="slot-id-back"') :].split("</section>")[0]
        assert words in slot
        assert ("<html" in answer.html) is not scripted

    async def test_asks_for_a_file(self, browser: Browser, platform: Harness) -> None:
        page = await draft(browser, platform)
        answer = await browser.send(page, f"{page.path}/images/id-back", files={"file": ("", b"", "")})
        assert answer.status == 422
        assert "请先选择照片" in answer.text

    async def test_answers_the_script_with_the_slot_and_what_is_missing(
        self, browser: Browser, platform: Harness
    ) -> None:
        page = await draft(browser, platform)
        address = f"{page.path}/images/id-front"
        answer = await browser.send(page, address, files=picture(1), headers=FRAGMENT)
        assert answer.status == 200
        assert "<html" not in answer.html
        assert answer.html.count("data-upload-slot") == 1
        assert "已上传" in answer.text
        assert "提交前还需上传： 身份证反面照片 、 承诺书照片" in answer.text

    async def test_knows_the_same_picture(self, browser: Browser, platform: Harness) -> None:
        page = await upload(browser, await draft(browser, platform), "id-front")
        answer = await browser.send(page, f"{page.path}/images/id-back", files=picture(0))
        assert answer.status == 409
        slot = answer.html[answer.html.index('id="slot-id-back"') :].split("</section>")[0]
        assert "这张图片已作为“身份证正面照片”上传" in slot

    async def test_lists_what_is_missing_at_submission(self, browser: Browser, platform: Harness) -> None:
        page = await upload(browser, await draft(browser, platform), "id-front")
        page = await browser.send(page, f"{page.path}/submission")
        assert page.status == 409
        assert "请先上传：身份证反面照片、承诺书照片" in page.text
        assert page.form(f"/applications/{identity(page)}/submission")

    async def test_tells_why_a_person_is_not_eligible_at_submission(self, browser: Browser, platform: Harness) -> None:
        number = await person(platform)
        chosen = await check(browser, number)
        pages = [await browser.send(chosen, "/applications", post=post) for post in ("10", "20")]
        pages = [await upload(browser, page, *KINDS) for page in pages]
        assert (await browser.send(pages[0], f"{pages[0].path}/submission")).status == 200
        page = await browser.send(pages[1], f"{pages[1].path}/submission")
        assert page.status == 409
        assert "不允许同时存在施工员与质量员" in page.text
        assert "可申请其他岗位" in page.text
        assert "三张照片已齐全" in page.text


@pytest.mark.usefixtures("taxpayer")
class TestProgress:
    async def test_becomes_a_certificate(self, browser: Browser, platform: Harness, token: str) -> None:
        page = await submitted(browser, platform)
        status = await browser.get(f"{page.path}/status", headers=FRAGMENT)
        assert "<html" not in status.html
        assert "X-Live" not in status.response.headers
        assert status.html.strip() in page.html
        await decided(platform, page, 1, "approve")
        number = (await application_in(platform.api, token, identity(page), "certified"))["certificate_number"]
        status = await browser.get(f"{page.path}/status", headers=FRAGMENT)
        assert status.response.headers["X-Live"] == "done"
        assert number in status.text
        assert f'src="/certificates/{number}/qr.svg"' in status.html
        page = await browser.get(page.path)
        assert "data-live" not in page.html
        assert f"平台：自动编号完成，证书编号 {number}" in page.text
        assert "省级管理部门：审核通过" in page.text

    @pytest.mark.parametrize(
        ("reason", "target", "mend"),
        [
            ("letter_unsigned", "#slot-commitment-letter", "commitment-letter"),
            ("post_mismatch", "#post", "post"),
            ("information_false", "", ""),
        ],
    )
    async def test_is_corrected_after_a_rejection(
        self, browser: Browser, platform: Harness, token: str, reason: str, target: str, mend: str
    ) -> None:
        page = await submitted(browser, platform)
        await decided(platform, page, 1, "reject", reason_code=reason, comment="请看清要求")
        await application_in(platform.api, token, identity(page), "rejected")
        status = await browser.get(f"{page.path}/status", headers=FRAGMENT)
        assert status.response.headers["X-Live"] == "done"
        assert "去修改" in status.text
        page = await browser.get(page.path)
        assert "请看清要求" in page.text
        if mend:
            assert f'<a href="{target}">' in page.html
            assert "还没有修改" in page.text
        if mend == "post":
            page = await browser.send(page, f"{page.path}/post", post="30")
        elif mend:
            page = await upload(browser, page, mend, seed=9)
        assert "还没有修改" not in page.text
        assert "材料已齐全，可以重新提交" in page.text
        page = await browser.send(page, f"{page.path}/submission")
        assert "待审核" in page.text
        assert "本企业：再次提交审核" in page.text
        assert "省级管理部门：审核驳回" in page.text

    async def test_a_double_click_submits_once(self, browser: Browser, platform: Harness) -> None:
        page = await upload(browser, await draft(browser, platform), *KINDS)
        both = await asyncio.gather(*(browser.send(page, f"{page.path}/submission") for _ in range(2)))
        assert [each.status for each in both] == [200, 200]
        assert (await browser.get(page.path)).text.count("本企业：提交审核") == 1

    async def test_a_page_of_yesterday_shows_today(self, browser: Browser, platform: Harness) -> None:
        old = await upload(browser, await draft(browser, platform), *KINDS)
        await browser.send(old, f"{old.path}/submission")
        again = await browser.get(old.path)
        page = await browser.send(old, f"{old.path}/post", post="30")
        assert page.status == 409
        assert "下面已是最新内容" in page.text
        assert "待审核" in page.text
        files = picture(5)
        page = await browser.send(old, f"{old.path}/images/id-front", files=files)
        assert page.status == 409
        assert "不允许此操作" in page.text
        assert again.path == old.path

    async def test_is_cancelled_after_a_question(self, browser: Browser, platform: Harness) -> None:
        page = await submitted(browser, platform)
        question = await browser.get(f"{page.path}/cancellation")
        assert "确认撤销申请" in question.text
        done = await browser.send(question, f"{page.path}/cancellation")
        assert "申请已撤销" in done.text
        assert done.path == page.path
        twice = await browser.send(await browser.get(f"{page.path}/cancellation"), f"{page.path}/cancellation")
        assert twice.status == 409
        assert "当前为“已撤销”" in twice.text


class TestOthers:
    @pytest.mark.usefixtures("taxpayer")
    async def test_is_nobody_elses(
        self, browser: Browser, new_browser: Callable[[], Awaitable[Browser]], platform: Harness
    ) -> None:
        page = await upload(browser, await draft(browser, platform), "id-front")
        other = await new_browser()
        await become_enterprise(other, platform, "赣州另一企业")
        for path in ("", "/status", "/cancellation", "/images/id-front", "/commitment-letter"):
            assert (await other.get(page.path + path)).status == 404, path
        form = (await other.get("/applications/new")).form("/applications/checks")
        fields = [(name, value) for name, value in form.fields if name == "_token"]
        for path in ("/submission", "/cancellation", "/post"):
            answer = await other.post(page.path + path, [*fields, ("revision", "0"), ("post", "30")])
            assert answer.status == 404, path
        rows = await other.get(f"/applications/rows?application_ids={identity(page)}", headers=FRAGMENT)
        assert "<tr" not in rows.html

    async def test_needs_a_login(self, browser: Browser) -> None:
        page = await browser.get("/applications?status=draft")
        assert page.path == "/enterprise/login"
        assert ("target", "/applications?status=draft") in page.form("/enterprise/login").fields
        fragment = await browser.get("/applications/rows", headers=FRAGMENT)
        assert fragment.status in {401, 404}

    @pytest.mark.usefixtures("taxpayer")
    async def test_refuses_what_is_no_application(self, browser: Browser) -> None:
        for path in ("/applications/nothing", "/applications/nothing/status", "/applications/rows"):
            assert (await browser.get(path)).status == 404
