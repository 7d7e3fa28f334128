"""The administrator's audit trails: searched by what people know, shown in words."""

import re
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest

from deploy.journey import import_people, register_enterprise
from deploy.synthetic import id_number, taxpayer_id
from services.certnumber.audit import AUDIT_LABELS as CERTNUMBER_LABELS
from services.portal.audit_words import TRAILS, details
from services.renewal.audit import AUDIT_LABELS as RENEWAL_LABELS
from services.review.audit import AUDIT_LABELS as REVIEW_LABELS
from shared.values.idnumber import mask, mask_name
from tests.integration.portal.browser import Browser, Page
from tests.integration.portal.desk import Desk
from tests.integration.portal.people import become_reviewer
from tests.support.platform import ENTERPRISE_PASSWORD, REVIEWER, Harness


@pytest.fixture
async def admin(browser: Browser, platform: Harness) -> Browser:
    await become_reviewer(browser, platform)
    return browser


async def search(admin: Browser, trail: str, **filters: str) -> Page:
    page = await admin.get(f"/admin/audit?trail={trail}")
    fields = [(name, filters.get(name, value)) for name, value in page.form("/admin/audit/search").fields]
    return await admin.post("/admin/audit/search", fields)


async def look_up(platform: Harness, number: str, name: str = "许兰") -> None:
    """Imports a person and leaves an entry about looking at them."""
    reviewer = await platform.reviewer()
    await import_people(platform.api, reviewer, [f"{number},{name},,,"])
    await platform.api.call("GET", "renewal", "/registry/people", token=reviewer, params={"id_number": number})


def rows(page: Page) -> int:
    return page.html.count("<time ")


async def test_the_trail_is_searched_and_nothing_typed_is_in_the_address(admin: Browser, platform: Harness) -> None:
    number, other = id_number(sequence=77), id_number(sequence=78)
    await look_up(platform, number, "欧阳寻")
    await look_up(platform, other)
    assert "导入人员名册 --- 共：1 行；新增：1 行" in (await admin.get("/admin/audit?trail=renewal")).text
    shown = f"查询人员信息 欧** {mask(number)} ---"
    found = await search(admin, "renewal", id_number=f"{number[:6]} {number[6:14]} {number[14:].lower()}")
    assert found.path == "/admin/audit"
    assert shown in found.text
    assert rows(found) == 1
    for secret in (number, number[:6], "欧阳"):
        assert secret.encode() not in found.response.url.query
    assert "欧阳寻" not in found.html
    for filters in (
        {"name": "欧阳"},
        {"name": "阳 寻"},
        {"name": "欧阳寻", "action": "person_viewed", "account": REVIEWER.upper()},
    ):
        found = await search(admin, "renewal", **filters)
        assert shown in found.text
        assert rows(found) == 1
    assert "没有符合条件的记录" in (await search(admin, "renewal", name="欧阳寻", enterprise="某企业")).text
    assert "没有符合条件的记录" in (await search(admin, "renewal", actor="没有此人")).text


async def test_an_application_is_found_by_all_that_people_know_of_it(admin: Browser, desk: Desk) -> None:
    application, other = await desk.add(), await desk.add("30")
    for each in (application, other):
        await desk.decided(each, "approve", "certified")
    item = (await admin.get(f"/review/items/{application}")).text
    number = "HZ" + item.split("HZ")[1][:8]
    picture = await admin.get(f"/review/items/{application}/images/id-front?revision=1")
    assert picture.status in {200, 302, 307}
    name = item.split("姓名 ")[1].split()[0]
    shown = f"{number} {mask_name(name)} {desk.enterprise}"
    for filters in (
        {"application_number": number},
        {"application_number": f" {number.lower()} "},
        {"application_number": number[2:].lstrip("0")},
        {"id_number": desk.numbers[-1]},
        {"name": name, "enterprise": desk.enterprise},
        {"enterprise": desk.enterprise[:-4], "application_number": number},
    ):
        for trail, action in (("review", "审核通过"), ("review", "查看完整身份证号"), ("renewal", "查看申请图片")):
            found = await search(admin, trail, **filters)
            assert f"{action} {shown}" in found.text, (filters, trail)
            assert f'href="/review/items/{application}"' in found.html
            assert f">{application}<" not in found.html
    both = await search(admin, "review", enterprise=desk.enterprise, action="approve")
    assert rows(both) == 2
    none = await search(admin, "review", application_number="99999999")
    assert "没有符合条件的记录" in none.text
    # What was asked for stays when another trail is looked at.
    address = found.html.split('aria-label="日志类别">')[1].split('href="')[1].split('"')[0].replace("&amp;", "&")
    assert f"审核通过 {shown}" in (await admin.get(address)).text


async def test_an_account_is_found_by_what_it_did_and_what_was_done_to_it(admin: Browser, platform: Harness) -> None:
    name = f"audited-{uuid4().hex[:6]}"
    token = await platform.reviewer(name)
    api, by = platform.api, await platform.reviewer()
    (account,) = (await api.call("GET", "review", "/reviewers", token=by, params={"username": name}))["items"]
    change = {"disabled": False}
    await api.call("PATCH", "review", f"/reviewers/{account['id']}", token=by, json=change)
    found = await search(admin, "review", account=name.upper())
    assert f"测试审核员 登录 测试审核员（{name}）" in found.text
    assert f"测试审核员 修改审核人员 测试审核员（{name}）" in found.text
    assert rows(found) == 2
    looked = id_number(sequence=79)
    await import_people(platform.api, token, [f"{looked},许兰,,,"])
    assert rows(await search(admin, "renewal", account=name)) == 1
    for trail in ("renewal", "certnumber"):
        unknown = await search(admin, trail, account="nobody-of-that-name")
        assert unknown.status == 422
        assert "没有这个账号，请核对后重新填写" in unknown.text
        assert 'id="account-error"' in unknown.html
    assert "没有符合条件的记录" in (await search(admin, "review", account="nobody-of-that-name")).text


async def test_an_enterprise_is_found_by_its_account_though_another_has_its_name(
    admin: Browser, platform: Harness, desk: Desk
) -> None:
    application = await desk.add()
    await desk.decided(application, "approve", "certified")
    await admin.get(f"/review/items/{application}/images/id-front?revision=1")
    taxpayer = (await platform.api.call("GET", "enterprise", "/me", token=desk.token))["account"]
    namesake, _ = await register_enterprise(platform.api, desk.enterprise, ENTERPRISE_PASSWORD)
    for typed in (taxpayer, f" {taxpayer[:8].lower()} {taxpayer[8:]}", taxpayer[2:17]):
        for trail, action in (("review", "审核通过"), ("renewal", "查看申请图片")):
            found = await search(admin, trail, taxpayer_id=typed)
            assert found.status == 200
            assert action in found.text
            assert {"/review/items/" + application} == set(re.findall(r"/review/items/[0-9a-f-]{36}", found.html))
            assert taxpayer[2:17].encode() not in found.response.url.query
    for trail in ("review", "renewal"):
        assert rows(await search(admin, trail, taxpayer_id=namesake)) == 0
        assert rows(await search(admin, trail, taxpayer_id=taxpayer, enterprise="另一家")) == 0
    assert rows(await search(admin, "enterprise", taxpayer_id=taxpayer)) == 0


async def test_all_accounts_that_are_not_there_are_said_at_once(admin: Browser) -> None:
    unknown = "没有以该纳税人识别号注册的企业，请核对后重新填写"
    for typed, said in ((taxpayer_id(990_001), unknown), ("9136", "纳税人识别号应为15、17、18或20位")):
        for trail in ("review", "renewal"):
            page = await search(admin, trail, taxpayer_id=typed)
            assert page.status == 422
            assert 'id="taxpayer_id-error"' in page.html
            assert said in page.text
            assert ("taxpayer_id", typed) in page.form("/admin/audit/search").fields
    both = await search(admin, "renewal", taxpayer_id=taxpayer_id(990_001), account="nobody-of-that-name")
    for field in ("account", "taxpayer_id"):
        assert f'id="{field}-error"' in both.html


async def test_a_series_is_found_by_its_name(admin: Browser, platform: Harness) -> None:
    body = {"name": "寻找专用", "layout": "XZ{serial:05}", "posts": ["99"], "active": False}
    await platform.api.call("POST", "certnumber", "/series", token=await platform.reviewer(), json=body, expect=201)
    found = await search(admin, "certnumber", series="寻找")
    assert "新增编号规则 寻找专用" in found.text
    assert rows(found) == 1
    assert "没有符合条件的记录" in (await search(admin, "certnumber", series="寻不着")).text


@pytest.mark.parametrize(
    ("field", "value"),
    [("id_number", "360199199001010008"), ("application_number", "HZ12x"), ("application_number", "1" * 20)],
)
async def test_what_is_wrong_is_said_beside_its_field_and_stays(admin: Browser, field: str, value: str) -> None:
    for trail in ("review", "renewal"):
        page = await search(admin, trail, **{field: value})
        assert page.status == 422
        assert f'id="{field}-error"' in page.html
        assert (field, value) in page.form("/admin/audit/search").fields


async def test_the_hint_is_about_the_fields_there_are(admin: Browser) -> None:
    assert "身份证号和纳税人识别号填完整号码；人员姓名" in (await admin.get("/admin/audit")).text
    assert "申请编号" not in (await admin.get("/admin/audit?trail=enterprise")).text


async def test_the_trail_has_pages(admin: Browser, platform: Harness) -> None:
    numbers = [id_number(sequence=sequence) for sequence in range(100, 121)]
    reviewer = await platform.reviewer()
    await import_people(platform.api, reviewer, [f"{number},许兰,,," for number in numbers])
    for number in numbers:
        await platform.api.call("GET", "renewal", "/registry/people", token=reviewer, params={"id_number": number})
    first = await search(admin, "renewal", action="person_viewed")
    assert first.html.count("<time ") == 20
    address = first.html.split('rel="next"')[0].split('href="')[-1].split('"')[0].replace("&amp;", "&")
    following = await admin.get(address)
    assert mask(numbers[0]) in following.text
    assert following.text.count("查询人员信息") < first.text.count("查询人员信息")
    assert "回到第一页" in following.text


async def test_filters_of_another_session_and_wrong_ones_are_said_in_words(admin: Browser) -> None:
    lost = await admin.get("/admin/audit?sealed=AAAA")
    assert "查询条件已失效" in lost.text
    wrong = await admin.get("/admin/audit?from=2026-13-45")
    assert wrong.status == 422
    assert 'id="from-error"' in wrong.html
    assert (await admin.get("/admin/audit?trail=portal")).status == 404
    backwards = await admin.get("/admin/audit?from=2026-02-01&to=2026-01-01")
    assert backwards.status == 422
    assert "开始时间晚于结束时间" in backwards.text


@pytest.mark.parametrize(
    ("trail", "labels"), [("review", REVIEW_LABELS), ("renewal", RENEWAL_LABELS), ("certnumber", CERTNUMBER_LABELS)]
)
def test_the_actions_to_choose_from_are_those_of_the_services(trail: str, labels: Mapping[Any, str]) -> None:
    assert TRAILS[trail][1] == {action.value: label for action, label in labels.items()}


def test_details_are_said_in_words_and_unknown_codes_as_they_are() -> None:
    detail = {"outcome": "refused", "code": "new_code", "revision": 2, "reason_code": "other", "decision_id": "x"}
    assert list(details(detail, {}, {"other": "其他原因"})) == [
        ("结果", "未受理"),
        ("原因", "new_code"),
        ("版本", "第 2 次提交"),
        ("审核原因", "其他原因"),
    ]
