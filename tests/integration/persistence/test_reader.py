"""Reading outside of transactions: what it may, and what becomes of it when a connection is lost or given up."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from shared.persistence.db import Database, is_outage
from shared.persistence.reader import Reader
from tests.support.backing import Postgres
from tests.support.sql import read_only
from tests.support.wait import until

BACKEND = "SELECT pg_backend_pid()"


@pytest.fixture
async def database(postgres: Postgres) -> AsyncIterator[Database]:
    with postgres.temporary() as url:
        database = Database(url, pool_size=2)
        yield database
        await database.close()


def end(postgres: Postgres, backend: int) -> None:
    with psycopg.connect(postgres.admin_url.replace("+psycopg", ""), autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s, 10000)", [backend])


async def test_a_statement_gives_its_rows_on_a_connection_that_is_kept(database: Database) -> None:
    rows = await database.read("SELECT n, %(text)s::text FROM generate_series(1, 2) AS n", {"text": "王%"})
    assert rows == [(1, "王%"), (2, "王%")]
    assert await database.read(BACKEND, {}) == await database.read(BACKEND, {})


async def test_a_statement_whose_connection_was_lost_is_sent_again(postgres: Postgres, database: Database) -> None:
    ((backend,),) = await database.read(BACKEND, {})
    end(postgres, backend)
    ((another,),) = await database.read(BACKEND, {})
    assert another != backend


async def test_nothing_can_be_written(database: Database) -> None:
    with pytest.raises(sa.exc.DBAPIError) as refused:
        await database.read("CREATE TABLE things (n integer)", {})
    assert isinstance(refused.value.orig, psycopg.errors.ReadOnlySqlTransaction)


async def test_a_wrong_statement_is_an_error_without_its_parameters_and_harms_no_other(database: Database) -> None:
    before = await database.read(BACKEND, {})
    with pytest.raises(sa.exc.DBAPIError) as wrong:
        await database.read("SELECT %(secret)s::integer", {"secret": "secret"})
    assert "'secret':" not in str(wrong.value)
    assert not is_outage(wrong.value)
    assert await database.read(BACKEND, {}) == before


async def test_a_server_that_is_away_is_an_outage() -> None:
    reader = Reader(sa.make_url("postgresql+psycopg://nobody@127.0.0.1:1/nothing"), 1, 20, connect_timeout=5)
    with pytest.raises(sa.exc.DBAPIError) as away:
        await reader.read(BACKEND, {})
    assert is_outage(away.value)


async def test_what_was_given_up_is_nobody_elses_answer(database: Database) -> None:
    waiting: list[asyncio.Task[Any]] = [
        asyncio.create_task(database.read("SELECT 'late' FROM pg_sleep(30)", {})) for _ in range(3)
    ]
    await until(lambda: _running(database), what="a statement runs")
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert [await database.read("SELECT %(n)s::int", {"n": n}) for n in range(3)] == [[(0,)], [(1,)], [(2,)]]


async def _running(database: Database) -> bool:
    ours = "SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE '%late%' AND pid <> pg_backend_pid()"
    async with database.transaction() as session:
        return bool(await session.scalar(sa.text(ours)))


async def test_connections_are_new_ones_after_a_write_was_refused_as_read_only(database: Database) -> None:
    with read_only(database):
        ((before,),) = await database.read(BACKEND, {})
        with pytest.raises(sa.exc.DBAPIError):
            async with database.transaction() as session:
                await session.execute(sa.text("CREATE TABLE things (n integer)"))
        ((after,),) = await database.read(BACKEND, {})
    assert after != before
