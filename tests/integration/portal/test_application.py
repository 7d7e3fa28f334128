"""One application from its draft to its end, without script, and the parts that the script asks for."""

import asyncio
from pathlib import Path

import pytest

from deploy.journey import application_in
from deploy.synthetic import png
from tests.integration.portal.applying import (
    FRAGMENT,
    KINDS,
    SAVE,
    SUBMIT,
    check,
    decided,
    draft,
    identity,
    person,
    picture,
    pictures,
    slot,
    submit,
    submitted,
    upload,
)
from tests.integration.portal.browser import Browser, Page
from tests.support.platform import Harness

HEIC = Path("tests/cases/img-08-heic-renamed.jpg").read_bytes()


async def send_at_once(browser: Browser, page: Page, kind: str, files: dict[str, tuple[str, bytes, str]]) -> Page:
    """As the script does with a chosen picture."""
    token = [field for field in page.forms[0].fields if field[0] == "_token"]
    return await browser.post(f"{page.path}/images/{kind}", token, files, FRAGMENT)


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
        page = await submit(browser, page)
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
        page = await browser.send(page, page.path, SAVE, post="30")
        assert "已保存" in page.text
        assert ("post", "30") in page.form(page.path).fields

    async def test_takes_everything_at_once(self, browser: Browser, platform: Harness) -> None:
        page = await draft(browser, platform)
        page = await browser.send(page, page.path, SUBMIT, files=pictures(*KINDS), post="30")
        assert page.status == 200
        assert "等待省级管理部门审核" in page.text
        assert "土建质量员" not in page.text
        assert page.html.count("<figure>") == 3
        assert "本企业：修改岗位" in page.text

    async def test_keeps_what_succeeds_beside_what_does_not(self, browser: Browser, platform: Harness) -> None:
        page = await draft(browser, platform)
        files = {**pictures("id-front", "commitment-letter"), "id-back": ("照片.jpg", b"x" * 100, "image/jpeg")}
        page = await browser.send(page, page.path, SUBMIT, files=files, post="30")
        assert page.status == 415
        assert "以下内容没有保存，其余内容已保存" in page.text
        assert "只支持 JPG 或 PNG" in slot(page, "id-back")
        assert all("已上传" in slot(page, kind) for kind in ("id-front", "commitment-letter"))
        page = await submit(browser, await upload(browser, await browser.get(page.path), "id-back"))
        assert "待审核" in page.text
        assert "本企业：修改岗位" in page.text

    async def test_keeps_the_post_that_was_chosen(self, browser: Browser, platform: Harness) -> None:
        page = await draft(browser, platform)
        page = await submit(browser, page, post="30")
        assert page.status == 409
        assert ("post", "30") in page.form(page.path).fields
        page = await submit(browser, page, post="99")
        assert page.status == 422
        assert "岗位：没有这个岗位" in page.text
        assert ("post", "30") in (await browser.get(page.path)).form(page.path).fields

    async def test_offers_the_posts_that_are_possible_now(self, browser: Browser, platform: Harness) -> None:
        number = await person(platform)
        chosen = await check(browser, number)
        pages = [await browser.send(chosen, "/applications", post=post) for post in ("10", "20", "30")]
        assert "不能选择" not in (await browser.get(pages[0].path)).text
        await submit(browser, await upload(browser, pages[0], *KINDS))
        page = await browser.get(pages[1].path)
        assert "按目前情况，土建质量员不能提交" in page.text
        assert 'value="20" checked disabled' in page.html
        assert "换证申请正在办理" in page.html[page.html.index('id="post-10-why"') :].split("</p>")[0]
        assert "可申请其他岗位" in page.text
        page = await upload(browser, page, "id-front", seed=3)
        assert "已上传" in slot(page, "id-front")
        assert "按目前情况" not in (await browser.get(pages[2].path)).text

    async def test_says_which_picture_is_too_large_for_the_platform(self, browser: Browser, platform: Harness) -> None:
        page = await draft(browser, platform)
        files = {**pictures("id-front"), "id-back": ("照片.jpg", b"\xff\xd8\xff" + bytes(10 * 2**20), "image/jpeg")}
        page = await browser.send(page, page.path, SAVE, files=files)
        assert page.status == 413
        assert "照片不能超过 5 MB，请压缩后重新上传" in slot(page, "id-back")
        assert "已上传" in slot(page, "id-front")
        files = {kind: ("照片.jpg", bytes(8 * 2**20), "image/jpeg") for kind in KINDS}
        failed = await browser.send(page, page.path, SAVE, files=files, headers={"Referer": str(page.response.url)})
        assert failed.status == 413
        assert "每张不能超过 5 MB" in failed.text
        assert f'<a href="{page.path}">' in failed.html

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
        file = ("照片.jpg", content, "image/jpeg")
        if scripted:
            answer = await send_at_once(browser, page, "id-back", {"file": file})
        else:
            answer = await browser.send(page, page.path, SAVE, files={"id-back": file})
        assert answer.status == status
        assert words in slot(answer, "id-back")
        assert ("<html" in answer.html) is not scripted

    async def test_asks_for_a_file(self, browser: Browser, platform: Harness) -> None:
        page = await draft(browser, platform)
        answer = await send_at_once(browser, page, "id-back", {"file": ("", b"", "")})
        assert answer.status == 422
        assert "请选择照片" in answer.text

    async def test_answers_the_script_with_the_slot_and_what_is_missing(
        self, browser: Browser, platform: Harness
    ) -> None:
        page = await draft(browser, platform)
        answer = await send_at_once(browser, page, "id-front", picture(1))
        assert answer.status == 200
        assert "<html" not in answer.html
        assert answer.html.count("data-upload-slot") == 1
        assert '<p class="upload-slot__state" role="status">✓ 已上传' in answer.html
        assert '<p class="upload-slot__state">✓ 已上传' in (await browser.get(page.path)).html
        assert "已上传" in answer.text
        assert "提交前还需上传： 身份证反面照片 、 承诺书照片" in answer.text

    async def test_knows_the_same_picture(self, browser: Browser, platform: Harness) -> None:
        page = await upload(browser, await draft(browser, platform), "id-front", "commitment-letter")
        answer = await send_at_once(browser, page, "id-back", picture(0))
        assert answer.status == 200
        assert "身份证正面照片 、 身份证反面照片 是同一张图片，提交前请重新上传选错的一张" in answer.text
        refused = await submit(browser, await browser.get(page.path))
        assert refused.status == 409
        assert "是同一张图片，请更换选错的照片后再提交" in refused.text
        assert all("与另一处是同一张图片" in slot(refused, kind) for kind in ("id-front", "id-back"))
        page = await submit(browser, await upload(browser, refused, "id-back"))
        assert "等待省级管理部门审核" in page.text

    async def test_puts_front_and_back_right_that_were_in_each_other_s_place(
        self, browser: Browser, platform: Harness
    ) -> None:
        page = await upload(browser, await draft(browser, platform), *KINDS)
        before = [await browser.get(f"{page.path}/images/{kind}") for kind in ("id-front", "id-back")]
        swapped = await browser.send(page, page.path, ("action", "swap"), post="30")
        assert "身份证正面与反面照片已交换位置" in swapped.text
        assert ("post", "30") in swapped.form(page.path).fields
        after = [await browser.get(f"{page.path}/images/{kind}") for kind in ("id-back", "id-front")]
        assert [each.response.content for each in after] == [each.response.content for each in before]
        # The same button pressed twice in a hurry is one exchange.
        again = await browser.send(page, page.path, ("action", "swap"), post="30")
        assert again.status == 200
        assert (await browser.get(f"{page.path}/images/id-back")).response.content == before[0].response.content
        assert "待审核" in (await submit(browser, again)).text

    async def test_has_nothing_to_swap_before_a_picture_is_there(self, browser: Browser, platform: Harness) -> None:
        page = await draft(browser, platform)
        refused = await browser.send(page, page.path, ("action", "swap"))
        assert refused.status == 404
        assert "请先上传身份证照片，再交换正反面" in refused.text

    @pytest.mark.parametrize("scripted", [False, True])
    async def test_names_a_file_that_only_is_called_a_photo(
        self, browser: Browser, platform: Harness, scripted: bool
    ) -> None:
        page = await draft(browser, platform)
        file = ("照片.jpg", HEIC, "image/jpeg")
        if scripted:
            answer = await send_at_once(browser, page, "id-front", {"file": file})
        else:
            answer = await browser.send(page, page.path, SAVE, files={"id-front": file})
        assert answer.status == 415
        words = slot(answer, "id-front")
        assert "HEIC（HEIF）格式的照片" in words
        assert "iPhone 请在“设置”→“相机”→“格式”中选择“兼容性最佳”" in words

    async def test_lists_what_is_missing_at_submission(self, browser: Browser, platform: Harness) -> None:
        page = await upload(browser, await draft(browser, platform), "id-front")
        page = await submit(browser, page)
        assert page.status == 409
        assert "请先上传：身份证反面照片、承诺书照片" in page.text
        assert "还没有上传" in slot(page, "id-back")
        assert page.form(f"/applications/{identity(page)}")

    async def test_tells_why_a_person_is_not_eligible_at_submission(self, browser: Browser, platform: Harness) -> None:
        number = await person(platform)
        chosen = await check(browser, number)
        pages = [await browser.send(chosen, "/applications", post=post) for post in ("10", "20")]
        pages = [await upload(browser, page, *KINDS) for page in pages]
        assert (await submit(browser, pages[0])).status == 200
        page = await submit(browser, pages[1])
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
            page = await browser.send(page, page.path, SAVE, post="30")
        elif mend:
            page = await upload(browser, page, mend, seed=9)
        assert "还没有修改" not in page.text
        assert "材料已齐全，可以重新提交" in page.text
        page = await submit(browser, page)
        assert "待审核" in page.text
        assert "本企业：再次提交审核" in page.text
        assert "省级管理部门：审核驳回" in page.text

    @pytest.mark.parametrize("reason", ["letter_unsigned", "post_mismatch"])
    async def test_asks_before_the_same_is_submitted_again(
        self, browser: Browser, platform: Harness, token: str, reason: str
    ) -> None:
        page = await submitted(browser, platform)
        await decided(platform, page, 1, "reject", reason_code=reason)
        await application_in(platform.api, token, identity(page), "rejected")
        page = await submit(browser, await browser.get(page.path))
        assert page.status == 200
        assert "内容已保存，还没有提交" in page.text
        assert ("action", "resubmit") in page.form(page.path).buttons
        page = await browser.send(page, page.path, ("action", "resubmit"))
        assert "本企业：再次提交审核" in page.text

    async def test_a_double_click_submits_once(self, browser: Browser, platform: Harness) -> None:
        page = await draft(browser, platform)
        files = pictures(*KINDS)
        both = await asyncio.gather(*(browser.send(page, page.path, SUBMIT, files=files) for _ in range(2)))
        assert [each.status for each in both] == [200, 200]
        assert (await browser.get(page.path)).text.count("本企业：提交审核") == 1

    async def test_a_page_of_yesterday_shows_today(self, browser: Browser, platform: Harness) -> None:
        old = await upload(browser, await draft(browser, platform), *KINDS)
        await submit(browser, old)
        again = await browser.get(old.path)
        page = await browser.send(old, old.path, SAVE, post="30")
        assert page.status == 409
        assert "下面已是最新内容" in page.text
        assert "待审核" in page.text
        page = await send_at_once(browser, old, "id-front", picture(5))
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
