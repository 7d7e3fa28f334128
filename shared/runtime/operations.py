"""The operators' port of a process: metrics, liveness and readiness, apart from what a gateway passes on."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial

import sqlalchemy as sa
import uvicorn
from fastapi import FastAPI, Response

from shared.messaging.tables import OutboxMessage, StoredDeadLetter
from shared.observability.metrics import (
    CHECK_OK,
    CONTENT_TYPE,
    DB_IN_USE,
    DB_MAX,
    OUTBOX_AGE,
    OUTBOX_ROWS,
    QUEUE_MESSAGES,
    Sampler,
    exposition,
)
from shared.observability.readiness import Readiness
from shared.runtime.container import Container
from shared.web.health import health_router

# Ids grow with time and the count ends somewhere: a million rows of an outage must not be read at every scrape.
_COUNTED = sa.select(sa.literal(1)).select_from(OutboxMessage).limit(10_000).subquery()
_OUTBOX = sa.select(
    sa.select(sa.func.count()).select_from(_COUNTED).scalar_subquery(),
    sa.select(sa.func.extract("epoch", sa.func.now() - OutboxMessage.created_at))
    .order_by(OutboxMessage.id)
    .limit(1)
    .scalar_subquery(),
)


def samplers_of(readiness: Readiness) -> list[Sampler]:
    """List the samplers of what any process can tell of itself."""
    checks = partial(_sample_checks, readiness)
    # The pool first: the others borrow from it.
    return [partial(_sample_pool, readiness), checks] if isinstance(readiness, Container) else [checks]


async def _sample_checks(readiness: Readiness) -> None:
    for name, passes in (await readiness.judge()).passes.items():
        CHECK_OK.labels(readiness.service, name).set(passes)


async def _sample_pool(container: Container) -> None:
    in_use, size = container.database.pool_usage()
    DB_IN_USE.labels(container.service).set(in_use)
    DB_MAX.labels(container.service).set(size)


async def sample_outbox(container: Container) -> None:
    """Set the outbox's gauges from the service's database; one process of each service asks."""
    async with container.database.transaction() as session:
        rows, age = (await session.execute(_OUTBOX)).one()
    OUTBOX_ROWS.labels(container.service).set(rows)
    OUTBOX_AGE.labels(container.service).set(age or 0)


async def sample_dead_letters(container: Container, queues: Sequence[str]) -> None:
    """Set the gauge of dead letters of the in-process bus; a broker keeps its own."""
    statement = sa.select(StoredDeadLetter.queue, sa.func.count()).group_by(StoredDeadLetter.queue)
    async with container.database.transaction() as session:
        dead = dict((await session.execute(statement)).all())
    for queue in queues:
        QUEUE_MESSAGES.labels(queue, "dead").set(dead.get(queue, 0))


def operations_app(readiness: Readiness, samplers: Sequence[Sampler]) -> FastAPI:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.container = readiness
    app.include_router(health_router())

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(await exposition(samplers), media_type=CONTENT_TYPE)

    return app


class _Server(uvicorn.Server):
    """Leaves the signals to the process it runs in."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def operations(readiness: Readiness, samplers: Sequence[Sampler], host: str, port: int) -> AsyncIterator[None]:
    """Answer operators on `port` for as long as the block lasts, on none if it is 0. An address that cannot be had ends
    the process."""
    if not port:
        yield
        return
    app = operations_app(readiness, samplers)
    server = _Server(
        uvicorn.Config(app, host, port, lifespan="off", log_config=None, access_log=False, server_header=False)
    )
    task = asyncio.create_task(server.serve())
    try:
        yield
    finally:
        server.should_exit = True
        await task
