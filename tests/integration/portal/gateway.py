"""A portal before a gateway that answers as a test wants."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from services.portal.app import build, create_app
from services.portal.container import Portal
from services.portal.settings import PortalSettings
from tests.integration.portal.browser import Browser
from tests.integration.portal.conftest import ADDRESS

Answer = Callable[[httpx2.Request], httpx2.Response]


@asynccontextmanager
async def browser_before(answer: Answer) -> AsyncIterator[Browser]:
    """A browser at a portal whose gateway answers like this."""
    async with portal_before(answer) as (browser, _):
        yield browser


@asynccontextmanager
async def portal_before(answer: Answer, **settings: Any) -> AsyncIterator[tuple[Browser, Portal]]:
    """The same, with the portal."""
    own = PortalSettings(demo=True, api_url="http://gateway", public_url=ADDRESS, **settings)
    gateway = httpx2.AsyncClient(transport=httpx2.MockTransport(answer), base_url="http://gateway")
    portal = build(own, client=gateway)
    transport = httpx2.ASGITransport(app=create_app(portal), raise_app_exceptions=False)
    async with gateway, httpx2.AsyncClient(transport=transport, base_url=ADDRESS) as client:
        yield Browser(client), portal


def problem(status: int, **document: Any) -> httpx2.Response:
    return httpx2.Response(status, json={"status": status, **document})
