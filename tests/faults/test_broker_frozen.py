"""A broker that does nothing and keeps its connections open: who needs it says so, and goes on when it does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import sqlalchemy as sa

from deploy.embedded.platform import SERVICES
from deploy.embedded.postgres import free_port
from services.certnumber.models import Approval
from services.enterprise.settings import EnterpriseSettings
from shared.contracts.enterprise import EnterpriseRegistered
from shared.messaging import Outbox
from shared.persistence.db import Database
from shared.runtime.container import Container
from shared.runtime.service import run_worker
from shared.runtime.settings import new_key
from tests.support.backbone import outbox_rows
from tests.support.backing import Postgres, RabbitMQ
from tests.support.clock import START
from tests.support.numbering import approved, environment, new_settings
from tests.support.platform import service_database
from tests.support.processes import base_environment, processes
from tests.support.stack import CELERY
from tests.support.wait import until

# Heartbeats that come too late for any of this: what is silent has to be noticed by asking.
QUICK: dict[str, Any] = {"stall_seconds": 2, "broker_heartbeat": 60}


@asynccontextmanager
async def working(service: str, settings: Any) -> AsyncIterator[Container]:
    """A service's worker at work."""
    description, build = SERVICES[service]
    container = build(settings)
    worker = asyncio.create_task(run_worker(description, container))
    try:
        yield container
    finally:
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker


async def ready(container: Container) -> bool:
    return (await container.judge()).ready


async def lacks_broker(container: Container) -> bool:
    return "broker" in (await container.judge()).failed


async def test_a_worker_without_any_consumer_notices(postgres: Postgres, rabbitmq: RabbitMQ, vhost: str) -> None:
    """It has nothing to publish either: nobody but its readiness asks the broker anything."""
    with service_database(postgres, "enterprise") as url:
        keys = {"data_keys": f"d:{new_key()}", "index_key": new_key(), "signing_keys": f"s:{new_key()}"}
        settings = EnterpriseSettings(**{"demo": True, "database_url": url, "broker_url": vhost, **keys, **QUICK})
        async with working("enterprise", settings) as container:
            await until(partial(ready, container), what="a worker with nothing that fails")
            async with rabbitmq.frozen():
                await until(partial(lacks_broker, container), what="the silence to be noticed")
            await until(partial(ready, container), what="the worker to be ready again")
            async with container.database.transaction() as session:
                Outbox("enterprise").add(
                    session, EnterpriseRegistered(enterprise_id=uuid4(), revision=1, name="南昌测试公司"), START
                )

            async def said() -> bool:
                return await outbox_rows(container.database) == 0

            await until(said, what="the event to be published")


async def test_numbering_notices_and_goes_on(
    postgres: Postgres, rabbitmq: RabbitMQ, vhost: str, tmp_path: Path
) -> None:
    """Worker, waker, Celery's worker and beat."""
    port = free_port()
    command = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--concurrency", "1", "-n", "cert@%h")
    with service_database(postgres, "certnumber") as url:
        own = environment(url, broker_url=vhost, metrics_port=str(port), **{k: str(v) for k, v in QUICK.items()})
        settings = new_settings(url, broker_url=vhost, **QUICK)
        with processes(tmp_path, base_environment() | own) as started:
            started.start("celery", *CELERY, "worker", *command)
            started.start("beat", *CELERY, "beat")
            async with working("certnumber", settings) as container, httpx2.AsyncClient(trust_env=False) as http:
                celery = partial(failing, http, port)
                await until(partial(ready, container), what="a worker with nothing that fails")
                await until(lambda: _is(celery, set()), interval=0.2, what="Celery's worker, ready")
                async with rabbitmq.frozen():
                    await until(partial(lacks_broker, container), what="the worker to notice")
                    await until(lambda: _has(celery, "broker"), interval=0.2, what="Celery's worker to notice")
                    container.waker.wake()  # type: ignore[attr-defined]
                    await container.waker.join()  # type: ignore[attr-defined]
                    application = uuid4()
                    async with container.database.transaction() as session:
                        Outbox("certnumber").add(session, approved(application), START)
                numbered = partial(_numbered, container.database, application)
                await until(numbered, interval=0.2, what="the approval to be numbered")
                await until(partial(ready, container), what="the worker to be ready again")
                await until(lambda: _is(celery, set()), interval=0.2, what="Celery's worker, ready again")


async def failing(http: httpx2.AsyncClient, port: int) -> set[str] | None:
    try:
        return set((await http.get(f"http://127.0.0.1:{port}/readyz")).json()["failed"])
    except httpx2.TransportError:
        return None


async def _is(failed: Callable[[], Any], expected: set[str]) -> bool:
    return bool(await failed() == expected)


async def _has(failed: Callable[[], Any], name: str) -> bool:
    return name in (await failed() or ())


async def _numbered(database: Database, application: Any) -> bool:
    async with database.transaction() as session:
        row = sa.select(Approval.status).where(Approval.application_id == application)
        return await session.scalar(row) == "numbered"
