from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import httpx2
import pytest

from tests.fixtures.platform import Harness
from tests.integration.portal.browser import Browser

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
            client = httpx2.AsyncClient(transport=transport, base_url=ADDRESS, timeout=60)
            return Browser(await stack.enter_async_context(client))

        yield make


@pytest.fixture
async def browser(new_browser: Callable[[], Awaitable[Browser]]) -> Browser:
    return await new_browser()
