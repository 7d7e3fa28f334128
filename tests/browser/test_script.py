"""What the script does when the network, the server or the person in front is not as it hopes."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from PIL import ExifTags, Image
from playwright.async_api import Route, expect

from deploy.embedded.demo import REVIEWER, REVIEWER_PASSWORD
from deploy.journey import desk_item, register_enterprise, submit_application
from deploy.journey import log_in_reviewer as reviewer_token
from deploy.synthetic import picture
from tests.browser.conftest import MakeUser, Site
from tests.browser.steps import PASSWORD, log_in_enterprise, log_in_reviewer, upload
from tests.browser.user import User
from tests.support.wait import until

FREE = "符合条件，未持证"
WHOLE_PAGE = "\n<!doctype html><title>t</title><h1>系统错误</h1>"
Answer = Callable[[Route], Awaitable[None]]


def answering(status: int, body: str, kind: str = "text/html") -> Answer:
    return lambda route: route.fulfill(status=status, body=body, content_type=kind)


async def enterprise(site: Site, someone: MakeUser, name: str) -> tuple[User, str]:
    """Logged in in a browser, with an access token."""
    taxpayer, token = await register_enterprise(site.api, name, PASSWORD)
    user = await someone()
    await user.go("/enterprise/login")
    await log_in_enterprise(user, taxpayer)
    await expect(user.page.get_by_role("heading", level=1)).to_have_text("安全员换证")
    return user, token


async def draft(site: Site, someone: MakeUser, name: str) -> User:
    """At an application without pictures."""
    user, token = await enterprise(site, someone, name)
    body = {"id_number": site.person(FREE)[0], "post": "30"}
    made = await site.api.call("POST", "renewal", "/applications", token=token, json=body, expect=201)
    await user.go(f"/applications/{made['id']}")
    return user


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (answering(500, "<h1>系统错误</h1>"), "系统暂时无法处理"),
        (answering(200, WHOLE_PAGE), "系统暂时无法处理"),
        (answering(413, "too large", "text/plain"), "内容过大，系统没有接收"),
        (
            answering(403, '{"detail": "请先修改初始密码", "login": "/password"}', "application/json"),
            "请先修改初始密码",
        ),
    ],
    ids=["failure", "page", "text", "json"],
)
async def test_import_shows_no_page_in_the_page(someone: MakeUser, tmp_path: Path, answer: Answer, said: str) -> None:
    user = await someone()
    await user.go("/review/login")
    await log_in_reviewer(user)
    await expect(user.page.get_by_role("heading", level=1)).to_have_text("安全员换证")
    await user.go("/registry/imports")
    (tmp_path / "people.csv").write_text("a,b\n")
    await user.page.locator("#file").set_input_files(tmp_path / "people.csv")
    await user.page.route("**/registry/imports", answer)
    user.refused = {403, 413, 500}
    await user.press("检查")
    report = user.page.locator("#report")
    await expect(report.locator(".notice--wrong")).to_contain_text(said)
    await expect(report.locator("h1")).to_have_count(0)
    await expect(report.get_by_role("link", name="修改密码")).to_have_count(int("密码" in said))
    await expect(user.page.get_by_role("button", name="检查")).to_be_enabled()


async def test_captcha_that_cannot_be_renewed_says_so(someone: MakeUser) -> None:
    user = await someone()
    await user.go("/review/login")
    picture, alert = user.page.locator(".captcha img"), user.page.locator(".captcha [role=alert]")
    before = await picture.get_attribute("src")
    user.refused = {429, 503}
    for answer, said in (
        (answering(429, '{"detail": "操作过于频繁"}', "application/json"), "操作过于频繁"),
        (answering(503, WHOLE_PAGE), "系统暂时无法处理"),
        (lambda route: route.abort("aborted"), "网络连接中断"),
    ):
        await user.page.route("**/review/captcha", answer)
        await user.press("看不清，换一张")
        await expect(alert).to_contain_text(said)
        await user.page.unroute("**/review/captcha")
    await user.look("captcha-failed")
    assert await picture.get_attribute("src") == before
    await user.press("看不清，换一张")
    await expect(alert).to_have_count(0)
    await expect(user.page.locator("[data-captcha]")).to_be_focused()


async def test_live_page_says_when_the_session_has_ended(site: Site, someone: MakeUser) -> None:
    user, token = await enterprise(site, someone, "南昌离开建设有限公司")
    application = await submit_application(site.api, token, site.person(FREE)[0], "30", 970)
    colleague = await reviewer_token(site.api, REVIEWER, REVIEWER_PASSWORD)
    await desk_item(site.api, colleague, application["id"], "pending_review", 1)
    await user.go("/applications")
    elsewhere = await someone(like=user)
    await elsewhere.go("/applications")
    await elsewhere.press("退出")
    await expect(elsewhere.page.locator("main")).to_contain_text("您已安全退出")
    user.refused = {401}
    ended = user.page.locator("[data-ended]")
    await expect(ended).to_contain_text("登录已过期")
    await expect(user.page.locator("tbody tr")).to_have_count(1)
    await user.look("live-ended")
    await ended.get_by_role("link", name="重新登录").click()
    await expect(user.page.locator("input[name=target]")).to_have_value("/applications")


async def test_uploads_follow_each_other_and_keep_the_focus(site: Site, someone: MakeUser, papers: Path) -> None:
    user = await draft(site, someone, "南昌连续建设有限公司")
    asked: list[str] = []
    go_on = asyncio.Event()

    async def hold(route: Route) -> None:
        asked.append(route.request.method)
        await go_on.wait()
        await route.continue_()

    await user.page.route("**/images/*", hold)
    for kind in ("id-front", "id-back", "commitment-letter"):
        await user.page.locator(f"#file-{kind}").set_input_files(papers / f"{kind}.jpg")
        await expect(user.page.locator(f"#slot-{kind} progress")).to_be_visible()
    await user.page.locator("#file-commitment-letter").focus()
    assert asked == ["POST"]
    go_on.set()
    await expect(user.page.locator("#missing")).to_contain_text("三张照片已齐全")
    letter = user.page.locator("#slot-commitment-letter")
    await expect(letter.get_by_role("status")).to_contain_text("已上传")
    await expect(letter.locator("input[type=file]")).to_be_focused()
    # Those before were not in focus when their answers came, and took it from nobody.
    await expect(user.page.locator("#slot-id-front").get_by_role("status")).to_contain_text("已上传")


async def test_form_sent_during_an_upload_goes_after_it(site: Site, someone: MakeUser, papers: Path) -> None:
    user = await draft(site, someone, "南昌等待建设有限公司")
    go_on = asyncio.Event()

    async def hold(route: Route) -> None:
        await go_on.wait()
        await route.continue_()

    await user.page.route("**/images/*", hold)
    # The later of two for one slot is what counts: with the other one the submission would be refused below.
    for kind, paper in (
        ("id-front", "id-back"),
        ("id-front", "id-front"),
        ("commitment-letter", "commitment-letter"),
    ):
        await user.page.locator(f"#file-{kind}").set_input_files(papers / f"{paper}.jpg")
    await user.page.locator("#file-id-back").set_input_files(Path("tests/cases/img-08-heic-renamed.jpg"))
    await user.press("提交审核")
    waiting = user.page.get_by_text("完成后自动继续")
    await expect(waiting).to_be_visible()
    async with user.page.expect_event("dialog") as asked:
        user.page.once("dialog", lambda dialog: asyncio.ensure_future(dialog.dismiss()))
        await user.page.get_by_role("link", name="返回申请列表").click(no_wait_after=True)
    assert (await asked.value).type == "beforeunload"
    user.refused = {415}
    go_on.set()
    back = user.page.locator("#slot-id-back")
    await expect(back).to_contain_text("HEIC")
    await expect(back).to_contain_text("兼容性最佳")
    # Nothing was submitted with it.
    await expect(waiting).to_have_count(0)
    await expect(back.locator("input[type=file]")).to_be_focused()
    await expect(user.page.locator("#missing")).to_contain_text("还需上传：身份证反面照片")
    go_on.clear()
    await back.locator("input[type=file]").set_input_files(papers / "id-back.jpg")
    await user.press("提交审核")
    await expect(waiting).to_be_visible()
    go_on.set()
    await expect(user.page.locator("main")).to_contain_text("等待省级管理部门审核")


async def test_form_pressed_twice_is_sent_once(site: Site, someone: MakeUser) -> None:
    user, _ = await enterprise(site, someone, "南昌双击建设有限公司")
    sent: list[str] = []
    go_on = asyncio.Event()

    async def hold(route: Route) -> None:
        sent.append(route.request.method)
        await go_on.wait()
        await route.continue_()

    await user.go("/applications/new")
    await user.page.route("**/applications/checks", hold)
    await user.fill(id_number="360199199001010000")
    button = user.page.get_by_role("button", name="检测")
    # The mouse itself, because a button's click waits for the page that the first one asks for.
    box = await button.bounding_box()
    assert box
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    await user.page.mouse.click(*middle)
    await until(lambda: sent, what="the first press")
    await user.page.mouse.click(*middle)
    user.refused = {422}
    go_on.set()
    await expect(user.page.locator("#error-summary")).to_be_visible()
    assert sent == ["POST"]
    # What was corrected is another form.
    await user.fill(id_number="360199199001010001")
    await button.click()
    await expect(user.page.locator("#error-summary")).to_be_visible()
    assert sent == ["POST", "POST"]


async def test_front_and_back_change_places(site: Site, someone: MakeUser, papers: Path) -> None:
    user = await draft(site, someone, "南昌放反建设有限公司")
    for kind, paper in (("id-front", "id-back"), ("id-back", "id-back"), ("commitment-letter", "commitment-letter")):
        await upload(user, kind, papers / f"{paper}.jpg")
    await expect(user.page.locator("#missing")).to_contain_text("是同一张图片，提交前请重新上传选错的一张")
    await upload(user, "id-back", papers / "id-front.jpg")
    await expect(user.page.locator("#missing")).to_contain_text("三张照片已齐全")
    sources = [await user.page.locator(f"#slot-{kind} img").get_attribute("src") for kind in ("id-front", "id-back")]
    await user.press("交换正反面")
    await expect(user.page.locator("main")).to_contain_text("身份证正面与反面照片已交换位置")
    swapped = [await user.page.locator(f"#slot-{kind} img").get_attribute("src") for kind in ("id-back", "id-front")]
    assert [str(each).partition("?")[2] for each in swapped] == [str(each).partition("?")[2] for each in sources]


BOTH = pytest.mark.parametrize(
    "chosen_browser", ["browser", "old_browser"], ids=["of today", "Chromium 80"], indirect=True
)


@BOTH
async def test_a_refused_import_is_no_broken_connection(someone: MakeUser, tmp_path: Path) -> None:
    user = await someone()
    await user.go("/review/login")
    await log_in_reviewer(user)
    await expect(user.page.get_by_role("heading", level=1)).to_have_text("安全员换证")
    await user.go("/registry/imports")
    report, table = user.page.locator("#report"), tmp_path / "people.csv"
    user.refused = {413, 422}
    for content, answer, said in (
        (b"not a table", None, "表头"),
        (b"a,b\n" * 6_000_000, None, "表格不能超过 20 MB"),
        (b"a,b\n", answering(413, "too large", "text/plain"), "内容过大，系统没有接收"),
        (b"a,b\n", lambda route: route.abort("aborted"), "连接中断"),
    ):
        table.write_bytes(content)
        await user.page.locator("#file").set_input_files(table)
        if answer:
            await user.page.route("**/registry/imports", answer)
        await user.press("检查")
        await expect(report).to_contain_text(said)
        assert said == "连接中断" or "连接中断" not in await report.inner_text()
        await expect(user.page.get_by_role("button", name="检查")).to_be_enabled()
        if answer:
            await user.page.unroute("**/registry/imports")


@BOTH
async def test_an_upload_that_fails_says_so(site: Site, someone: MakeUser, papers: Path, tmp_path: Path) -> None:
    user = await draft(site, someone, "南昌失败建设有限公司")
    slot, large = user.page.locator("#slot-id-front"), tmp_path / "large.jpg"
    large.write_bytes(bytes(6 * 1024 * 1024))
    user.refused = {413, 500}
    for paper, answer, said in (
        (large, None, "照片不能超过 5 MB"),
        (papers / "id-front.jpg", answering(413, "too large", "text/plain"), "照片不能超过 5 MB"),
        (papers / "id-front.jpg", answering(500, WHOLE_PAGE), "请刷新页面后重试"),
        (papers / "id-back.jpg", lambda route: route.abort("aborted"), "请检查网络"),
    ):
        if answer:
            await user.page.route("**/images/*", answer)
        await user.page.locator("#file-id-front").set_input_files(paper)
        await expect(slot.get_by_role("alert")).to_contain_text(said)
        await expect(slot.locator("progress")).to_have_count(0)
        if answer:
            await user.page.unroute("**/images/*")
    await slot.get_by_role("button", name="重试").click()
    await expect(slot).to_contain_text("已上传")


async def test_an_upload_in_which_nothing_moves_ends(site: Site, someone: MakeUser, papers: Path) -> None:
    user = await draft(site, someone, "南昌停滞建设有限公司")
    go_on, held = asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        held.set()
        await go_on.wait()

    await user.page.clock.install()
    await user.page.route("**/images/*", hold)
    await user.page.reload()
    await user.page.locator("#file-id-front").set_input_files(papers / "id-front.jpg")
    slot = user.page.locator("#slot-id-front")
    await expect(slot.locator("progress")).to_be_visible()
    await held.wait()
    await user.page.clock.fast_forward(61_000)
    await expect(slot.get_by_role("alert")).to_contain_text("上传失败，请检查网络")
    go_on.set()


@pytest.mark.parametrize("chosen_browser", ["browser", "old_browser"], ids=["of today", "Chromium 80"], indirect=True)
async def test_a_picture_held_on_its_side_stands_upright(site: Site, someone: MakeUser, tmp_path: Path) -> None:
    """Chromium 80 does not turn a picture by what it says of itself."""
    user = await draft(site, someone, "南昌竖拍建设有限公司")
    held = Image.Exif()
    held[ExifTags.Base.Orientation] = 6
    picture(640, 400, 77).save(tmp_path / "held.jpg", exif=held)
    await upload(user, "id-front", tmp_path / "held.jpg")
    shown = user.page.locator("#slot-id-front img")
    await expect(shown).to_have_attribute("width", "400")
    await expect(shown).to_have_js_property("naturalWidth", 400)
    await expect(shown).to_have_js_property("naturalHeight", 640)
    await user.look("held-on-its-side")
