"""A registrar's day: a table with what real tables have, and putting right what it brought."""

from datetime import date

import pytest
from playwright.async_api import expect

from deploy.synthetic import id_number
from tests.browser.conftest import MakeUser
from tests.browser.test_office import staff
from tests.browser.user import User

HEADER = "身份证号,姓名,岗位,证书编号,有效期至"


async def send(user: User, press: str, *rows: str) -> None:
    table = "\n".join([HEADER, *rows]).encode()
    await user.press("人员导入", "link")
    await user.page.locator("#file").set_input_files({"name": "人员.csv", "mimeType": "text/csv", "buffer": table})
    await user.press(press)
    await expect(user.page.locator("#report")).to_contain_text(f"{press}完成")


async def look_up(user: User, number: str) -> None:
    await user.press("人员查询", "link")
    await user.fill(id_number=number)
    await user.press("查询")
    await expect(user.page.get_by_role("heading", name="持有的证书")).to_be_visible()


@pytest.mark.parametrize("scripted", [True, False])
async def test_what_a_table_brought_wrongly_is_put_right_and_stays_right(someone: MakeUser, scripted: bool) -> None:
    user = await staff(someone, javascript=scripted)
    born = date(1983, 4, 5) if scripted else date(1983, 4, 6)
    first, second = id_number("male", born, 1), id_number("male", born, 2)
    whole = "00707300099101" if scripted else "00707300099102"
    lost = whole.lstrip("0")
    rows = (f"{first},冯志远,安全员,{lost},2031-05-31", f"{second},冯志明,资料员,旧Z{lost},")
    report, main = user.page.locator("#report"), user.page.locator("main")
    await send(user, "检查", *rows)
    await expect(report).to_contain_text("有 1 行导入时会写入，请先核对")
    await user.look("import-warned")
    await send(user, "导入", *rows)
    await expect(report).to_contain_text(f"证书编号 {lost} 只有12位，本平台的编号为14位")
    # A table that somebody has mended meanwhile.
    await send(user, "检查", f"{first},冯志远,安全员,{whole},2031-05-31")
    await expect(report).to_contain_text(f"该人员已登记证书 {lost}")

    await look_up(user, first)
    await user.look("person-registered")
    await main.locator("a[href$=correction]").click()
    await user.fill(certificate_number=whole, reason="核对证书原件，编号缺开头的0")
    await user.look("certificate-correction")
    await user.press("下一步")
    await expect(main).to_contain_text("还没有写入，请核对后确认")
    await user.look("certificate-correction-asked")
    await user.press("确认更正")
    await expect(main).to_contain_text("证书已更正")
    await expect(main).to_contain_text(f"正确的编号为 {whole}")
    await user.press("更正姓名", "link")
    await user.fill(name="冯致远", reason="核对身份证")
    await user.press("下一步")
    await user.press("确认更正")
    await expect(main.get_by_role("heading", name="冯致远")).to_be_visible()

    await look_up(user, second)
    await main.locator("a[href$=removal]").click()
    await user.fill(reason="误导入：不属于该人员")
    await user.look("certificate-removal")
    await user.press("确认移除")
    await expect(main).to_contain_text("已移除")
    await user.look("person-corrected")

    await send(user, "导入", *rows)
    await expect(report).to_contain_text("共 2 行，其中 2 行有问题，未导入")
    await expect(report).to_contain_text("该证书已由登记员移除")
    await user.look("import-after-corrections")
    await send(user, "导入", f"{first},冯致远,安全员,{whole},2031-05-31")
    await expect(report).to_contain_text("没有问题")
