"""Wire the portal: what its pages are made with, and the application that serves them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
from fastapi import FastAPI, Response
from fastapi.routing import APIRoute
from starlette.middleware import Middleware
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.portal.container import Portal
from services.portal.cookies import Cookies
from services.portal.endpoints import ROUTERS
from services.portal.errors import PicturesTooLarge, PictureTooLarge, TableTooLarge
from services.portal.failures import FAILURES, failure_page
from services.portal.gateway import Gateway
from services.portal.known import BrowserStanding
from services.portal.pages import STATIC, Pages
from services.portal.settings import PortalSettings
from services.portal.waiting import WaitingPage
from shared.web.door import Door
from shared.web.entrance import PASSING, Entrance
from shared.web.health import health_router
from shared.web.middleware import surroundings
from shared.web.routing import require_coroutines

IMAGE_LIMIT = 6 * 1024 * 1024
APPLICATION_LIMIT = 16 * 1024 * 1024
IMPORT_LIMIT = 21 * 1024 * 1024
LIMITS = (
    (r"/images/[a-z-]+$", IMAGE_LIMIT, PictureTooLarge),
    (r"^/applications/[0-9a-f-]{36}$", APPLICATION_LIMIT, PicturesTooLarge),
    (r"^/registry/imports", IMPORT_LIMIT, TableTooLarge),
)


def build(settings: PortalSettings, *, client: httpx2.AsyncClient | None = None, reload: bool = False) -> Portal:
    """Make what the pages are made with.

    `client` reaches the gateway in another way than over the network; `reload` is for who edits the pages.
    """
    gateway = Gateway(client or httpx2.AsyncClient(base_url=settings.api_url))
    return Portal(
        service="portal",
        settings=settings,
        gateway=gateway,
        pages=Pages(reload=reload),
        cookies=Cookies(settings.secure),
        door=Door(settings.requests_at_once, settings.requests_wait_seconds),
        dependencies={"gateway": gateway.ping},
    )


def create_app(portal: Portal) -> FastAPI:
    @asynccontextmanager
    async def run(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await portal.gateway.client.aclose()

    app = FastAPI(
        title="赣证 portal",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=run,
        redirect_slashes=False,
        middleware=[
            # Outermost, so that the page for a failure has them too.
            Middleware(BrowserHeaders, settings=portal.settings),
            Middleware(
                Entrance,
                service="portal",
                door=portal.door,
                standing=BrowserStanding(portal.cookies, portal.known),
                refusal=WaitingPage(portal.pages),
                passing=lambda path: path.startswith("/static/") or path.endswith(PASSING),
            ),
            *surroundings("portal", LIMITS, failure_page(portal)),
        ],
    )
    app.state.portal = app.state.container = portal
    for kind, handler in FAILURES.items():
        app.add_exception_handler(kind, handler)
    app.include_router(health_router())
    for router in ROUTERS:
        app.include_router(router)
        require_coroutines(route for route in router.routes if isinstance(route, APIRoute))
    app.mount("/static", VersionedFiles(portal.pages), name="static")
    return app


class VersionedFiles(StaticFiles):
    """Serves the files of static/, to be kept for ever when asked for by the version that is here.

    Another version is asked for while copies of two releases answer side by side; keeping that would be wrong for ever.
    """

    def __init__(self, pages: Pages) -> None:
        super().__init__(directory=STATIC)
        self._pages = pages

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        known = scope["query_string"] == f"v={self._pages.version(path)}".encode()
        response.headers["cache-control"] = "public, max-age=31536000, immutable" if known else "no-cache"
        return response


class BrowserHeaders:
    """Tells browsers what holds for every page: nothing from elsewhere, no inline script or style, no framing."""

    def __init__(self, app: ASGIApp, settings: PortalSettings) -> None:
        self._app = app
        images = " ".join(filter(None, ("'self'", "data:", settings.images_origin)))
        policy = (
            f"default-src 'none'; img-src {images}; style-src 'self'; script-src 'self'; connect-src 'self';"
            " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        headers = {
            "content-security-policy": policy,
            # Not no-referrer: with it browsers send "Origin: null" with our own forms.
            "referrer-policy": "same-origin",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "permissions-policy": "camera=(), geolocation=(), microphone=()",
        }
        if settings.secure:
            headers["strict-transport-security"] = "max-age=31536000; includeSubDomains"
        self._headers = {name.encode(): value.encode() for name, value in headers.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dressed_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [header for header in message["headers"] if header[0] not in self._headers]
                message["headers"] += self._headers.items()
            await send(message)

        await self._app(scope, receive, dressed_send)
