"""A pooled connection is asked whether it still leads anywhere where that is not known, and only there."""

from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from shared.persistence.db import Database
from shared.persistence.pings import spare_pings
from tests.support.backing import Postgres
from tests.support.wait import until

PID = sa.text("SELECT pg_backend_pid()")


@pytest.mark.parametrize(("fresh", "asked"), [(3600.0, 0), (0.0, 2)])
def test_what_has_just_rested_is_not_asked(postgres: Postgres, fresh: float, asked: int) -> None:
    with postgres.temporary() as url:
        engine = sa.create_engine(url, pool_size=1, pool_pre_ping=True)
        count: list[object] = []
        ask = engine.dialect.do_ping

        def counting(dbapi_connection: Any) -> bool:
            count.append(dbapi_connection)
            return ask(dbapi_connection)

        engine.dialect.do_ping = counting  # type: ignore[method-assign]
        spare_pings(engine, fresh)
        pids = set()
        for _ in range(3):
            with engine.connect() as connection:
                pids.add(connection.scalar(PID))
        assert len(pids) == 1
        assert len(count) == asked
        engine.dispose()


async def test_one_that_the_server_has_ended_is_left_however_fresh(postgres: Postgres) -> None:
    with postgres.temporary() as url:
        database = Database(url, pool_size=1)
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as admin:
            for _ in range(3):
                async with database.transaction() as session:
                    pid = await session.scalar(PID)
                admin.execute("SELECT pg_terminate_backend(%s)", (pid,))
                gone = "SELECT NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = %s)"
                await until(lambda: (admin.execute(gone, (pid,)).fetchone() or (False,))[0], what="it to be gone")  # noqa: B023 - waited for
                async with database.transaction() as session:
                    assert await session.scalar(PID) != pid
        await database.close()
