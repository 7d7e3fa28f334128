"""The review desk on the screen that offices have: what is decided with and looked at stays in sight."""

import pytest
from playwright.async_api import Locator, expect

from deploy.embedded.demo import REVIEWER, REVIEWER_PASSWORD
from deploy.journey import application_in, decide, desk_item, register_enterprise, submit_application
from deploy.journey import log_in_reviewer as reviewer_token
from tests.browser.conftest import MakeUser, Site
from tests.browser.steps import PASSWORD, log_in_reviewer
from tests.browser.user import DESK, User

FREE = "符合条件，未持证"
POST = "30"


async def waiting(site: Site, company: str, seeds: range) -> tuple[list[str], str, str]:
    """Ids of applications at the desk, newest last, and the tokens of their enterprise and of another reviewer."""
    _, token = await register_enterprise(site.api, company, PASSWORD)
    colleague = await reviewer_token(site.api, REVIEWER, REVIEWER_PASSWORD)
    made = []
    for seed in seeds:
        made.append((await submit_application(site.api, token, site.person(FREE)[0], POST, seed))["id"])
        await desk_item(site.api, colleague, made[-1], "pending_review", 1)
    return made, token, colleague


async def at_the_desk(someone: MakeUser, company: str) -> User:
    user = await someone()
    await user.go("/review/login")
    await log_in_reviewer(user)
    await user.fill(enterprise=company)
    await user.press("查询")
    return user


async def assert_in_sight(buttons: Locator) -> None:
    """All of them are within the window, without any scrolling."""
    for button in await buttons.all():
        box = await button.bounding_box()
        assert box
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= DESK["height"], await button.inner_text()


async def test_the_decision_s_buttons_stay_in_sight(site: Site, someone: MakeUser) -> None:
    company = "南昌视线建设有限公司"
    made, _, _ = await waiting(site, company, range(1200, 1203))
    user = await at_the_desk(someone, company)
    decision = user.page.locator(".toolbar--in-sight button")
    await user.page.locator("tbody a").first.click()
    await expect(decision).to_have_count(2)
    await assert_in_sight(decision)
    await decision.filter(has_text="通过").click()
    await expect(user.page.locator(".notice--done")).to_contain_text("已打开下一个申请")
    await expect(user.page.locator("h1")).to_be_visible()
    await assert_in_sight(decision)
    await user.look("desk-next")
    # What went wrong stands above them, and pushes them nowhere either.
    user.refused = {422}
    await decision.filter(has_text="驳回").click()
    await expect(user.page.locator("#error-summary")).to_contain_text("必须选择原因")
    await assert_in_sight(decision)
    user.refused = set()
    await desk_item(site.api, await reviewer_token(site.api, REVIEWER, REVIEWER_PASSWORD), made[-1], "certified", 1)
    await user.go(f"/review/items/{made[-1]}")
    await expect(user.page.locator(".dossier__side")).to_contain_text("随即作废")
    await assert_in_sight(decision)
    await user.look("desk-item-certified")


async def test_a_picture_opens_whole_and_comes_nearer_from_there(site: Site, someone: MakeUser) -> None:
    company = "南昌放大建设有限公司"
    await waiting(site, company, range(1210, 1211))
    user = await at_the_desk(someone, company)
    await user.page.locator("tbody a").first.click()
    link = user.page.locator(".images a").last
    await link.click()
    dialog = user.page.get_by_role("dialog")
    stage, picture = dialog.locator(".zoom__stage"), dialog.locator("img")
    await expect(picture).to_have_js_property("complete", True)

    async def box(part: Locator) -> tuple[float, float, float, float]:
        found = await part.bounding_box()
        assert found
        return found["x"], found["y"], found["x"] + found["width"], found["y"] + found["height"]

    async def is_whole() -> bool:
        left, top, right, bottom = await box(stage)
        inner = await box(picture)
        return inner[0] >= left and inner[1] >= top and inner[2] <= right and inner[3] <= bottom

    assert await is_whole()
    # As large as that allows: it touches two of the edges.
    outer, whole = await box(stage), await box(picture)
    assert whole[2] - whole[0] >= outer[2] - outer[0] - 2 or whole[3] - whole[1] >= outer[3] - outer[1] - 2
    await user.look("desk-zoom-whole")
    await user.press("放大 +")
    await user.press("放大 +")
    assert not await is_whole()
    # The wheel comes nearer to what is under it: that point of the picture stays where it is.
    x, y = outer[0] + 300, outer[1] + 200
    before = await box(picture)
    at = ((x - before[0]) / (before[2] - before[0]), (y - before[1]) / (before[3] - before[1]))
    await user.page.mouse.move(x, y)
    await user.page.mouse.wheel(0, -100)
    await expect(picture).not_to_have_js_property("width", round(before[2] - before[0]))
    after = await box(picture)
    now = (after[0] + at[0] * (after[2] - after[0]), after[1] + at[1] * (after[3] - after[1]))
    assert now == pytest.approx((x, y), abs=3)
    await user.press("看整张")
    assert await is_whole()
    for name in ("缩小 −", "看整张", "关闭"):
        await user.page.get_by_role("button", name=name).focus()
    for _ in range(6):
        await user.page.keyboard.press("Tab")
        assert await user.page.evaluate("document.activeElement.closest('[role=dialog]') !== null")
    await user.page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await expect(link).to_be_focused()


async def test_a_withdrawn_application_is_ticked_by_hand_only(site: Site, someone: MakeUser) -> None:
    company = "南昌撤回建设有限公司"
    (withdrawn, new), token, colleague = await waiting(site, company, range(1220, 1222))
    await decide(site.api, colleague, "approve", withdrawn, 1)
    await application_in(site.api, token, withdrawn, "certified")
    await desk_item(site.api, colleague, withdrawn, "certified", 1)
    await decide(site.api, colleague, "withdraw", withdrawn, 1, reason_code="approved_in_error")
    await desk_item(site.api, colleague, withdrawn, "pending_review", 1)
    user = await at_the_desk(someone, company)
    await expect(user.page.locator(f"#row-{withdrawn}")).to_contain_text("原审核已撤回")
    await user.page.get_by_label("全选本页").check()
    await expect(user.page.locator(f"#row-{new} input[type=checkbox]")).to_be_checked()
    await expect(user.page.locator(f"#row-{withdrawn} input[type=checkbox]")).not_to_be_checked()
    await expect(user.page.locator("[data-checked-count]")).to_have_text("1")
    await user.look("desk-withdrawn")
    await user.page.locator(f"#row-{withdrawn} input[type=checkbox]").check()
    await expect(user.page.locator("[data-checked-count]")).to_have_text("2")
    await user.press("证书审核")
    await expect(user.page.locator("#outcome")).to_contain_text("2 条已受理")
