"""Numbering in batches against one number a transaction, and against the bare statements of a batch."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bench.run import Measurement, compare
from services.certnumber.models import Approval
from services.certnumber.numbering.allocation import assign_batch, create_engine
from shared.messaging import Outbox
from shared.persistence.db import migrate
from shared.values.clock import SystemClock
from tests.support.backing import Backing

APPROVALS = 4000
BATCH = 500


async def numbering(backing: Backing, rounds: int) -> None:
    """Measure numbering by batches of one and of many against bare statements, and print."""
    with backing.postgres.temporary() as url:
        migrate("certnumber", url)
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(sa.text("CREATE TABLE bare_counter (last bigint NOT NULL)"))
            connection.execute(sa.text("INSERT INTO bare_counter VALUES (0)"))
            connection.execute(sa.text("CREATE TABLE bare_ledger (serial bigint PRIMARY KEY, application uuid UNIQUE)"))

        def assign(count: int, limit: int) -> float:
            _fill(engine, count)
            outbox = Outbox("bench")
            started = time.perf_counter()
            done = 0
            while done < count:
                with Session(engine) as session, session.begin():
                    done += assign_batch(session, SystemClock(), outbox, limit)
            return count / (time.perf_counter() - started)

        def bare(count: int, limit: int) -> float:
            started = time.perf_counter()
            for _ in range(0, count, limit):
                applications = [uuid4() for _ in range(limit)]
                with engine.begin() as connection:
                    take = sa.text("UPDATE bare_counter SET last = last + :n RETURNING last")
                    last = connection.execute(take, {"n": limit}).scalar_one()
                    insert = sa.text(
                        "INSERT INTO bare_ledger SELECT :first + o, a "
                        "FROM unnest(CAST(:ids AS uuid[])) WITH ORDINALITY AS t(a, o)"
                    )
                    connection.execute(insert, {"first": last - limit, "ids": applications})
            return count / (time.perf_counter() - started)

        def measured(work: Callable[[int, int], float], count: int, limit: int) -> Measurement:
            return lambda: asyncio.to_thread(work, count, limit)

        await compare(
            "Numbering",
            "numbers/s",
            "one at a time",
            {
                "one at a time": measured(assign, APPROVALS // 10, 1),
                f"batches of {BATCH}": measured(assign, APPROVALS, BATCH),
                f"bare counter + insert of {BATCH}": measured(bare, APPROVALS, BATCH),
            },
            rounds,
        )
        engine.dispose()


def _fill(engine: sa.Engine, count: int) -> None:
    now = datetime.now(UTC)
    with engine.begin() as connection:
        rows = [
            {
                "application_id": uuid4(),
                "decision_no": 1,
                "status": "waiting",
                "post": "10",
                "post_name": "土建施工员",
                "enterprise_name": "南昌一零企业",
                "holder_masked": "张*",
                "approved_at": now,
                "created_at": now,
            }
            for _ in range(count)
        ]
        connection.execute(sa.insert(Approval), rows)
