"""One platform, as `make run` starts it, and one Chromium for all tests; a profile for each user of a test."""

import os
import platform
import shlex
import shutil
import sys
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
from tests.browser import old_chromium
from tests.browser.manuals import draw_papers
from tests.browser.user import User, new_user
from tests.support.processes import ROOT, demo, ready
from tests.support.wait import PATIENCE, until

# Where tools/old-chromium.sh puts it.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
OLD_CHROMIUM = CACHE / "ganzheng" / "chromium-80" / "chromium"


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


async def launch(playwright: Playwright, path: str | None = None) -> Browser:
    """Start the system's Chromium or another. What it itself says on a page, such as 选择文件, is Chinese."""
    path = path or shutil.which("chromium")
    assert path, "tools/install-test-packages.sh installs chromium"
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    chinese: dict[str, str | float | bool] = {**os.environ, "LANGUAGE": "zh_CN"}
    return await playwright.chromium.launch(executable_path=path, args=flags, env=chinese)


@pytest.fixture(scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    async with async_playwright() as started:
        yield started


@pytest.fixture(scope="session")
async def browser(playwright: Playwright) -> AsyncIterator[Browser]:
    chromium = await launch(playwright)
    yield chromium
    await chromium.close()


@pytest.fixture(scope="session")
async def old_browser(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """Chromium 80, which Playwright takes for one of today."""
    if platform.machine() != "x86_64":
        pytest.skip("there is an old Chromium for x86-64 only")
    assert OLD_CHROMIUM.exists(), "tools/install-test-packages.sh fetches an old Chromium"
    disguise = tmp_path_factory.mktemp("old") / "chromium"
    command = shlex.join([sys.executable, "-m", old_chromium.__name__, str(OLD_CHROMIUM)])
    disguise.write_text(f'#!/bin/sh\ncd {shlex.quote(str(ROOT))}\nexec {command} "$@"\n')
    disguise.chmod(0o755)
    chromium = await launch(playwright, str(disguise))
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
def chosen_browser(request: pytest.FixtureRequest) -> Browser:
    """Today's, or the one of the fixture that a test names as parameter."""
    chosen: Browser = request.getfixturevalue(getattr(request, "param", "browser"))
    return chosen


@pytest.fixture
async def someone(site: Site, chosen_browser: Browser) -> AsyncIterator[MakeUser]:
    """Makes users; the test fails if the browser of any of them had anything to complain about."""
    users: list[User] = []

    async def make(*, javascript: bool = True, like: User | None = None) -> User:
        users.append(await new_user(chosen_browser, site.base, javascript=javascript, like=like))
        return users[-1]

    yield make
    for user in users:
        await user.context.close()
    for user in users:
        user.blame()
