"""An enterprise's applications as a list, and how a new one begins."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import date

import pytest

from deploy.synthetic import id_number
from tests.integration.portal.applying import (
    FRAGMENT,
    check,
    draft,
    identity,
    person,
    submitted,
    upload,
)
from tests.integration.portal.browser import Browser
from tests.integration.portal.people import become_enterprise
from tests.support.platform import Harness


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
        for serial, post in enumerate(("30", "40", "50")):
            fields = [(name, value) for name, value in form.fields if name != "_key"]
            await browser.post("/applications", [*fields, ("_key", str(serial)), ("post", post)])
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
        assert 'tabindex="-1" aria-describedby="post-error"' in page.html
        assert 'id="post-error"' in page.html
        assert page.form("/applications").action == "/applications"

    async def test_a_form_sent_twice_makes_one_application(self, browser: Browser, platform: Harness) -> None:
        page = await check(browser, await person(platform))
        both = await asyncio.gather(*(browser.send(page, "/applications", post="10") for _ in range(2)))
        assert both[0].path == both[1].path
        assert "已有草稿" in (again := await browser.send(page, "/applications", post="10")).text
        assert again.path == both[0].path
        # Gone back to, and another post chosen.
        assert (await browser.send(page, "/applications", post="30")).path != both[0].path


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
        for path in ("", "/cancellation"):
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

    @pytest.mark.usefixtures("taxpayer")
    async def test_leads_from_the_address_of_a_form_to_the_list(self, browser: Browser) -> None:
        for path in ("/applications/checks", "/applications/search"):
            page = await browser.get(path)
            assert (page.status, '<a href="/applications">返回上一级</a>' in page.html) == (404, True)
