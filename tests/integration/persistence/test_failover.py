"""A server that takes no writes, or none yet, is an outage, and the pool leaves it for whoever is the primary now."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from deploy.embedded.postgres import EmbeddedPostgres
from services.certnumber.numbering.allocation import create_engine
from shared.persistence.db import Database, ReadOnlyDatabase, is_outage
from tests.support.backing import Postgres
from tests.support.sql import read_only

# What a primary does to the sessions that it has when it is fenced off.
DEMOTE = sa.text("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
WRITE = sa.text("CREATE TABLE written ()")


@pytest.fixture
async def database(postgres: Postgres) -> AsyncIterator[Database]:
    with postgres.temporary() as url:
        database = Database(url, pool_size=2)
        yield database
        await database.close()


async def test_the_first_refused_write_renews_all_connections(database: Database) -> None:
    async with database.engine.connect() as first, database.engine.connect() as second:
        for connection in (first, second):
            await connection.execute(DEMOTE)
            await connection.commit()
    with pytest.raises(sa.exc.DBAPIError) as refused:
        async with database.transaction() as session:
            await session.execute(WRITE)
    assert is_outage(refused.value)
    async with database.engine.connect() as first, database.engine.connect() as second:
        for connection in (first, second):
            assert await connection.scalar(sa.text("SHOW transaction_read_only")) == "off"
    async with database.transaction() as session:
        await session.execute(WRITE)


async def test_so_it_is_for_the_numbering(postgres: Postgres) -> None:
    with postgres.temporary() as url:
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(DEMOTE)
        with pytest.raises(sa.exc.DBAPIError) as refused, engine.begin() as connection:
            connection.execute(WRITE)
        assert is_outage(refused.value)
        with engine.begin() as connection:
            connection.execute(WRITE)
        engine.dispose()


async def test_readiness_notices_before_anybody_writes(database: Database) -> None:
    await database.ping()
    with read_only(database):
        with pytest.raises(ReadOnlyDatabase) as refused:
            await database.ping()
        assert is_outage(refused.value)
    await database.ping()


@pytest.mark.parametrize("hot", [True, False], ids=["standby", "starting"])
async def test_a_server_that_is_not_the_primary(hot: bool, tmp_path: Path) -> None:
    """A standby answers and refuses to write; one that recovers lets nobody in (57P03)."""
    server = EmbeddedPostgres(tmp_path / "postgres")
    with server:
        pass
    cluster = tmp_path / "postgres" / "cluster"
    (cluster / "standby.signal").touch()
    with (cluster / "postgresql.auto.conf").open("a") as configuration:
        configuration.write(f"hot_standby = {'on' if hot else 'off'}\n")
    with server:
        database = Database(server.url("postgres"))
        with pytest.raises(ReadOnlyDatabase if hot else sa.exc.OperationalError) as away:
            await database.ping()
        assert is_outage(away.value)
        with pytest.raises(sa.exc.DBAPIError) as refused:
            async with database.transaction() as session:
                await session.execute(WRITE)
        assert is_outage(refused.value)
        await database.close()
