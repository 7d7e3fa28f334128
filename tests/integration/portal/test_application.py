"""One application from its draft to its end, without script, and the parts that the script asks for."""

import asyncio

import pytest

from deploy.journey import application_in
from deploy.synthetic import png
from tests.fixtures.platform import Harness
from tests.integration.portal.applying import (
    FRAGMENT,
    KINDS,
    check,
    decided,
    draft,
    identity,
    person,
    picture,
    submitted,
    upload,
)
from tests.integration.portal.browser import Browser


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
            (b"\xff\xd8\xff" + bytes(5 * 1024 * 1024), 413, "照片不能超过 5 MB，请压缩后重新上传"),
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
        assert '<p class="upload-slot__state" role="status">✓ 已上传' in answer.html
        assert '<p class="upload-slot__state">✓ 已上传' in (await browser.get(page.path)).html
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
