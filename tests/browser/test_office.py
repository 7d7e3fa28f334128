"""The registrar's import and the administrator's pages."""

import re
from datetime import date
from pathlib import Path

from playwright.async_api import expect

from deploy.synthetic import id_number, person_name
from services.renewal.registry.file import FIELDS
from tests.browser.conftest import MakeUser
from tests.browser.steps import log_in_reviewer
from tests.browser.user import User

ROWS = 1500


def table(directory: Path) -> tuple[Path, str]:
    """A file with two bad rows among ROWS good ones, and the id number of one of these."""
    people = [id_number("female", date(1988, 1, 1 + n % 28), 100 + n // 28) for n in range(ROWS)]
    lines = [f"{number},{person_name(n)},,," for n, number in enumerate(people)]
    bad = ["360199199001010000,赵安安,,,", f"{id_number('male', date(1987, 1, 1))},赵安宁,不存在的岗位,X1,2030-01-01"]
    file = directory / "people.csv"
    file.write_text("\n".join([",".join(FIELDS), *lines[:10], *bad, *lines[10:]]), encoding="utf-8")
    return file, people[0]


async def test_import_is_rehearsed_then_done_before_ones_eyes(someone: MakeUser, tmp_path: Path) -> None:
    user = await staff(someone)
    file, number = table(tmp_path)
    await user.press("人员导入", "link")
    report = user.page.locator("#report")
    async with user.page.expect_download() as template:
        await user.page.get_by_role("link", name="下载模板").click()
    assert (await template.value).suggested_filename.endswith(".xlsx")
    await user.page.locator("#file").set_input_files(file)
    await user.press("检查")
    await expect(report).to_contain_text(f"检查完成：共 {ROWS + 2} 行，其中 2 行有问题")
    await expect(report.locator("tbody tr")).to_have_count(2)
    await user.look("import-checked")
    assert await find(user, number) == 404
    await user.press("人员导入", "link")
    await user.page.locator("#file").set_input_files(file)
    await user.press("导入")
    await expect(report.locator("progress").first).to_be_attached()
    await expect(report).to_contain_text(f"导入完成：共 {ROWS + 2} 行，其中 2 行有问题")
    await user.look("import-done")
    assert await find(user, number) == 200
    await expect(user.page.locator("main")).to_contain_text(person_name(0))
    await user.look("person")


async def find(user: User, number: str) -> int:
    """Look the person up; the answer's status."""
    user.refused = {404}
    await user.press("人员查询", "link")
    await user.fill(id_number=number)
    async with user.page.expect_response("**/registry/people") as answer:
        await user.press("查询")
    return (await answer.value).status


async def test_account_is_added_and_used(someone: MakeUser) -> None:
    admin, added = await staff(someone), await someone()
    await admin.press("账号管理", "link")
    await admin.press("添加账号", "link")
    await admin.fill(username="clerk-01", name="赵审核")
    await admin.page.get_by_label("审核员：").check()
    await admin.press("添加")
    password = await admin.page.locator(".secret").inner_text()
    await admin.look("reviewer-added")
    await added.go("/review/login")
    await log_in_reviewer(added, "clerk-01", password)
    await expect(added.page.locator("main")).to_contain_text("修改后才能使用其他功能")
    await added.fill(old_password=password, new_password="Clerk-2026-pass", repeated_password="Clerk-2026-pass")
    await added.press("保存")
    await expect(added.page.get_by_role("heading", name="安全员换证", level=1)).to_be_visible()
    await expect(added.page.get_by_role("link", name="账号管理")).to_have_count(0)
    added.refused = {403}
    await added.go("/admin/reviewers")
    await expect(added.page.locator("main")).to_contain_text("没有使用此功能的权限")
    await added.look("forbidden")


async def test_series_is_added_and_seen_in_the_trail(someone: MakeUser) -> None:
    admin = await staff(someone)
    await admin.press("编号规则", "link")
    await admin.press("添加规则", "link")
    await admin.fill(name="标识员专用", layout="没有流水号")
    await admin.page.get_by_label("标识员").check()
    admin.refused = {422}
    await admin.press("保存")
    await expect(admin.page.locator("#layout")).to_have_attribute("aria-invalid", "true")
    await expect(admin.page.get_by_label("标识员")).to_be_checked()
    # The default series gives these to whoever has the post 55.
    await admin.fill(layout="0070755{serial:07}")
    admin.refused = {409}
    await admin.press("保存")
    await expect(admin.page.locator("#layout-error")).to_contain_text(re.compile("0070755[0-9]{7}"))
    await admin.look("series-clash")
    await admin.press("预览编号")
    await expect(admin.page.locator("#preview")).to_contain_text("按此填写不能保存")
    await admin.fill(layout="BS{year}{serial:06}")
    await admin.press("预览编号")
    await expect(admin.page.locator("#preview")).to_contain_text("没有发现与其他编号重复")
    await admin.look("series-preview")
    await admin.press("保存")
    await expect(admin.page.locator("tbody")).to_contain_text("标识员专用")
    await admin.press("操作日志", "link")
    await admin.page.get_by_role("navigation", name="日志类别").get_by_role("link", name="编号规则").click()
    await expect(admin.page.locator("tbody")).to_contain_text("标识员专用")
    await admin.fill(series="没有这条规则")
    await admin.press("查询")
    await expect(admin.page.locator("tbody")).to_contain_text("没有符合条件的记录")
    await admin.fill(series="标识员", account="demo-reviewer")
    await admin.press("查询")
    await expect(admin.page.locator("tbody")).to_contain_text("标识员专用")
    await admin.look("audit-found")
    await admin.page.get_by_role("navigation", name="日志类别").get_by_role("link", name="审核与账号").click()
    await expect(admin.page.locator("#account")).to_have_value("demo-reviewer")
    await expect(admin.page.locator("tbody")).to_contain_text("（demo-reviewer）")
    await admin.look("audit-account")
    await admin.fill(account="", taxpayer_id="91360100MA35K7L80A")
    admin.refused = {422}
    await admin.press("查询")
    await expect(admin.page.locator("#taxpayer_id-error")).to_contain_text("没有以该纳税人识别号注册的企业")
    await admin.look("audit-no-enterprise")


async def staff(someone: MakeUser, *, javascript: bool = True) -> User:
    user = await someone(javascript=javascript)
    await user.go("/review/login")
    await log_in_reviewer(user)
    return user
