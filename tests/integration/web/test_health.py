"""Health, readiness and what a database that is away means for requests."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from tests.integration.web.service import Service
from tests.support.backing import Postgres
from tests.support.sql import read_only


@contextmanager
def _away(postgres: Postgres, service: Service) -> Iterator[None]:
    """The service's database throws everyone out and lets nobody in, as long as the block lasts."""
    name = str(service.container.database.engine.url.database)
    connections = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    with psycopg.connect(postgres.admin_url.replace("+psycopg", ""), autocommit=True) as admin:
        admin.execute(connections.format(sql.Identifier(name), sql.SQL("false")))
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        yield
        admin.execute(connections.format(sql.Identifier(name), sql.SQL("true")))


async def test_away_and_back(service: Service, postgres: Postgres) -> None:
    assert (await service.http.get("/readyz")).json() == {"status": "ok", "failed": []}
    with _away(postgres, service):
        ready = await service.http.get("/readyz")
        assert (ready.status_code, ready.json()) == (503, {"status": "unavailable", "failed": ["database"]})
        assert (await service.http.get("/healthz")).status_code == 200
        refused = await service.http.post("/things", json={"name": "x"}, headers={"Idempotency-Key": "k"})
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert refused.headers["retry-after"] == "2"
        # What needs no database is answered all the same.
        assert (await service.http.post("/secrets")).status_code == 200
    assert (await service.http.get("/readyz")).status_code == 200
    retried = await service.http.post("/things", json={"name": "x"}, headers={"Idempotency-Key": "k"})
    assert retried.status_code == 201
    assert await service.names() == ["x"]


async def test_a_read_only_database_is_away_too(service: Service) -> None:
    """As after a failover, when the old primary still answers."""
    with read_only(service.container.database):
        for _ in range(2):
            refused = await service.http.post("/things", json={"name": "x"}, headers={"Idempotency-Key": "k"})
            assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
            assert refused.headers["retry-after"] == "2"
        ready = await service.http.get("/readyz")
        assert (ready.status_code, ready.json()) == (503, {"status": "unavailable", "failed": ["database"]})
    assert (await service.http.get("/readyz")).status_code == 200
    retried = await service.http.post("/things", json={"name": "x"}, headers={"Idempotency-Key": "k"})
    assert retried.status_code == 201
    assert await service.names() == ["x"]


async def test_what_only_a_part_needs_degrades(service: Service) -> None:
    """Also when it does not answer at all."""

    async def hang() -> None:
        await asyncio.Event().wait()

    service.container.patience = 0.1
    service.container.dependencies = {"store": hang}
    service.container.partial.add("store")
    ready = await service.http.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "degraded", "failed": ["store"]})


async def test_any_dependency_counts(service: Service) -> None:
    async def fail() -> None:
        raise OSError("no route to 10.0.0.1")

    service.container.dependencies["store"] = fail
    ready = await service.http.get("/readyz")
    assert (ready.status_code, ready.json()) == (503, {"status": "unavailable", "failed": ["store"]})
