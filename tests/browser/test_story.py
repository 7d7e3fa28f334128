"""An enterprise and a reviewer from registration to a withdrawn certificate, with script and without."""

import re
import secrets
from pathlib import Path

import pytest
from playwright.async_api import expect

from deploy.synthetic import jpeg, taxpayer_id
from tests.browser.conftest import MakeUser, Site
from tests.browser.steps import (
    INITIAL_PASSWORD,
    PASSWORD,
    choose,
    log_in_enterprise,
    log_in_reviewer,
    upload,
    upload_slowly,
)
from tests.browser.user import User

FREE, THREE_HELD = "符合条件，未持证", "持有三本证书（规则A）"
COMPANY = "南昌一零企业"
POST = "土建施工员"
COMMENT = "公章不清晰，请重新盖章后拍照"


@pytest.mark.parametrize("chosen_browser", ["browser", "old_browser"], ids=["of today", "Chromium 80"], indirect=True)
@pytest.mark.parametrize("javascript", [True, False], ids=["with script", "without script"])
async def test_from_registration_to_a_withdrawn_certificate(
    site: Site, someone: MakeUser, papers: Path, tmp_path: Path, javascript: bool
) -> None:
    enterprise = await someone(javascript=javascript)
    reviewer = await someone(javascript=javascript)
    visitor = await someone(javascript=javascript)
    await register(enterprise)
    name = await apply(enterprise, site, papers, tmp_path)
    await log_in_to_the_desk(reviewer)
    await reject(reviewer, name)
    await correct(enterprise, papers)
    await approve(reviewer, name)
    number = await numbered(enterprise, reviewer)
    await verify(enterprise, visitor, number)
    await withdraw(reviewer, enterprise, visitor, number)


async def register(user: User) -> None:
    await user.go("/")
    await user.look("front")
    await user.press("注册企业账号", "link")
    await user.look("registration")
    user.refused = {409, 422}
    await user.press("注册")
    await expect(user.page.locator("#error-summary")).to_contain_text("纳税人识别号")
    await user.look("registration-wrong")
    taxpayer = taxpayer_id(secrets.randbelow(10_000_000))
    await user.fill(taxpayer_id=taxpayer, name=COMPANY, contact_name="联系人", contact_phone="0791-88888888")
    await user.press("注册")
    await expect(user.page.locator("main")).to_contain_text(taxpayer)
    await user.look("registered")
    await user.press("去登录", "link")
    await user.look("enterprise-login")
    await log_in_enterprise(user, taxpayer, INITIAL_PASSWORD)
    await expect(user.page.locator("main")).to_contain_text("修改后才能使用其他功能")
    await user.look("password-initial")
    await user.fill(old_password=INITIAL_PASSWORD, new_password=PASSWORD, repeated_password=PASSWORD)
    await user.press("保存")
    await expect(user.page.get_by_role("heading", name="还没有换证申请")).to_be_visible()
    await user.look("applications-none")


async def apply(user: User, site: Site, papers: Path, directory: Path) -> str:
    """Returns the person's name."""
    await user.press("添加", "link")
    await user.look("applications-new")
    await user.fill(id_number=site.person(THREE_HELD)[0])
    await user.press("检测")
    await expect(user.page.get_by_role("heading", name="不符合换证条件")).to_be_visible()
    await user.look("check-refused")
    await user.press("换一个身份证号", "link")
    id_number, name = site.person(FREE)
    await user.fill(id_number=id_number)
    await user.press("检测")
    await expect(user.page.locator("main")).to_contain_text(name)
    await user.look("check-passed")
    await user.page.get_by_label(POST, exact=True).check()
    await user.press("下一步：上传照片")
    await expect(user.page.locator("#missing")).to_contain_text("承诺书照片")
    await user.look("draft")
    async with user.page.expect_download() as letter:
        await user.press("下载承诺书", "link")
    assert (await letter.value).suggested_filename.endswith(".docx")
    await upload_pictures(user, papers, directory)
    await expect(user.page.locator("#missing")).to_contain_text("三张照片已齐全")
    await user.look("draft-complete")
    await user.press("提交审核")
    await expect(user.page.locator("main")).to_contain_text("等待省级管理部门审核")
    await user.look("application-pending")
    return name


async def upload_pictures(user: User, papers: Path, directory: Path) -> None:
    wrong, large = directory / "wrong.jpg", directory / "large.jpg"
    wrong.write_text("no picture")
    large.write_bytes(jpeg() + bytes(5 * 1024 * 1024))
    slot = user.page.locator("#slot-id-front")
    user.refused |= {413, 415}
    await choose(user, "id-front", wrong)
    await expect(slot.locator(".field__error")).to_contain_text("只支持")
    await user.look("upload-wrong")
    await choose(user, "id-front", large)
    await expect(slot.locator(".field__error")).to_contain_text("照片不能超过 5 MB，请压缩后重新上传")
    await (upload_slowly if user.scripted else upload)(user, "id-front", papers / "id-front.jpg")
    await upload(user, "id-back", papers / "id-back.jpg")
    await upload(user, "commitment-letter", papers / "commitment-letter.jpg")
    user.refused = set()


async def log_in_to_the_desk(user: User) -> None:
    await user.go("/review/login")
    await user.look("review-login")
    picture = user.page.locator(".captcha img")
    before = await picture.get_attribute("src")
    assert before
    await user.press("看不清，换一张")
    await expect(picture).not_to_have_attribute("src", before)
    await log_in_reviewer(user)
    await expect(user.page.get_by_role("heading", name="安全员换证", level=1)).to_be_visible()


async def search(user: User, name: str) -> None:
    await user.fill(name=name)
    await user.press("查询")
    await expect(user.page.locator("tbody tr")).to_have_count(1)


async def reject(user: User, name: str) -> None:
    await user.page.locator("#status").select_option(label="待审核")
    await search(user, name)
    await user.look("desk")
    await user.press(name, "link")
    await expect(user.page.locator(".images img")).to_have_count(3)
    await user.look("desk-item")
    if user.scripted:
        await user.page.locator(".images a").first.click()
        await expect(user.page.get_by_role("dialog")).to_be_visible()
        await user.press("放大 +")
        await user.look("desk-zoom")
        await user.page.keyboard.press("Escape")
        await expect(user.page.get_by_role("dialog")).to_have_count(0)
    reason = await user.page.locator("#reason_code option").filter(has_text="换证公章").inner_text()
    await user.page.locator("#reason_code").select_option(label=reason)
    await user.fill(comment=COMMENT)
    await user.page.get_by_label("处理后打开下一个").uncheck()
    await user.look("desk-reject")
    await user.page.get_by_role("button", name="驳回").click()
    await expect(user.page.locator(".notice--done")).to_contain_text("审核决定已提交")
    await user.follow(user.page.locator(".tag--rejected").first)


async def correct(user: User, papers: Path) -> None:
    await user.follow(user.page.get_by_text(COMMENT).first)
    await user.look("application-rejected")
    if user.scripted:
        await user.press("去修改", "link")
    await expect(user.page.locator("#missing")).to_contain_text("还没有修改")
    await user.look("correction")
    await user.press("重新提交")
    await expect(user.page.locator("#error-summary")).to_contain_text("还没有修改")
    await expect(user.page.get_by_role("button", name="仍然重新提交")).to_be_visible()
    await user.look("correction-missing")
    await user.go(user.path)
    await upload(user, "commitment-letter", papers / "commitment-letter-again.jpg")
    await expect(user.page.locator("#missing")).to_contain_text("材料已齐全")
    await user.look("correction-complete")
    await user.press("重新提交")
    await expect(user.page.locator("main")).to_contain_text("等待省级管理部门审核")


async def approve(user: User, name: str) -> None:
    await user.page.get_by_role("link", name="返回列表").first.click()
    await search(user, name)
    await user.press(name, "link")
    await expect(user.page.locator(".changed__mark").first).to_contain_text("本次已更换")
    await user.look("desk-resubmitted")
    await user.page.get_by_role("link", name="返回列表").first.click()
    await user.page.get_by_label(f"勾选 {name}").check()
    await user.look("desk-ticked")
    await user.press("证书审核")
    await expect(user.page.locator("#outcome")).to_contain_text("1 条已受理")
    await user.look("desk-approved")


async def numbered(enterprise: User, reviewer: User) -> str:
    """Both see the number without loading their pages anew; returns it."""
    await enterprise.follow(enterprise.page.get_by_text("换证已完成"))
    number = await enterprise.page.locator(".certificate .facts dd").inner_text()
    assert re.fullmatch(r"\d{14}", number)
    await enterprise.look("application-certified")
    if reviewer.scripted:
        await reviewer.follow(reviewer.page.locator("tbody").get_by_text(number))
    else:
        await reviewer.press("重置", "link")
        await expect(reviewer.page.locator("tbody")).to_contain_text(number)
    await enterprise.go("/applications")
    await expect(enterprise.page.locator("tbody")).to_contain_text(number)
    await enterprise.look("applications")
    return number


async def verify(enterprise: User, visitor: User, number: str) -> None:
    await enterprise.press(number, "link")
    await expect(enterprise.page.locator("main")).to_contain_text("有效")
    code = enterprise.page.locator(".certificate__qr img")
    await expect(code).to_have_js_property("complete", True)
    # What the code says is tested where it is made; a camera opens this address.
    await visitor.go(f"/certificates/{number}")
    await expect(visitor.page.locator("main")).to_contain_text(COMPANY)
    await expect(visitor.page.locator("main")).to_contain_text("**")
    await visitor.look("certificate")


async def withdraw(reviewer: User, enterprise: User, visitor: User, number: str) -> None:
    await reviewer.go("/review/items")
    await reviewer.fill(certificate_number=number)
    await reviewer.press("查询")
    await reviewer.page.locator("tbody input[type=checkbox]").check()
    await reviewer.press("撤回资质审核")
    await expect(reviewer.page.get_by_role("heading", name="撤回资质审核")).to_be_visible()
    await reviewer.look("desk-withdraw")
    await reviewer.page.locator("#reason_code").select_option(index=1)
    await reviewer.fill(comment="发证后发现材料有误")
    await reviewer.press("撤回资质审核")
    await expect(reviewer.page.locator("#outcome")).to_contain_text("1 条已受理")
    await visitor.come_back_for(visitor.page.locator(".tag--void"))
    await visitor.look("certificate-void")
    await enterprise.go("/applications")
    await enterprise.come_back_for(enterprise.page.locator("tbody .tag--pending_review"))
