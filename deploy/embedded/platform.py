"""All services in one process: the same apps, relays and handlers, joined by the in-process bus."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route

from deploy.embedded.preflight import INTERNAL, service_settings
from services.certnumber import app as certnumber
from services.enterprise import app as enterprise
from services.renewal import app as renewal
from services.review import app as review
from shared.clock import Clock
from shared.container import Container
from shared.db import migrate
from shared.http import Surroundings, on_http
from shared.messaging import InProcessBus, Relay
from shared.runtime import Service, keep_clean

SERVICES: dict[str, tuple[Service, Callable[..., Any]]] = {
    "enterprise": (enterprise.SERVICE, enterprise.build),
    "renewal": (renewal.SERVICE, renewal.build),
    "review": (review.SERVICE, review.build),
    "certnumber": (certnumber.SERVICE, certnumber.build),
}


@dataclass
class Platform:
    """`app` is the root ASGI application; `containers` and `apps` are by service name."""

    containers: dict[str, Any]
    apps: dict[str, FastAPI]
    bus: InProcessBus
    client: httpx2.AsyncClient
    app: Starlette = field(init=False)

    def __post_init__(self) -> None:
        self.app = Starlette(
            routes=[Mount(f"/api/{name}/v1", app) for name, app in self.apps.items()], lifespan=self._lifespan
        )
        self.app.router.redirect_slashes = False
        # Whatever is no service's, in the same manner as theirs.
        self.app.router.default = Starlette(
            routes=[
                Route("/", self._front),
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
            ],
            middleware=[Middleware(Surroundings, root="", limits=())],
            exception_handlers={HTTPException: on_http},
        )

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        async with self.running():
            yield

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Relays, jobs and the apps' own start-up, for as long as the block lasts."""
        async with AsyncExitStack() as stack:
            for app in self.apps.values():
                await stack.enter_async_context(app.router.lifespan_context(app))
            tasks = [asyncio.create_task(self._relay(container).run()) for container in self.containers.values()]
            for name, (service, _) in SERVICES.items():
                container = self.containers[name]
                tasks.append(asyncio.create_task(keep_clean(container)))
                tasks += [asyncio.create_task(job(container)) for job in service.jobs]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await self.close()

    async def close(self) -> None:
        await self.client.aclose()
        for container in self.containers.values():
            await container.close()

    def _relay(self, container: Container) -> Relay:
        return Relay(container.database, self.bus)

    async def _healthz(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _readyz(self, _request: Request) -> Response:
        failed = {name: await container.failing_dependencies() for name, container in self.containers.items()}
        failed = {name: dependencies for name, dependencies in failed.items() if dependencies}
        return JSONResponse({"status": "unavailable" if failed else "ok", "failed": failed}, 503 if failed else 200)

    async def _front(self, _request: Request) -> Response:
        links = "".join(f'<li><a href="/api/{n}/v1/openapi.json">{n}: openapi.json</a></li>' for n in self.apps)
        return HTMLResponse(
            '<!doctype html><html lang="zh-CN"><meta charset="utf-8"><title>赣证</title>'
            f"<h1>赣证 · 安全员换证平台</h1><p>接口说明：</p><ul>{links}</ul></html>"
        )


def build_platform(
    urls: Mapping[str, str],
    var: Path,
    *,
    demo: bool,
    clock: Clock | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Platform:
    """`urls` are database addresses by service; settings and what is raised for bad ones: see service_settings."""
    bus = InProcessBus()
    settings = service_settings(urls, var, demo=demo, overrides=overrides)
    # The transport learns its app once that exists: the services fetch each other's keys in-process.
    transport = _LateTransport()
    client = httpx2.AsyncClient(transport=transport, base_url=INTERNAL)
    containers: dict[str, Any] = {}
    apps: dict[str, FastAPI] = {}
    for name, (service, build) in SERVICES.items():
        options = {"eager": True} if name == "certnumber" else {}
        containers[name] = build(settings[name], clock=clock, client=client, **options)
        apps[name] = service.create_app(containers[name])
        for consumer in service.consumers(containers[name]):
            bus.subscribe(consumer)
    platform = Platform(containers, apps, bus, client)
    transport.app = platform.app
    return platform


class _LateTransport(httpx2.AsyncBaseTransport):
    app: Starlette | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.app is None:
            raise httpx2.ConnectError("the platform is not built yet")
        return await httpx2.ASGITransport(app=self.app).handle_async_request(request)


def migrate_all(urls: Mapping[str, str]) -> None:
    """Blocking; not on an event loop."""
    for name in SERVICES:
        migrate(name, urls[name])
