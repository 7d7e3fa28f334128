"""What a registrar puts right on the page of a person."""

from datetime import date
from typing import Any

import pytest

from deploy.synthetic import id_number
from services.renewal.registry.file import FIELDS
from tests.integration.portal.browser import Browser, Page
from tests.integration.portal.people import become_reviewer, log_in_reviewer
from tests.integration.portal.test_registry import IMPORT, look_up, send, table
from tests.support.platform import REVIEWER_PASSWORD, Harness

HEADER = ",".join(FIELDS)


def person(year: int) -> str:
    return id_number("male", date(year, 7, 8), 0)


@pytest.fixture
async def registrar(browser: Browser, platform: Harness) -> Browser:
    await become_reviewer(browser, platform)
    return browser


def link(page: Page, step: str, number: str) -> str:
    """The address behind the word in the row of the number."""
    row = next(part for part in page.html.split("<tr>") if f">{number}<" in part)
    (found,) = [part.split('"')[0] for part in row.split('href="')[1:] if part.split('"')[0].endswith(f"/{step}")]
    return found


async def step(browser: Browser, address: str, press: tuple[str, str] | None = None, **values: str) -> Page:
    options: dict[str, Any] = dict(values)
    return await browser.send(await browser.get(address), address, press=press, **options)


async def test_a_wrong_certificate_is_put_right_after_a_second_look(registrar: Browser) -> None:
    number = person(1971)
    await send(registrar, IMPORT, table(f"{number},秦安宁,30,707100000071,2031-05-31"))
    address = link(await look_up(registrar, number), "correction", "707100000071")
    asked = await step(
        registrar, address, certificate_number="0070710 0000071", post="40", valid_until="", reason="核对原件"
    )
    for text in ("还没有写入", "证书编号 707100000071 00707100000071", "有效期至 2031-05-31 长期", "原因：核对原件"):
        assert text in asked.text
    assert "00707100000071" not in (await look_up(registrar, number)).text
    again = await registrar.send(asked, address, press=("back", "yes"))
    assert ("certificate_number", "0070710 0000071") in again.form(address).fields
    done = await registrar.send(asked, address, press=("confirmed", "yes"))
    assert done.path == address.split("/certificates/")[0]
    assert number not in done.html
    for text in ("证书已更正", "00707100000071", "已更正 正确的编号为 00707100000071", "长期"):
        assert text in done.text
    again = await send(registrar, IMPORT, table(f"{number},秦安宁,30,707100000071,2031-05-31"))
    assert "该证书编号已由登记员更正为 00707100000071，请修改表格" in again.text


async def test_a_wrong_certificate_is_removed_and_restored(registrar: Browser) -> None:
    number = person(1972)
    row = f"{number},秦安和,30,旧0000000072,"
    await send(registrar, IMPORT, table(row))
    address = link(await look_up(registrar, number), "removal", "旧0000000072")
    refused = await step(registrar, address, reason="")
    assert refused.status == 422
    assert 'id="reason-error"' in refused.html
    removed = await step(registrar, address, reason="误导入")
    assert "证书已移除" in removed.text
    assert "：误导入" in removed.text
    assert "该证书已由登记员移除" in (await send(registrar, IMPORT, table(row))).text
    # Somebody who still has the old page open.
    late = await step(registrar, address, reason="误导入")
    assert late.status == 409
    assert "该证书已移除或已更正" in late.text
    restored = await step(registrar, link(removed, "restoration", "旧0000000072"), reason="移除有误")
    assert "证书已恢复" in restored.text
    assert "在册" in restored.text


async def test_a_wrong_name_is_put_right(registrar: Browser) -> None:
    number = person(1973)
    await send(registrar, IMPORT, table(f"{number},秦安定,,,"))
    address = (await look_up(registrar, number)).html.split('">更正姓名')[0].rpartition('href="')[2]
    wrong = await step(registrar, address, name="秦1", reason="核对证件")
    assert wrong.status == 422
    assert 'id="name-error"' in wrong.html
    asked = await step(registrar, address, name="覃安定", reason="核对证件")
    assert "姓名 秦安定 覃安定" in asked.text
    done = await registrar.send(asked, address, press=("confirmed", "yes"))
    assert "姓名已更正" in done.text
    assert "覃安定" in done.text


async def test_what_is_wrong_is_said_beside_its_field_and_nothing_typed_is_lost(registrar: Browser) -> None:
    number = person(1974)
    rows = (f"{number},秦安清,30,旧0000000741,", f"{number},秦安清,40,旧0000000742,")
    await send(registrar, IMPORT, table(*rows))
    address = link(await look_up(registrar, number), "correction", "旧0000000741")
    taken = await step(registrar, address, certificate_number="旧0000000742", reason="核对原件")
    assert taken.status == 409
    assert 'id="certificate_number-error"' in taken.html
    assert ("certificate_number", "旧0000000742") in taken.form(address).fields
    assert ("reason", "核对原件") in taken.form(address).fields
    same = await step(registrar, address, reason="核对原件")
    assert "没有需要更正的" in same.text
    asked = await step(registrar, address, valid_until="2032-01-31", reason="核对原件")
    await step(
        registrar,
        link(await look_up(registrar, number), "correction", "旧0000000741"),
        ("confirmed", "yes"),
        valid_until="2033-01-31",
        reason="核对原件",
    )
    late = await registrar.send(asked, address, press=("confirmed", "yes"))
    assert late.status == 409
    for text in ("该信息已被他人更改", "有效期至 2033-01-31"):
        assert text in late.text
    assert ("valid_until", "2032-01-31") in late.form(address).fields


async def test_what_the_platform_gave_is_not_put_right_here(registrar: Browser) -> None:
    number = person(1975)
    await send(registrar, IMPORT, table(f"{number},秦安远,30,旧0000000075,"))
    page = await look_up(registrar, number)
    assert link(page, "correction", "旧0000000075")
    nowhere = page.html.split('">更正姓名')[0].rpartition('href="')[2].removesuffix("/name")
    unknown = "00000000-0000-4000-8000-000000000000"
    assert (await registrar.get(f"{nowhere}/certificates/{unknown}/removal")).status == 404
    assert (await registrar.get(f"/registry/people/{unknown}")).status == 404


async def test_a_number_that_wants_a_look_is_listed(registrar: Browser) -> None:
    rows = table(f"{person(1976)},秦安东,30,707300000076,")
    for press, written in ((("mode", "check"), "导入时会写入"), (IMPORT, "已写入")):
        page = await send(registrar, press, rows)
        assert "共 1 行，没有问题，有需要核对的内容。" in page.text
        assert f"有 1 行{written}" in page.text
        assert "2 证书编号 证书编号 707300000076 只有12位，本平台的编号为14位" in page.text


async def test_the_trail_tells_of_it_in_words(registrar: Browser) -> None:
    number = person(1977)
    await send(registrar, IMPORT, table(f"{number},秦安南,30,旧0000000077,2031-05-31"))
    page = await look_up(registrar, number)
    address = link(page, "correction", "旧0000000077")
    await step(registrar, address, ("confirmed", "yes"), post="40", valid_until="", reason="核对原件")
    trail = await registrar.get("/admin/audit?trail=renewal&action=certificate_corrected")
    assert "有效期至：2031-05-31 → 长期；原因：核对原件" in trail.text
    assert "证书编号：旧0000000077；岗位：安全员 → " in trail.text


@pytest.mark.parametrize("step_name", ["correction", "removal", "restoration"])
async def test_only_registrars_may(browser: Browser, platform: Harness, step_name: str) -> None:
    await platform.reviewer("only-reviews", ("reviewer",))
    await log_in_reviewer(browser, "only-reviews", REVIEWER_PASSWORD)
    nobody = "/registry/people/00000000-0000-4000-8000-000000000000"
    for path in (nobody, f"{nobody}/name", f"{nobody}/certificates/00000000-0000-4000-8000-000000000000/{step_name}"):
        assert (await browser.get(path)).status == 403
