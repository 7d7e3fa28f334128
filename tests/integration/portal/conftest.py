from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from uuid import uuid4

import httpx2
import pytest

from deploy.journey import log_in_enterprise
from tests.integration.portal.browser import Browser
from tests.integration.portal.desk import Desk
from tests.integration.portal.people import become_enterprise, become_reviewer
from tests.support.platform import ENTERPRISE_PASSWORD, Harness
from tests.support.wait import PATIENCE

# Cookies without the prefix __Host- are for http://localhost only, and httpx2 keeps them by host.
ADDRESS = "http://localhost"


@pytest.fixture(scope="module")
async def platform(shared_embedded: Harness) -> Harness:
    return shared_embedded


@pytest.fixture
async def new_browser(platform: Harness) -> AsyncIterator[Callable[[], Awaitable[Browser]]]:
    """Makes browsers, each with cookies of its own."""
    async with AsyncExitStack() as stack:

        async def make() -> Browser:
            transport = httpx2.ASGITransport(app=platform.platform.app, raise_app_exceptions=False)
            client = httpx2.AsyncClient(transport=transport, base_url=ADDRESS, timeout=PATIENCE)
            return Browser(await stack.enter_async_context(client))

        yield make


@pytest.fixture
async def browser(new_browser: Callable[[], Awaitable[Browser]]) -> Browser:
    return await new_browser()


@pytest.fixture
async def reviewing(browser: Browser, platform: Harness) -> Browser:
    """A browser in which the reviewer with all roles is logged in."""
    await become_reviewer(browser, platform)
    return browser


@pytest.fixture
async def desk(platform: Harness) -> Desk:
    enterprise = f"审核测试{uuid4().hex[:8]}有限公司"
    return Desk(platform, enterprise, await platform.enterprise(enterprise), await platform.reviewer("other-reviewer"))


@pytest.fixture
async def taxpayer(browser: Browser, platform: Harness) -> str:
    """Of a new enterprise that is logged in in the browser."""
    return await become_enterprise(browser, platform)


@pytest.fixture
async def token(taxpayer: str, platform: Harness) -> str:
    """For the same enterprise to use the API."""
    return str((await log_in_enterprise(platform.api, taxpayer, ENTERPRISE_PASSWORD))["access_token"])
