"""What every page has in common."""

import re

import pytest

from tests.integration.portal.browser import Browser
from tests.support.platform import Harness

HEADERS = {
    "content-security-policy": "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


async def test_browsers_are_told_to_be_careful(browser: Browser) -> None:
    for path in ("/", "/enterprise/login", "/nowhere"):
        response = (await browser.get(path)).response
        assert {name: response.headers.get(name) for name in HEADERS} == HEADERS


@pytest.mark.parametrize(
    "path", ["/nowhere", "/%00", "/applications/1/2/3", "/static/nothing.css", "/static/../app.py"]
)
async def test_an_unknown_address_is_a_page_that_leads_on(browser: Browser, path: str) -> None:
    page = await browser.get(path)
    assert page.status == 404
    assert "返回首页" in page.text


@pytest.mark.parametrize(
    ("path", "status", "above"),
    [
        ("/review/decisions", 405, "/review"),
        (
            "/review/items/00000000-0000-4000-8000-000000000000/decision",
            405,
            "/review/items/00000000-0000-4000-8000-000000000000",
        ),
        ("/admin/audit/search", 405, "/admin/audit"),
        ("/logout", 405, ""),
    ],
)
async def test_the_address_of_a_form_leads_back_when_it_is_opened(
    browser: Browser, path: str, status: int, above: str
) -> None:
    page = await browser.get(path)
    assert page.status == status
    assert re.findall(r'<a href="([^"]*)">返回上一级</a>', page.html) == ([above] if above else [])


async def test_a_form_of_another_site_is_refused(browser: Browser) -> None:
    page = await browser.get("/enterprise/registration")
    fields = page.form("/enterprise/registration").fields
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
        refused = await browser.post("/enterprise/registration", fields, headers=headers)
        assert (refused.status, refused.forms) == (403, [])
    response = await browser.client.post(
        "/enterprise/registration", data=dict(fields), headers={"Origin": "https://evil.example"}
    )
    assert response.status_code == 403


async def test_a_form_without_its_token_asks_before_it_goes_on(browser: Browser) -> None:
    await browser.get("/enterprise/registration")
    asked = await browser.post("/enterprise/registration", [("name", "南昌一零企业")])
    assert asked.status == 403
    assert ("name", "南昌一零企业") in asked.form("/enterprise/registration").fields
    again = await browser.send(asked, "/enterprise/registration")
    assert again.status == 422
    assert "南昌一零企业" in again.html


async def test_static_files_may_be_kept_for_ever_by_their_version(browser: Browser) -> None:
    page = await browser.get("/")
    address = page.html.split('rel="stylesheet" href="')[1].split('"')[0]
    assert "immutable" in (await browser.get(address)).response.headers["cache-control"]
    for other in ("/static/portal.css", "/static/portal.css?v=another"):
        assert (await browser.get(other)).response.headers["cache-control"] == "no-cache"


async def test_a_failure_is_a_page_of_ours(
    platform: Harness, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = platform.platform.portal.state.portal.gateway

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("36019919900101001X")

    monkeypatch.setattr(type(gateway), "call", fail)
    page = await browser.get("/review/login")
    assert page.status == 500
    assert "系统内部错误" in page.text
    assert {name: page.response.headers.get(name) for name in HEADERS} == HEADERS
