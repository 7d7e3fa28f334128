"""All services in one process: the same apps, relays and handlers, joined by the in-process bus."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from deploy.embedded.preflight import INTERNAL, service_settings
from deploy.embedded.transport import InProcess
from services.certnumber import app as certnumber
from services.enterprise import app as enterprise
from services.portal import app as portal
from services.portal.settings import PortalSettings
from services.renewal import app as renewal
from services.review import app as review
from shared.messaging import Consumer, InProcessBus, Relay
from shared.observability.metrics import Sampler
from shared.observability.readiness import Readiness, Verdict
from shared.persistence.db import migrate
from shared.runtime.container import Container
from shared.runtime.maintenance import keep_clean
from shared.runtime.operations import operations, sample_dead_letters, samplers_of
from shared.runtime.service import Service
from shared.values.clock import Clock
from shared.web.middleware import surroundings
from shared.web.problems import on_http

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
    portal: FastAPI
    bus: InProcessBus
    client: httpx2.AsyncClient
    app: Starlette = field(init=False)

    def __post_init__(self) -> None:
        self.app = Starlette(
            routes=[Mount(f"/api/{name}/v1", app) for name, app in self.apps.items()], lifespan=self._lifespan
        )
        self.app.router.redirect_slashes = False
        self.app.router.default = self._elsewhere
        self._own = Starlette(
            routes=[Route("/healthz", self._healthz), Route("/readyz", self._readyz)],
            middleware=surroundings("gateway"),
            exception_handlers={HTTPException: on_http},
        )

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        async with self.running():
            yield

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run relays, jobs and the apps' own start-up for as long as the block lasts."""
        async with AsyncExitStack() as stack:
            for app in (*self.apps.values(), self.portal):
                await stack.enter_async_context(app.router.lifespan_context(app))
            tasks = []
            for name, (service, _) in SERVICES.items():
                container = self.containers[name]
                relay = self._relay(container)
                container.dependencies["relay"] = relay.check
                tasks.append(asyncio.create_task(relay.run()))
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

    @asynccontextmanager
    async def operations(self) -> AsyncIterator[None]:
        """Answer operators on GANZHENG_METRICS_PORT of this machine, if it is set, for as long as the block lasts."""
        readiness = Readiness(
            service="embedded", dependencies={name: container.check for name, container in self.containers.items()}
        )
        samplers: list[Sampler] = []
        for name, (service, _) in SERVICES.items():
            container = self.containers[name]
            queues = [subscription.queue.name for subscription in service.subscriptions]
            samplers += [*samplers_of(container), *service.own_samplers(container)]
            samplers.append(partial(sample_dead_letters, container, queues))
        port = self.containers["review"].settings.metrics_port
        async with operations(readiness, samplers, "127.0.0.1", port):
            yield

    def _relay(self, container: Container) -> Relay:
        # Everybody who writes rows is in this process, and says so. Handlers run while the rows are locked.
        return Relay(container.outbox, container.database, self.bus, batch=50, poll=timedelta(seconds=10))

    async def _healthz(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _readyz(self, _request: Request) -> Response:
        verdicts = {name: await container.judge() for name, container in self.containers.items()}
        failed = {name: verdict.failed for name, verdict in verdicts.items() if verdict.failed}
        passes = {name: not verdict.failed for name, verdict in verdicts.items()}
        whole = Verdict(passes, all(verdict.ready for verdict in verdicts.values()))
        return JSONResponse({"status": whole.status, "failed": failed}, 200 if whole.ready else 503)

    async def _elsewhere(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pages for people, problem documents for programs."""
        first = scope["path"].lstrip("/").partition("/")[0].lower()
        await (self._own if first in {"api", "healthz", "readyz"} else self.portal)(scope, receive, send)


def build_platform(
    urls: Mapping[str, str],
    var: Path,
    *,
    demo: bool,
    public_url: str = "http://localhost:8000",
    clock: Clock | None = None,
    overrides: Mapping[str, Any] | None = None,
    reload_pages: bool = False,
) -> Platform:
    """Wire all services to one bus and one client; `urls` are database addresses by service.

    Settings, and what is raised for bad ones: see service_settings.
    """
    settings = service_settings(urls, var, demo=demo, overrides=overrides)
    # The transport learns its app once that exists: the services fetch each other's keys in-process.
    transport = InProcess()
    client = httpx2.AsyncClient(transport=transport, base_url=INTERNAL)
    containers: dict[str, Any] = {}
    apps: dict[str, FastAPI] = {}
    consumers: list[Consumer] = []
    for name, (service, build) in SERVICES.items():
        options = {"eager": True} if name == "certnumber" else {}
        containers[name] = build(settings[name], clock=clock, client=client, **options)
        apps[name] = service.create_app(containers[name])
        consumers += service.consumers(containers[name])
    pages = httpx2.AsyncClient(transport=transport, base_url=INTERNAL)
    own = PortalSettings(demo=demo, api_url=INTERNAL, public_url=public_url)
    platform = Platform(
        containers,
        apps,
        portal.create_app(portal.build(own, client=pages, reload=reload_pages)),
        InProcessBus(consumers),
        client,
    )
    transport.app = platform.app
    return platform


def migrate_all(urls: Mapping[str, str]) -> None:
    """Bring every service's database to its newest revision. Blocks, so not on an event loop."""
    for name in SERVICES:
        migrate(name, urls[name])
