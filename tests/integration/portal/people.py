"""Logging in as the users of the portal do."""

from deploy.journey import register_enterprise
from tests.integration.portal.browser import Browser, Page
from tests.support.platform import ENTERPRISE_PASSWORD, REVIEWER, REVIEWER_PASSWORD, Harness

NEW_PASSWORD = "Gan-jiang-2026-pass"


async def log_in_enterprise(browser: Browser, taxpayer: str, password: str = ENTERPRISE_PASSWORD) -> Page:
    page = await browser.get("/enterprise/login")
    return await browser.send(page, "/enterprise/login", taxpayer_id=taxpayer, password=password)


def captcha_answer(page: Page) -> str:
    """What demo mode shows beside the captcha."""
    return page.html.split("data-captcha-answer>")[1].split("<")[0]


async def log_in_reviewer(browser: Browser, username: str = REVIEWER, password: str = REVIEWER_PASSWORD) -> Page:
    page = await browser.get("/review/login")
    answer = captcha_answer(page)
    return await browser.send(page, "/review/login", username=username, password=password, captcha_answer=answer)


async def become_enterprise(browser: Browser, platform: Harness, name: str = "南昌测试建设有限公司") -> str:
    """A new enterprise, logged in with its own password; returns its taxpayer id."""
    taxpayer, _ = await register_enterprise(platform.api, name, ENTERPRISE_PASSWORD)
    assert (await log_in_enterprise(browser, taxpayer)).path == "/applications"
    return taxpayer


async def become_reviewer(browser: Browser, platform: Harness) -> None:
    """The reviewer with all roles, made if missing and logged in."""
    await platform.reviewer()
    page = await log_in_reviewer(browser)
    assert page.status == 200, page.text


async def change_password(browser: Browser, old: str, new: str = NEW_PASSWORD, repeated: str | None = None) -> Page:
    page = await browser.get("/password")
    return await browser.send(
        page, "/password", old_password=old, new_password=new, repeated_password=new if repeated is None else repeated
    )
