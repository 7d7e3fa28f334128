"""What users do again and again."""

import asyncio
from pathlib import Path

from playwright.async_api import Route, expect

from deploy.embedded.demo import REVIEWER, REVIEWER_PASSWORD
from tests.browser.user import User

INITIAL_PASSWORD = "111111"
PASSWORD = "Ganjiang-2026"


async def log_in_enterprise(user: User, taxpayer: str, password: str = PASSWORD) -> None:
    """From the login page."""
    await user.fill(taxpayer_id=taxpayer, password=password)
    await user.press("登录")


async def log_in_reviewer(user: User, username: str = REVIEWER, password: str = REVIEWER_PASSWORD) -> None:
    """From the login page; the demo shows the captcha's answer."""
    answer = await user.page.locator("[data-captcha-answer]").inner_text()
    await user.fill(username=username, password=password, captcha_answer=answer)
    await user.press("登录")


async def choose(user: User, kind: str, file: Path) -> None:
    """Choose a picture in its slot, and save it where no script does."""
    await user.page.locator(f"#file-{kind}").set_input_files(file)
    if not user.scripted:
        await user.press("保存")


async def upload(user: User, kind: str, file: Path) -> None:
    """Choose a picture and see it taken in."""
    await choose(user, kind, file)
    slot = user.page.locator(f"#slot-{kind}")
    await expect(slot).to_contain_text("已上传")
    await expect(slot.locator("img")).to_have_js_property("complete", True)


async def upload_slowly(user: User, kind: str, file: Path) -> None:
    """As `upload`, over a line that lets nothing through before the progress is seen."""
    seen = asyncio.Event()

    async def hold(route: Route) -> None:
        await seen.wait()
        await route.continue_()

    await user.page.route("**/images/*", hold)
    await choose(user, kind, file)
    await expect(user.page.locator(f"#slot-{kind} progress")).to_be_visible()
    seen.set()
    await expect(user.page.locator(f"#slot-{kind}")).to_contain_text("已上传")
    await user.page.unroute("**/images/*", hold)
