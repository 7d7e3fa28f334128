"""A portal before a gateway that answers as a test wants."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from services.portal.app import build, create_app
from services.portal.settings import PortalSettings
from tests.integration.portal.browser import Browser
from tests.integration.portal.conftest import ADDRESS


@asynccontextmanager
async def browser_before(answer: Callable[[httpx2.Request], httpx2.Response]) -> AsyncIterator[Browser]:
    """A browser at a portal whose gateway answers like this."""
    settings = PortalSettings(demo=True, api_url="http://gateway", public_url=ADDRESS)
    gateway = httpx2.AsyncClient(transport=httpx2.MockTransport(answer), base_url="http://gateway")
    transport = httpx2.ASGITransport(app=create_app(build(settings, client=gateway)), raise_app_exceptions=False)
    async with gateway, httpx2.AsyncClient(transport=transport, base_url=ADDRESS) as client:
        yield Browser(client)


def problem(status: int, **document: Any) -> httpx2.Response:
    return httpx2.Response(status, json={"status": status, **document})
