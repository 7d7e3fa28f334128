"""What comes between people and their work: an expired session, a colleague who was faster, no mouse."""

from pathlib import Path

from playwright.async_api import expect

from deploy.embedded.demo import REVIEWER, REVIEWER_PASSWORD
from deploy.journey import decide, desk_item, register_enterprise, submit_application
from deploy.journey import log_in_reviewer as reviewer_token
from tests.browser.conftest import MakeUser, Site
from tests.browser.steps import PASSWORD, log_in_enterprise, log_in_reviewer
from tests.browser.user import User

FREE = "符合条件，未持证"
POST = "30"


async def test_typed_form_survives_an_expired_session(site: Site, someone: MakeUser) -> None:
    taxpayer, _ = await register_enterprise(site.api, "南昌过期建设有限公司", PASSWORD)
    user = await someone()
    await user.go("/enterprise/login")
    await log_in_enterprise(user, taxpayer)
    await user.press("添加", "link")
    id_number, name = site.person(FREE)
    await user.fill(id_number=id_number)
    elsewhere = await someone(like=user)
    await elsewhere.go("/applications")
    await elsewhere.press("退出")
    await expect(elsewhere.page.locator("main")).to_contain_text("您已安全退出")
    user.refused = {401}
    await user.press("检测")
    await expect(user.page.locator("#error-summary")).to_contain_text("您填写的内容已保留")
    await user.look("login-again")
    user.refused = set()
    await log_in_enterprise(user, taxpayer)
    await user.look("login-continue")
    await user.press("继续提交")
    await expect(user.page.get_by_role("heading", name="选择岗位")).to_be_visible()
    await expect(user.page.locator("main")).to_contain_text(name)


async def test_post_and_picture_survive_an_expired_session_without_script(
    site: Site, someone: MakeUser, papers: Path
) -> None:
    taxpayer, token = await register_enterprise(site.api, "南昌重选建设有限公司", PASSWORD)
    id_number, _ = site.person(FREE)
    body = {"id_number": id_number, "post": POST}
    application = await site.api.call("POST", "renewal", "/applications", token=token, json=body, expect=201)
    user = await someone(javascript=False)
    await user.go("/enterprise/login")
    await log_in_enterprise(user, taxpayer)
    await user.go(f"/applications/{application['id']}?notice=saved")
    elsewhere = await someone(like=user)
    await elsewhere.go("/applications")
    await elsewhere.press("退出")
    await expect(elsewhere.page.locator("main")).to_contain_text("您已安全退出")
    await user.page.locator("#post-40").check()
    await user.page.locator("#file-id-front").set_input_files(papers / "id-front.jpg")
    user.refused = {401}
    await user.press("保存")
    kept = "您填写的内容已保留（岗位）。文件不能保留，登录后请重新选择：身份证正面照片（id-front.jpg）"
    await expect(user.page.locator("#error-summary")).to_contain_text(kept)
    await user.look("login-files-again")
    user.refused = set()
    await log_in_enterprise(user, taxpayer)
    await expect(user.page.locator("main")).not_to_contain_text("已保存")
    await user.look("continue-files")
    await user.page.get_by_label("身份证正面照片").set_input_files(papers / "id-front.jpg")
    await user.press("继续提交")
    await expect(user.page.locator(".notice--done")).to_contain_text("已保存")
    await expect(user.page.locator("#post-40")).to_be_checked()
    await expect(user.page.locator("#slot-id-front")).to_contain_text("✓ 已上传")


async def test_batch_row_that_fails_stays_ticked_with_its_reason(site: Site, someone: MakeUser) -> None:
    company = "南昌批量建设有限公司"
    _, token = await register_enterprise(site.api, company, PASSWORD)
    colleague = await reviewer_token(site.api, REVIEWER, REVIEWER_PASSWORD)
    made = []
    for position in range(3):
        id_number, name = site.person(FREE)
        made.append((await submit_application(site.api, token, id_number, POST, 900 + position), name))
        await desk_item(site.api, colleague, made[-1][0]["id"], "pending_review", 1)
    user = await desk(someone)
    await user.fill(enterprise=company)
    await user.press("查询")
    rows = user.page.locator("tbody tr")
    await expect(rows).to_have_count(3)
    await user.page.get_by_label("全选本页").check()
    await expect(user.page.locator("[data-checked-count]")).to_have_text("3")
    taken = made[1]
    await decide(site.api, colleague, "reject", taken[0]["id"], 1, reason_code="letter_unsigned")
    await user.press("证书审核")
    await expect(user.page.locator("#outcome")).to_contain_text("2 条已受理，1 条未处理")
    ticked = user.page.locator("tbody input[type=checkbox]:checked")
    await expect(ticked).to_have_count(1)
    row = user.page.locator("tbody tr:has(input:checked)")
    await expect(row).to_contain_text(taken[1])
    await expect(row).to_contain_text("未处理：")
    await user.look("desk-refused")
    # Those that were taken in are numbered before one's eyes, and the row that was not is still ticked.
    await expect(user.page.locator("tbody .tag--certified")).to_have_count(2)
    await expect(ticked).to_have_count(1)


async def test_login_and_decision_without_a_mouse(site: Site, someone: MakeUser) -> None:
    company = "南昌键盘建设有限公司"
    _, token = await register_enterprise(site.api, company, PASSWORD)
    id_number, name = site.person(FREE)
    application = await submit_application(site.api, token, id_number, POST, 950)
    colleague = await reviewer_token(site.api, REVIEWER, REVIEWER_PASSWORD)
    await desk_item(site.api, colleague, application["id"], "pending_review", 1)
    user = await someone()
    keys = user.page.keyboard
    await user.go("/review/login")
    await keys.press("Tab")
    await expect(user.page.get_by_role("link", name="跳到正文")).to_be_focused()
    await keys.press("Enter")
    await expect(user.page.locator("#main")).to_be_focused()
    answer = await user.page.locator("[data-captcha-answer]").inner_text()
    for field, text in (("username", REVIEWER), ("password", REVIEWER_PASSWORD), ("captcha_answer", answer)):
        await keys.press("Tab")
        await expect(user.page.locator(f"#{field}")).to_be_focused()
        await keys.type(text)
    await keys.press("Enter")
    await expect(user.page.get_by_role("heading", name="安全员换证", level=1)).to_be_visible()
    await tab_to(user, "#enterprise")
    await keys.type(company)
    await keys.press("Enter")
    await expect(user.page.locator("tbody tr")).to_have_count(1)
    await tab_to(user, "tbody a")
    await keys.press("Enter")
    await expect(user.page.locator("h1")).to_contain_text(name)
    await tab_to(user, "#reason_code")
    await keys.press("ArrowDown")
    await keys.press("Tab")
    await keys.type("请本人签字")
    await press_access_key(user, "b")
    await expect(user.page.locator(".notice--done")).to_contain_text("审核决定已提交")
    await user.go(f"/review/items/{application['id']}")
    await expect(user.page.locator(".tag--rejected").first).to_be_visible()
    await press_access_key(user, "l")
    await user.page.wait_for_url("**/review/items*")


async def tab_to(user: User, selector: str) -> None:
    """Press Tab until that has the focus; AssertionError if it never gets it."""
    for _ in range(60):
        await user.page.keyboard.press("Tab")
        if await user.page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"Tab does not reach {selector}")


async def press_access_key(user: User, letter: str) -> None:
    """Alt and that letter, as a keyboard sends it; Playwright's own Alt leaves out the text that access keys go by."""
    protocol = await user.context.new_cdp_session(user.page)
    key = {"key": letter, "text": letter, "unmodifiedText": letter, "windowsVirtualKeyCode": ord(letter.upper())}
    await protocol.send("Input.dispatchKeyEvent", {"type": "keyDown", "modifiers": 1, **key})


async def desk(someone: MakeUser) -> User:
    user = await someone()
    await user.go("/review/login")
    await log_in_reviewer(user)
    return user
