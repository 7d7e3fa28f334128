"""The administrator's page of taxpayer ids that may register though their check character is wrong."""

from typing import Any

import pytest

from deploy.synthetic import taxpayer_id
from tests.integration.portal.browser import Browser, Page
from tests.integration.portal.people import become_reviewer, log_in_reviewer
from tests.support.platform import REVIEWER_PASSWORD, Harness

PAGE = "/admin/taxpayer-exceptions"
FIELDS: dict[str, Any] = {"name": "厦门例外企业", "contact_name": "联系人", "contact_phone": "0592-8888888"}


def wrong(serial: int) -> str:
    right = taxpayer_id(serial)
    return right[:-1] + ("X" if right[-1] != "X" else "Y")


@pytest.fixture
async def admin(browser: Browser, platform: Harness) -> Browser:
    await become_reviewer(browser, platform)
    return browser


async def register(browser: Browser, taxpayer: str) -> Page:
    path = "/enterprise/registration"
    return await browser.send(await browser.get(path), path, taxpayer_id=taxpayer, **FIELDS)


async def admit(admin: Browser, taxpayer: str, reason: str = "已核对营业执照原件") -> Page:
    return await admin.send(await admin.get(PAGE), PAGE, taxpayer_id=taxpayer, reason=reason)


async def test_the_refusal_says_whom_to_ask_and_then_it_registers(admin: Browser) -> None:
    taxpayer = wrong(801)
    refused = await register(admin, taxpayer)
    assert refused.status == 422
    assert "由管理员核对执照后登记例外" in refused.text
    page = await admit(admin, taxpayer)
    for text in ("例外已登记", taxpayer, "已核对营业执照原件", "测试审核员"):
        assert text in page.text
    assert (await register(admin, taxpayer)).status == 201
    trail = await admin.get("/admin/audit?trail=enterprise")
    assert "登记识别号例外" in trail.text
    assert "原因：已核对营业执照原件" in trail.text


async def test_what_is_wrong_is_said_beside_its_field(admin: Browser) -> None:
    right = await admit(admin, taxpayer_id(802))
    assert right.status == 422
    assert 'id="taxpayer_id-error"' in right.html
    assert "无需登记例外" in right.text
    assert ("reason", "已核对营业执照原件") in right.form(PAGE).fields
    unexplained = await admit(admin, wrong(802), "")
    assert 'id="reason-error"' in unexplained.html
    await admit(admin, wrong(803))
    twice = await admit(admin, wrong(803))
    assert twice.status == 409
    assert 'id="taxpayer_id-error"' in twice.html


async def test_it_is_taken_back_with_a_reason(admin: Browser) -> None:
    page = await admit(admin, wrong(804))
    row = next(part for part in page.html.split("<tr>") if wrong(804) in part)
    address = row.split('href="')[1].split('"')[0]
    asked = await admin.get(address)
    assert wrong(804) in asked.text
    refused = await admin.send(asked, address, reason="")
    assert refused.status == 422
    done = await admin.send(refused, address, reason="看错执照")
    assert done.path == PAGE
    assert "例外已撤销" in done.text
    assert wrong(804) not in done.text
    assert (await admin.get(address)).status == 404


async def test_only_administrators_may(browser: Browser, platform: Harness) -> None:
    await platform.reviewer("no-admin", ("reviewer", "registrar"))
    await log_in_reviewer(browser, "no-admin", REVIEWER_PASSWORD)
    assert (await browser.get(PAGE)).status == 403
