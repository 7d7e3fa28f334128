"""One platform, as `make run` starts it, and one Chromium for all tests; a profile for each user of a test."""

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx2
import pytest
from playwright.async_api import Browser, Playwright, async_playwright

from deploy.embedded.demo import people
from deploy.embedded.postgres import free_port
from deploy.journey import Api
from deploy.synthetic import jpeg
from shared.values.clock import SystemClock, business_day
from tests.browser.manuals import draw_papers
from tests.browser.user import User, new_user
from tests.support.processes import demo, ready
from tests.support.wait import PATIENCE, until


@dataclass(frozen=True)
class Site:
    """The running demo. `people` are (id number, name) by their group's label, `samples` the folder of pictures."""

    base: str
    api: Api
    people: dict[str, list[tuple[str, str]]]
    samples: Path

    def person(self, label: str) -> tuple[str, str]:
        """Somebody of that group whom no other test has taken."""
        return self.people[label].pop()


MakeUser = Callable[..., Awaitable[User]]


@pytest.fixture(scope="session")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    directory = tmp_path_factory.mktemp("site")
    port = free_port()
    # Cookies without the prefix __Host- are for http://localhost only.
    base = f"http://localhost:{port}"
    known: dict[str, list[tuple[str, str]]] = {}
    for group, number, name in people(business_day(SystemClock().now())):
        known.setdefault(group.label, []).append((number, name))
    with demo(directory, port, GANZHENG_RATE_LIMITS="false"):
        async with httpx2.AsyncClient(timeout=PATIENCE, trust_env=False) as http:
            await until(partial(ready, http, base), what="the platform to be ready")
            yield Site(base, Api(http, base), known, directory / "var" / "samples")


async def launch(playwright: Playwright) -> Browser:
    """The system's Chromium, speaking Chinese where it puts words of its own on a page, such as 选择文件."""
    path = shutil.which("chromium")
    assert path, "tools/install-test-packages.sh installs chromium"
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    chinese: dict[str, str | float | bool] = {**os.environ, "LANGUAGE": "zh_CN"}
    return await playwright.chromium.launch(executable_path=path, args=flags, env=chinese)


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        chromium = await launch(playwright)
        yield chromium
        await chromium.close()


@pytest.fixture(scope="session")
async def papers(site: Site, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of pictures to upload: the demo's and another letter, or what the manuals show in place of them."""
    directory = tmp_path_factory.mktemp("papers")
    if os.environ.get("MANUALS"):
        page = await browser.new_page()
        await draw_papers(page, directory)
        await page.close()
    else:
        shutil.copytree(site.samples, directory, dirs_exist_ok=True)
        (directory / "commitment-letter-again.jpg").write_bytes(jpeg(1200, 800, seed=99))
    return directory


@pytest.fixture
async def someone(site: Site, browser: Browser) -> AsyncIterator[MakeUser]:
    """Makes users; the test fails if the browser of any of them had anything to complain about."""
    users: list[User] = []

    async def make(*, javascript: bool = True, like: User | None = None) -> User:
        users.append(await new_user(browser, site.base, javascript=javascript, like=like))
        return users[-1]

    yield make
    for user in users:
        await user.context.close()
    for user in users:
        user.blame()
