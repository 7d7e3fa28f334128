"""The administrator's pages: accounts, number series, audit trails."""

from typing import Any
from uuid import uuid4

import pytest

from services.portal.audit_words import ROLES
from services.review.domain import ROLES as REVIEW_ROLES
from tests.integration.portal.browser import Browser, Page
from tests.integration.portal.people import become_reviewer, log_in_reviewer
from tests.support.platform import REVIEWER, REVIEWER_PASSWORD, Harness

SERIES_FORM = "/admin/series"


@pytest.fixture
async def admin(browser: Browser, platform: Harness) -> Browser:
    await become_reviewer(browser, platform)
    return browser


def initial_password(page: Page) -> str:
    return page.html.split('<code class="secret">')[1].split("<")[0]


async def add(admin: Browser, username: str, *roles: str, name: str = "新来的") -> Page:
    form = await admin.get("/admin/reviewers/new")
    ticked = [("roles", role) for role in roles]
    return await admin.send(form, "/admin/reviewers", add=ticked, username=username, name=name)


async def account_page(admin: Browser, username: str) -> Page:
    row = (await admin.get("/admin/reviewers")).html.split(f"<code>{username}</code>")[1]
    return await admin.get(row.split('href="')[1].split('"')[0])


async def test_a_new_account_has_a_password_shown_once_and_works(
    admin: Browser, platform: Harness, new_browser: Any
) -> None:
    added = await add(admin, "Newcomer", "reviewer", "registrar")
    assert added.status == 201
    assert "初始密码只显示这一次" in added.text
    password = initial_password(added)
    listed = await admin.get("/admin/reviewers")
    assert "newcomer 新来的 审核员、登记员 启用 未改初始密码" in listed.text
    assert password not in listed.html
    theirs = await log_in_reviewer(await new_browser(), "newcomer", password)
    assert theirs.path == "/password"

    again = await add(admin, "newcomer", "reviewer")
    assert again.status == 409
    assert "该账号已存在" in again.text
    assert ("username", "newcomer") in again.form("/admin/reviewers").fields


async def test_what_was_typed_stays_when_it_is_refused(admin: Browser) -> None:
    page = await add(admin, "x", name="")
    assert "请填写姓名" in page.text
    page = await add(admin, "x", name="张")
    assert page.status == 422
    assert "请至少选择一个角色" in page.text
    assert "账号：格式不正确，例如 zhangsan01（3 至 40 个字母、数字或符号）" in page.text
    assert ("name", "张") in page.form("/admin/reviewers").fields


async def test_name_roles_and_state_of_an_account_change(admin: Browser, new_browser: Any) -> None:
    password = initial_password(await add(admin, "changing", "reviewer"))
    page = await account_page(admin, "changing")
    saving, disabling = [form for form in page.forms if form.action == page.path]
    fields = [(name, "改了名" if name == "name" else value) for name, value in saving.fields if name != "roles"]
    saved = await admin.post(saving.action, [*fields, ("roles", "registrar")])
    assert "账号已保存" in saved.text
    assert "changing 改了名 登记员 启用" in saved.text

    assert ("disabled", "yes") in disabling.fields
    disabled = await admin.post(disabling.action, disabling.fields)
    assert "changing 改了名 登记员 已停用" in disabled.text
    refused = await log_in_reviewer(await new_browser(), "changing", password)
    assert refused.path == "/review/login"

    enabling = [form for form in (await account_page(admin, "changing")).forms if ("disabled", "no") in form.fields]
    assert "登记员 启用" in (await admin.post(enabling[0].action, enabling[0].fields)).text


async def test_nobody_disables_the_own_account(admin: Browser) -> None:
    page = await account_page(admin, REVIEWER)
    (disabling,) = [form for form in page.forms if ("disabled", "yes") in form.fields]
    refused = await admin.post(disabling.action, disabling.fields)
    assert refused.status == 409
    assert "不能停用自己的账号或取消自己的管理员角色" in refused.text


async def test_a_password_is_reset_after_a_question(admin: Browser, new_browser: Any) -> None:
    first = initial_password(await add(admin, "forgetful", "reviewer"))
    path = (await account_page(admin, "forgetful")).path + "/password-reset"
    question = await admin.get(path)
    assert "新来的" in question.text
    assert "forgetful" in question.text
    reset = await admin.send(question, path)
    second = initial_password(reset)
    assert (await log_in_reviewer(await new_browser(), "forgetful", first)).path == "/review/login"
    assert (await log_in_reviewer(await new_browser(), "forgetful", second)).path == "/password"


@pytest.mark.parametrize("path", ["/admin/reviewers", "/admin/series"])
async def test_what_is_not_there_is_not_found(admin: Browser, path: str) -> None:
    assert (await admin.get(f"{path}/{uuid4()}")).status == 404
    assert (await admin.get(f"{path}/no-id")).status == 404


@pytest.mark.parametrize(
    ("service", "path"), [("review", "/reviewers"), ("certnumber", "/series")], ids=["account", "rule"]
)
async def test_one_opens_wherever_in_the_list_it_stands_by_now(
    admin: Browser, platform: Harness, service: str, path: str
) -> None:
    """As when a hundred newer ones have come: the page of the list that led to it no longer holds it."""
    await add(admin, f"moved-{uuid4().hex[:6]}", "reviewer")
    body = {
        "name": f"移位{uuid4().hex[:6]}",
        "layout": f"M{uuid4().hex[:8]}{{serial:05}}",
        "posts": ["98"],
        "active": False,
    }
    token = await platform.reviewer()
    await platform.api.call("POST", "certnumber", "/series", token=token, json=body, expect=201)
    page = await platform.api.call("GET", service, path, token=token, params={"limit": 1})
    moved, cursor = page["items"][0], page["next_cursor"]
    opened = await admin.get(f"/admin{path}/{moved['id']}?cursor={cursor}")
    assert opened.status == 200
    assert moved["name"] in opened.html


async def test_a_series_is_added_changed_and_numbers_are_shown(admin: Browser) -> None:
    form = await admin.get("/admin/series/new")
    assert ("active", "yes") in form.form(SERIES_FORM).fields
    layout = "资{year}{serial:04}"
    added = await admin.send(form, SERIES_FORM, add=[("posts", "70"), ("yearly", "yes")], name="资料员", layout=layout)
    assert "编号规则已保存" in added.text
    assert f"资料员 {layout} 按年重新编号 资料员 启用 尚未使用 9,999／年" in added.text
    page = await admin.get(added.html.split("<td>资料员</td>")[-1].split('href="')[1].split('"')[0])
    assert "目前的规则" in page.text
    assert ("posts", "70") in page.form(page.path).fields
    changed = await admin.send(page, page.path, layout="资{year}{serial:05}")
    assert "99,999／年" in changed.text

    trail = await admin.get("/admin/audit?trail=certnumber")
    assert f"编号格式：{layout} → 资{{year}}{{serial:05}}" in trail.text
    assert "适用岗位：资料员" in trail.text


async def test_a_layout_that_cannot_be_is_refused_beside_its_field(admin: Browser) -> None:
    form = await admin.get("/admin/series/new")
    page = await admin.send(form, SERIES_FORM, add=[("posts", "60")], name="坏的", layout="A{serial}")
    assert page.status == 422
    assert 'id="layout-error"' in page.html
    assert "不认识的占位符 {serial}" in page.text
    fields = page.form(SERIES_FORM).fields
    assert {("name", "坏的"), ("layout", "A{serial}"), ("posts", "60")} <= set(fields)


async def test_two_series_for_one_post_are_refused_with_its_name(admin: Browser) -> None:
    for name, status in (("一", 200), ("二", 409)):
        form = await admin.get("/admin/series/new")
        page = await admin.send(form, SERIES_FORM, add=[("posts", "81")], name=name, layout=f"{name}{{serial:04}}")
        assert page.status == status
    assert "同一岗位只能有一条启用的编号规则，默认规则也只能有一条：标识员" in page.text


async def test_a_series_that_prints_anothers_numbers_is_refused_beside_its_layout(admin: Browser) -> None:
    form = await admin.get("/admin/series/new")
    layout = "0070755{serial:07}"
    page = await admin.send(form, SERIES_FORM, add=[("posts", "60")], name="撞号", layout=layout)
    assert page.status == 409
    assert 'id="layout-error"' in page.html
    clash = "会生成编号 00707550000001，启用的规则“默认编号”也会生成它。请修改编号格式"
    assert clash in page.text
    fields = page.form(SERIES_FORM).fields
    assert {("name", "撞号"), ("layout", layout), ("posts", "60")} <= set(fields)

    looked = await admin.send(page, SERIES_FORM, add=[("preview", "yes")])
    assert looked.status == 200
    assert "接下来的编号： 00707550000001 、 00707550000002 、 00707550000003 等" in looked.text
    assert clash in looked.text
    looked = await admin.send(looked, SERIES_FORM, add=[("preview", "yes")], name="", layout="8070755{serial:07}")
    assert "没有发现与其他编号重复" in looked.text
    assert 'id="layout-error"' not in looked.html
    assert "撞号" not in (await admin.get("/admin/series")).text
    saved = await admin.send(looked, SERIES_FORM, name="不撞号")
    assert "不撞号 8070755{serial:07}" in saved.text

    page = await admin.get(saved.html.split("<td>不撞号</td>")[-1].split('href="')[1].split('"')[0])
    looked = await admin.send(page, page.path, add=[("preview", "yes")], layout=layout)
    assert clash in looked.text
    looked = await admin.send(page, page.path, add=[("preview", "yes")], layout="没有流水号")
    assert looked.status == 422
    assert 'id="layout-error"' in looked.html
    assert "不撞号 8070755{serial:07}" in (await admin.get("/admin/series")).text


@pytest.mark.parametrize(
    "path", ["/admin/reviewers", "/admin/reviewers/new", "/admin/series", "/admin/series/new", "/admin/audit"]
)
async def test_only_administrators_may(browser: Browser, platform: Harness, path: str) -> None:
    assert (await browser.get(path)).path == "/review/login"
    await platform.reviewer("no-admin", ("reviewer", "registrar"))
    await log_in_reviewer(browser, "no-admin", REVIEWER_PASSWORD)
    assert (await browser.get(path)).status == 403


async def test_a_form_of_somebody_else_changes_nothing(admin: Browser) -> None:
    fields = [("_token", "0" * 64), ("username", "forged"), ("name", "伪造"), ("roles", "admin")]
    assert (await admin.post("/admin/reviewers", fields)).status == 403
    assert "forged" not in (await admin.get("/admin/reviewers")).text


def test_every_role_has_a_name() -> None:
    assert tuple(ROLES) == REVIEW_ROLES
