"""The review desk's list and batches in a browser without script, and the fragments that the script asks for."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from services.portal.seal import seal, unseal
from tests.integration.portal.browser import Browser, Page
from tests.integration.portal.desk import BATCH, LIST, Desk, buttons, find, row, rows, tick, ticked
from tests.integration.portal.people import log_in_reviewer
from tests.support.platform import REVIEWER_PASSWORD, Harness

HEADINGS = ["姓名", "身份证", "公司", "岗位", "证书编号", "证书状态", "添加时间"]


class TestList:
    async def test_has_the_columns_of_the_source(self, reviewing: Browser, desk: Desk) -> None:
        await desk.add()
        page = await find(reviewing, desk)
        assert re.findall(r'<th scope="col">([^<]+)</th>', page.html) == HEADINGS
        cells = row(page, desk.ids[0])
        assert desk.numbers[0] not in page.html
        assert desk.numbers[0][:4] + "*" * 10 + desk.numbers[0][-4:] in cells
        for text in (desk.enterprise, "土建施工员", "---", "待审核"):
            assert text in cells
        assert page.response.headers["cache-control"] == "no-store"

    async def test_finds_an_id_number_that_never_stands_in_an_address(self, reviewing: Browser, desk: Desk) -> None:
        first, second = await desk.add(), await desk.add()
        page = await find(reviewing, desk, id_number=desk.numbers[1])
        assert rows(page) == [first]
        addresses = [str(one.url) for one in (*page.response.history, page.response)]
        assert not [one for one in addresses if desk.numbers[1] in one or desk.numbers[1][:6] in one]
        assert dict(page.form(f"{LIST}/search").fields)["id_number"] == desk.numbers[1]
        links = re.findall(r'href="([^"]+)"', page.html)
        assert not [one for one in links if desk.numbers[1] in one]
        assert rows(await find(reviewing, desk, id_number=desk.numbers[0])) == [second]

    async def test_filters_by_what_is_chosen(self, reviewing: Browser, desk: Desk) -> None:
        gone, quality = await desk.add(), await desk.add("30")
        await desk.cancel(gone)
        assert rows(await find(reviewing, desk)) == [quality, gone]
        assert rows(await find(reviewing, desk, status="cancelled")) == [gone]
        assert rows(await find(reviewing, desk, post="30")) == [quality]
        today = (await desk.item(quality))["added_at"][:10]
        assert rows(await find(reviewing, desk, added_to="2020-01-01")) == []
        assert rows(await find(reviewing, desk, added_from=today)) == [quality, gone]

    async def test_a_wrong_filter_is_explained_and_kept(self, reviewing: Browser, desk: Desk) -> None:
        page = await find(reviewing, desk, id_number="360199198801010000")
        assert page.status == 422
        assert "学员身份证号：" in page.text
        values = dict(page.form(f"{LIST}/search").fields)
        assert (values["id_number"], values["enterprise"]) == ("360199198801010000", desk.enterprise)

    async def test_what_was_sealed_outlives_the_session_and_is_the_account_s_own(
        self, reviewing: Browser, desk: Desk
    ) -> None:
        await desk.add()
        sealed = str((await find(reviewing, desk)).response.url)
        await reviewing.send(await reviewing.get(LIST), "/logout")
        await log_in_reviewer(reviewing)
        page = await reviewing.get(sealed)
        assert dict(page.form(f"{LIST}/search").fields)["enterprise"] == desk.enterprise
        await reviewing.send(page, "/logout")
        await log_in_reviewer(reviewing, "other-reviewer")
        page = await reviewing.get(sealed)
        assert "请重新填写" in page.text
        assert desk.enterprise not in dict(page.form(f"{LIST}/search").fields).values()

    async def test_a_comment_may_have_lines(self, reviewing: Browser, desk: Desk) -> None:
        one = await desk.add()
        page = await reviewing.get(f"{LIST}/{one}")
        address, comment = f"{LIST}/{one}/decision", "请重拍\r\n第二行"
        press = ("action", "reject")
        page = await reviewing.send(page, address, press, reason_code="letter_unsealed", comment=comment)
        assert page.status == 200
        assert (await desk.item(one))["decisions"][0]["comment"] == "请重拍\n第二行"

    async def test_says_that_a_time_ends_before_it_begins(self, reviewing: Browser, desk: Desk) -> None:
        page = await find(reviewing, desk, added_from="2026-03-02", added_to="2026-03-01")
        assert "开始晚于结束" in page.text

    async def test_pages_through_every_row_once(self, reviewing: Browser, desk: Desk) -> None:
        for _ in range(5):
            await desk.add()
        address = f"{(await find(reviewing, desk)).response.url}&limit=2"
        seen: list[str] = []
        while address:
            page = await reviewing.get(address)
            seen += rows(page)
            found = re.search(r'href="([^"]+)" rel="next"', page.html)
            address = found[1].replace("&amp;", "&") if found else ""
        assert seen == desk.ids
        first = re.search(r'href="([^"]+)" rel="first"', page.html)
        assert first
        assert rows(await reviewing.get(first[1].replace("&amp;", "&"))) == desk.ids[:2]

    async def test_ticks_a_whole_page_without_script(self, reviewing: Browser, desk: Desk) -> None:
        await desk.add()
        await desk.add()
        page = await find(reviewing, desk)
        assert ticked(page) == []
        (link,) = re.findall(r'href="([^"]*ticked=all)"', page.html)
        page = await reviewing.get(link.replace("&amp;", "&"))
        assert ticked(page) == desk.ids

    async def test_a_withdrawn_application_is_no_new_one(self, reviewing: Browser, desk: Desk) -> None:
        withdrawn, new = await desk.add(), await desk.add()
        await desk.decided(withdrawn, "approve", "certified")
        await desk.withdraw(withdrawn, "approved_in_error", "照片与本人不符")
        page = await find(reviewing, desk)
        assert "待审核（撤回）" in row(page, withdrawn)
        assert "原审核已撤回，须重新审核。原因：审核有误：照片与本人不符" in row(page, withdrawn)
        assert "撤回" not in row(page, new)
        assert "逐条核对后勾选" in page.text
        (link,) = re.findall(r'href="([^"]*ticked=all)"', page.html)
        page = await reviewing.get(link.replace("&amp;", "&"))
        assert ticked(page) == [new]
        # Ticked by hand it is approved like any other, and is a new one's equal after that.
        page = await reviewing.send(page, BATCH, ("action", "approve"), add=tick(withdrawn))
        assert "证书审核：2 条已受理" in page.text
        await desk.reaches(withdrawn, "certified")
        page = await reviewing.get(f"{LIST}/{withdrawn}")
        assert "须重新审核" not in page.text


class TestBatch:
    async def test_approves_what_can_be_and_keeps_the_rest_ticked(self, reviewing: Browser, desk: Desk) -> None:
        late, good = await desk.add(), await desk.add()
        page = await find(reviewing, desk, status="pending_review")
        await desk.cancel(late)
        page = await reviewing.send(page, BATCH, ("action", "approve"), add=tick(late, good))
        assert rows(page) == [good, late]
        assert "证书审核：1 条已受理，1 条未处理" in page.text
        assert "证书审核已受理" in row(page, good)
        assert "企业已撤销该申请" in row(page, late)
        assert ticked(page) == [late]
        done = await desk.decided(good, "approve", "certified")
        assert [decision["action"] for decision in done["decisions"]] == ["approve"]
        fragment = await reviewing.get(f"{LIST}/states", params={"ids": f"{good},{late}"})
        assert f'<span id="number-{good}">{done["certificate_number"]}</span>' in fragment.html
        assert f'value="{good}:1:1"' in fragment.html
        assert fragment.response.headers["x-live"] == "done"

    async def test_pressing_twice_decides_once(self, reviewing: Browser, desk: Desk) -> None:
        one = await desk.add()
        page = await find(reviewing, desk)
        answers = [await reviewing.send(page, BATCH, ("action", "approve"), add=tick(one)) for _ in range(2)]
        assert all("证书审核：1 条已受理" in answer.text and not ticked(answer) for answer in answers)
        item = await desk.reaches(one, "certified")
        assert len(item["decisions"]) == 1

    async def test_asks_why_before_rejecting(self, reviewing: Browser, desk: Desk) -> None:
        one, other = await desk.add(), await desk.add()
        page = await find(reviewing, desk)
        page = await reviewing.send(page, BATCH, ("action", "reject"), add=tick(one, other))
        assert "批量驳回（2 条）" in page.text
        assert "审核有误" not in page.text
        page = await reviewing.send(page, BATCH, ("action", "reject"), comment="请重新拍摄")
        assert page.status == 422
        assert "驳回或撤回时必须选择原因" in page.text
        assert "请重新拍摄" in page.html
        page = await reviewing.send(page, BATCH, ("action", "reject"), reason_code="letter_unclear")
        assert "批量驳回：2 条已受理" in page.text
        item = await desk.reaches(other, "rejected")
        assert (item["reason_code"], item["comment"]) == ("letter_unclear", "请重新拍摄")

    async def test_says_all_that_is_wrong_with_a_rejection(self, reviewing: Browser, desk: Desk) -> None:
        one = await desk.add()
        page = await reviewing.send(await find(reviewing, desk), BATCH, ("action", "reject"), add=tick(one))
        page = await reviewing.send(page, BATCH, ("action", "reject"), comment=f"请核对 {desk.numbers[0]}")
        assert page.status == 422
        for words in ("驳回或撤回时必须选择原因", "说明中请勿填写身份证号"):
            assert words in page.text

    async def test_withdraws_what_was_approved(self, reviewing: Browser, desk: Desk) -> None:
        one = await desk.add()
        await desk.decided(one, "approve", "certified")
        page = await find(reviewing, desk)
        assert buttons(page) == {"withdraw"}
        number = (await desk.item(one))["certificate_number"]
        page = await reviewing.send(page, BATCH, ("action", "withdraw"), add=tick(one))
        assert f"证书编号 {number} 随即作废" in page.text
        page = await reviewing.send(page, BATCH, ("action", "withdraw"), reason_code="approved_in_error")
        assert "撤回资质审核：1 条已受理" in page.text
        await desk.reaches(one, "pending_review")

    async def test_decides_only_on_what_was_shown(self, reviewing: Browser, desk: Desk) -> None:
        one = await desk.add()
        page = await find(reviewing, desk)
        await desk.decided(one, "reject", "rejected", reason_code="letter_unclear")
        await desk.change(one)
        await desk.resubmit(one)
        page = await reviewing.send(page, BATCH, ("action", "approve"), add=tick(one))
        assert "该申请已有更新" in row(page, one)
        assert ticked(page) == [one]
        page = await reviewing.send(page, BATCH, ("action", "approve"))
        assert "证书审核：1 条已受理" in page.text

    async def test_nothing_ticked_is_said(self, reviewing: Browser, desk: Desk) -> None:
        one = await desk.add()
        page = await reviewing.send(await find(reviewing, desk), BATCH, ("action", "reject"))
        assert page.status == 422
        assert "请先勾选申请" in page.text
        assert rows(page) == [one]

    async def test_the_enter_key_decides_nothing(self, reviewing: Browser, desk: Desk) -> None:
        one = await desk.add()
        page = await find(reviewing, desk)
        assert page.form(BATCH).buttons[0] == ("action", "")
        page = await reviewing.send(page, BATCH, ("action", ""), add=tick(one))
        assert (page.status, ticked(page)) == (200, [one])
        page = await reviewing.get(f"{LIST}/{one}")
        decision = f"{page.path}/decision"
        assert page.form(decision).buttons[0] == ("action", "")
        page = await reviewing.send(page, decision, ("action", ""), comment="未写完")
        assert (page.status, dict(page.form(decision).fields)["comment"]) == (200, "未写完")
        assert (await desk.item(one))["decisions"] == []

    async def test_forms_of_other_sites_are_refused(self, reviewing: Browser, desk: Desk) -> None:
        one = await desk.add()
        fields = [("action", "approve"), ("ids", one), ("seen", f"{one}:1:0")]
        assert (await reviewing.post(BATCH, fields)).status == 403
        assert (await desk.item(one))["decisions"] == []

    async def test_made_up_rows_do_not_exist(self, reviewing: Browser, desk: Desk) -> None:
        await desk.add()
        page = await find(reviewing, desk)
        assert (await reviewing.send(page, BATCH, ("action", "erase"))).status == 404
        for seen in ("x", "x:1:0", f"{desk.ids[0]}:1:", f"{desk.ids[0]}:一:0", f"{desk.ids[0]}:{'1' * 5000}:0"):
            assert (await reviewing.send(page, BATCH, ("action", "approve"), seen=seen)).status == 404

    async def test_decides_on_nothing_but_the_address_s_application(self, reviewing: Browser, desk: Desk) -> None:
        one, other = await desk.add(), await desk.add()
        page = await reviewing.get(f"{LIST}/{one}")
        decision = f"{page.path}/decision"
        assert (await reviewing.send(page, decision, ("action", "approve"), seen=f"{other}:1:0")).status == 404
        for serial in (other, one):
            assert (await desk.item(serial))["decisions"] == []
        # Capitals name the same application; a number beyond all revisions is explained.
        page = await reviewing.send(page, decision, ("action", "approve"), seen=f"{one.upper()}:{10**12}:0")
        assert page.status == 422
        page = await reviewing.send(page, decision, ("action", "approve"), seen=f"{one.upper()}:1:0")
        assert "审核决定已提交" in page.text
        assert len((await desk.reaches(one, "certified"))["decisions"]) == 1


class TestRoles:
    async def log_in(self, browser: Browser, platform: Harness, *roles: Any) -> Page:
        name = f"only-{'-'.join(roles)}"
        await platform.reviewer(name, roles)
        return await log_in_reviewer(browser, name, REVIEWER_PASSWORD)

    async def test_administrators_look_and_do_not_decide(self, browser: Browser, platform: Harness, desk: Desk) -> None:
        one = await desk.add()
        assert (await self.log_in(browser, platform, "admin")).path == LIST
        for page in (await find(browser, desk), await browser.get(f"{LIST}/{one}")):
            assert page.status == 200
            assert buttons(page) == set()
            assert '<th scope="col"></th>' not in page.html
            assert desk.enterprise in page.text
        token = dict((await browser.get(LIST)).form(BATCH).fields)["_token"]
        fields = [("_token", token), ("action", "approve"), ("seen", f"{one}:1:0"), ("ids", one)]
        assert (await browser.post(BATCH, fields)).status == 403
        assert (await browser.post(f"{LIST}/{one}/decision", fields)).status == 403
        assert (await desk.item(one))["decisions"] == []

    async def test_registrars_do_not_look(self, browser: Browser, platform: Harness, desk: Desk) -> None:
        one = await desk.add()
        assert (await self.log_in(browser, platform, "registrar")).path == "/registry/imports"
        for path in (LIST, f"{LIST}/{one}", f"{LIST}/{one}/status", f"{LIST}/{one}/images/id-front"):
            assert (await browser.get(path)).status == 403

    async def test_nobody_looks_without_login(self, new_browser: Callable[[], Awaitable[Browser]]) -> None:
        page = await (await new_browser()).get(LIST)
        assert page.path == "/review/login"


def test_a_seal_opens_for_its_own_account_only() -> None:
    sealed = seal("one", {"id_number": "360199198801010000"})
    assert "360199" not in sealed
    assert unseal("one", sealed) == {"id_number": "360199198801010000"}
    for key, text in (("two", sealed), ("one", sealed[:-4]), ("one", ""), ("one", "s.不是")):
        assert unseal(key, text) is None
