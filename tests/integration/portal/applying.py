"""What an enterprise does in a browser, step by step."""

from datetime import date
from itertools import count

from deploy.journey import decide, desk_item, import_people
from deploy.synthetic import id_number, jpeg
from tests.integration.portal.browser import Browser, Page
from tests.support.platform import Harness

KINDS = ("id-front", "id-back", "commitment-letter")
FRAGMENT = {"X-Requested-With": "fetch"}
serials = count()


SAVE, SUBMIT = ("action", "save"), ("action", "submit")


def picture(seed: int, field: str = "file") -> dict[str, tuple[str, bytes, str]]:
    return {field: ("照片.jpg", jpeg(640, 420, seed), "image/jpeg")}


def pictures(*kinds: str, seed: int = 0) -> dict[str, tuple[str, bytes, str]]:
    """A picture for each of these slots, all different."""
    return {kind: each for kind in kinds for each in picture(10 * seed + KINDS.index(kind), kind).values()}


def slot(page: Page, kind: str) -> str:
    return page.html[page.html.index(f'id="slot-{kind}"') :].split("</section>")[0]


async def person(platform: Harness, *held: str, born: date = date(1990, 1, 1)) -> str:
    """The id number of somebody new who holds certificates for these posts."""
    serial = next(serials)
    number = id_number("male", born, serial)
    rows = [f"{number},赵安宁,{post},PORTAL{serial:04d}{post},2099-12-31" for post in held]
    await import_people(platform.api, await platform.reviewer(), rows or [f"{number},赵安宁,,,"])
    return number


async def check(browser: Browser, number: str) -> Page:
    return await browser.send(await browser.get("/applications/new"), "/applications/checks", id_number=number)


async def draft(browser: Browser, platform: Harness, post: str = "10") -> Page:
    page = await check(browser, await person(platform))
    return await browser.send(page, "/applications", post=post)


async def upload(browser: Browser, page: Page, *kinds: str, seed: int = 0) -> Page:
    """Choose these pictures, all at once, and save."""
    page = await browser.send(page, page.path, SAVE, files=pictures(*kinds, seed=seed))
    assert page.status == 200, page.text
    return page


async def submit(browser: Browser, page: Page, post: str | None = None) -> Page:
    if post is None:
        return await browser.send(page, page.path, SUBMIT)
    return await browser.send(page, page.path, SUBMIT, post=post)


async def submitted(browser: Browser, platform: Harness) -> Page:
    return await browser.send(page := await draft(browser, platform), page.path, SUBMIT, files=pictures(*KINDS))


def identity(page: Page) -> str:
    return page.path.split("/")[2]


async def decided(platform: Harness, page: Page, revision: int, action: str, **reason: str) -> None:
    """A reviewer decides through the API."""
    token = await platform.reviewer()
    await desk_item(platform.api, token, identity(page), "pending_review", revision)
    await decide(platform.api, token, action, identity(page), revision, **reason)
