"""A relay hears at once of what another process has committed, and never depends on it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

import shared.messaging.announcing as module
from shared.messaging import Announcer, Outbox, Relay, announce, listen
from shared.persistence.db import Database
from tests.integration.messaging.test_relay import Recorder, kill_connections
from tests.support.backbone import OUTBOX, Pinged
from tests.support.clock import START
from tests.support.logs import logged_by
from tests.support.wait import until

NEVER = timedelta(hours=1)


@asynccontextmanager
async def running(*work: Any) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def recorder(database: Database) -> AsyncIterator[Recorder]:
    """What a relay that looks only when it is told has published. It is told of its own rows by nobody."""
    recorder = Recorder()
    relay = Relay(Outbox("of the relay's process"), database, recorder, poll=NEVER)
    heard: list[int] = []

    def hear() -> None:
        heard.append(1)
        relay.wake()

    async with running(relay.run(), listen(database, hear)):
        await until(lambda: heard, what="it listens")
        yield recorder


async def write(database: Database, name: str) -> None:
    async with database.transaction() as session:
        OUTBOX.add(session, Pinged(name=name), START)


async def test_a_relay_hears_of_the_commits_of_another_process(
    database: Database, database_url: str, recorder: Recorder
) -> None:
    other = Database(database_url)
    async with running(announce(OUTBOX, other)):
        for number in range(3):
            await write(other, f"n{number}")
            await until(lambda: len(recorder.published) > number, what="what the other process wrote")  # noqa: B023
    await other.close()
    assert recorder.published == ["n0", "n1", "n2"]


async def test_both_connect_again_when_their_connections_are_lost(database: Database, recorder: Recorder) -> None:
    with logged_by(module) as lines:
        async with running(announce(OUTBOX, database)):
            await write(database, "before")
            await until(lambda: recorder.published == ["before"], what="the first")
            await kill_connections(database)
            await until(lambda: lines, what="somebody notices")
            await write(database, "after")
            await until(lambda: recorder.published == ["before", "after"], what="the second")
    assert {(line["event"], line["log_level"]) for line in lines} == {("announcing.lost", "warning")}


async def test_a_process_without_an_event_loop_tells_as_well(
    database: Database, database_url: str, recorder: Recorder
) -> None:
    announcer = Announcer(database_url)
    outbox, engine = Outbox("certnumber", announcer.tell), sa.create_engine(database_url)

    def work(name: str) -> None:
        with sa.orm.Session(engine) as session, session.begin():
            outbox.add(session, Pinged(name=name), START)

    await asyncio.to_thread(work, "first")
    await until(lambda: recorder.published == ["first"], what="the first")
    await kill_connections(database)
    with pytest.raises(psycopg.OperationalError):
        await asyncio.to_thread(announcer.tell)
    engine.dispose()
    await asyncio.to_thread(work, "second")
    await until(lambda: recorder.published == ["first", "second"], what="the second, on a new connection")
    announcer.close()
    announcer.close()
    engine.dispose()


async def test_nobody_who_writes_waits_for_the_telling(database: Database, database_url: str) -> None:
    unreachable = Database(str(sa.make_url(database_url).set(port=1)))
    async with running(announce(OUTBOX, unreachable), listen(unreachable, lambda: None)) as tasks:
        await write(database, "kept")
        assert not any(task.done() for task in tasks)
    await unreachable.close()
