"""The outbox and its relay: nothing that was committed is lost, nothing else is published."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from itertools import pairwise

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared.messaging import Message, Outbox, Relay
from shared.messaging.tables import OutboxMessage
from shared.persistence.bulk import write_waiting
from shared.persistence.db import Database
from tests.support.backbone import OUTBOX, Pinged, emit, outbox_rows
from tests.support.clock import START
from tests.support.sql import statements
from tests.support.wait import until

BRIEF = timedelta(milliseconds=200)


class Recorder:
    """A publisher that confirms everything, but raises or refuses what it is told to."""

    def __init__(self) -> None:
        self.published: list[str] = []
        self.refused: set[str] = set()
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.called_at: list[float] = []

    @property
    def calls(self) -> int:
        return len(self.called_at)

    async def publish(self, messages: Sequence[Message]) -> list[Exception | None]:
        self.called_at.append(time.monotonic())
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        names = [json.loads(message.body)["data"]["name"] for message in messages]
        self.published += [name for name in names if name not in self.refused]
        return [ValueError(name) if name in self.refused else None for name in names]


@asynccontextmanager
async def running(*relays: Relay) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(relay.run()) for relay in relays]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class TestOutbox:
    async def test_a_rollback_leaves_nothing(self, database: Database) -> None:
        async def fail() -> None:
            async with database.transaction() as session:
                OUTBOX.add(session, Pinged(name="never"), START)
                await session.run_sync(write_waiting)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        assert await outbox_rows(database) == 0

    async def test_an_event_over_the_limit_in_bytes_is_refused_at_once(self, database: Database) -> None:
        async with database.transaction() as session:
            with pytest.raises(ValueError, match=r"test\.pinged is over 262144 bytes"):
                OUTBOX.add(session, Pinged(name="长" * 100_000), START)
        assert await outbox_rows(database) == 0

    async def test_no_events_are_no_rows_and_no_announcement(self, database: Database) -> None:
        calls: list[str] = []
        with OUTBOX.announced_to(lambda: calls.append("committed")):
            async with database.transaction() as session:
                OUTBOX.add(session, [], START)
        assert (calls, await outbox_rows(database)) == ([], 0)

    async def test_announces_each_commit_that_wrote_events_once_while_somebody_listens(
        self, database: Database
    ) -> None:
        calls: list[str] = []
        with OUTBOX.announced_to(lambda: calls.append("committed")):
            async with database.transaction() as session:
                await session.execute(sa.text("SELECT 1"))
            assert calls == []
            async with database.transaction() as session:
                OUTBOX.add(session, Pinged(name="a"), START)
                OUTBOX.add(session, Pinged(name="b"), START)
                await session.run_sync(write_waiting)
                assert calls == []
            assert calls == ["committed"]
        await emit(database, Pinged(name="c"))
        assert calls == ["committed"]


class TestRelay:
    async def test_publishes_a_late_commit_with_an_earlier_id(self, database: Database) -> None:
        recorder = Recorder()
        relay = Relay(OUTBOX, database, recorder)
        async with database.transaction() as session:
            OUTBOX.add(session, Pinged(name="early id, late commit"), START)
            await session.run_sync(write_waiting)
            await emit(database, Pinged(name="late id, early commit"))
            assert await relay.drain() == 1
        assert await relay.drain() == 1
        assert recorder.published == ["late id, early commit", "early id, late commit"]
        assert await outbox_rows(database) == 0

    async def test_several_relays_publish_every_row_once(self, database: Database) -> None:
        names = [f"n{number}" for number in range(400)]
        await emit(database, *(Pinged(name=name) for name in names))
        recorder = Recorder()
        async with running(*(Relay(OUTBOX, database, recorder, batch=30) for _ in range(4))):
            await until(lambda: nothing_left(database), what="an empty outbox")
        assert Counter(recorder.published) == Counter(names)
        assert recorder.calls >= 400 / 30

    async def test_claims_no_more_than_a_batch_in_the_order_of_the_rows(self, database: Database) -> None:
        await emit(database, *(Pinged(name=f"n{number}") for number in range(5)))
        recorder = Recorder()
        assert await Relay(OUTBOX, database, recorder, batch=3).drain() == 3
        assert recorder.published == ["n0", "n1", "n2"]

    async def test_wakes_at_a_commit_of_its_own_process(self, database: Database) -> None:
        recorder = Recorder()
        async with running(Relay(OUTBOX, database, recorder, poll=timedelta(minutes=10))):
            await emit(database, Pinged(name="first"))
            await until(lambda: recorder.published == ["first"], what="the first event")
            await emit(database, Pinged(name="second"))
            await until(lambda: "second" in recorder.published, what="the second event")

    async def test_wakes_at_a_commit_in_another_thread(
        self, database: Database, database_url: str, request: pytest.FixtureRequest
    ) -> None:
        engine = sa.create_engine(database_url)

        def write(name: str) -> None:
            with Session(engine) as session, session.begin():
                OUTBOX.add(session, Pinged(name=name), START)

        recorder = Recorder()
        # So the loop refuses what is not meant for other threads, which may seem to work while it is busy.
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        request.addfinalizer(lambda: loop.set_debug(False))
        async with running(Relay(OUTBOX, database, recorder, poll=timedelta(minutes=10))):
            await asyncio.to_thread(write, "first")
            await until(lambda: recorder.published == ["first"], what="the first event")
            await asyncio.to_thread(write, "second")
            await until(lambda: "second" in recorder.published, what="the second event")
        engine.dispose()

    async def test_finds_what_nobody_told_of_by_polling(self, database: Database) -> None:
        recorder = Recorder()
        async with running(Relay(OUTBOX, database, recorder, poll=BRIEF)):
            async with database.transaction() as session:
                Outbox("of another process").add(session, Pinged(name="elsewhere"), START)
            await until(lambda: recorder.published, what="the event of the other process")

    async def test_looks_at_once_when_it_is_woken(self, database: Database) -> None:
        recorder = Recorder()
        relay = Relay(OUTBOX, database, recorder, poll=timedelta(minutes=10))
        async with running(relay):
            await emit(database, Pinged(name="ours"))
            await until(lambda: recorder.published, what="the relay is up")
            async with database.transaction() as session:
                Outbox("of another process").add(session, Pinged(name="elsewhere"), START)
            relay.wake()
            await until(lambda: recorder.published == ["ours", "elsewhere"], what="the event of the other process")

    async def test_reads_a_batch_while_another_one_is_confirmed(self, database: Database) -> None:
        under_way, both = [0], asyncio.Event()

        class Unhurried(Recorder):
            """From the second call on, it confirms only while there is another one."""

            async def publish(self, messages: Sequence[Message]) -> list[Exception | None]:
                if self.published:
                    under_way[0] += 1
                    if under_way[0] == 2:
                        both.set()
                    await both.wait()
                return await super().publish(messages)

        await emit(database, *(Pinged(name=f"n{number}") for number in range(5)))
        async with running(Relay(OUTBOX, database, recorder := Unhurried(), batch=1, poll=timedelta(minutes=10))):
            await until(lambda: len(recorder.published) == 5, what="all of them")

    async def test_a_refused_row_waits_and_the_others_go(self, database: Database) -> None:
        recorder = Recorder()
        recorder.refused = {"bad"}
        await emit(database, Pinged(name="bad"), Pinged(name="good"))
        relay = Relay(OUTBOX, database, recorder, max_backoff=BRIEF)
        assert await relay.drain() == 2
        assert recorder.published == ["good"]
        async with database.transaction() as session:
            (row,) = (await session.scalars(sa.select(OutboxMessage))).all()
        assert row.lease is None
        assert row.due_at - row.created_at > BRIEF / 2, "it is not due at once"
        recorder.refused.clear()
        await until(relay.drain, what="the refused row is due again")
        assert recorder.published == ["good", "bad"]
        assert await outbox_rows(database) == 0

    async def test_gives_its_rows_back_when_it_cannot_publish(self, database: Database) -> None:
        recorder = Recorder()
        recorder.error = ConnectionError()
        await emit(database, Pinged(name="kept"))
        with pytest.raises(ConnectionError):
            await Relay(OUTBOX, database, recorder).drain()
        assert await Relay(OUTBOX, database, other := Recorder()).drain() == 1
        assert other.published == ["kept"]

    async def test_says_what_stops_it_after_a_full_batch(self, database: Database) -> None:
        class Ending(Recorder):
            async def publish(self, messages: Sequence[Message]) -> list[Exception | None]:
                results = await super().publish(messages)
                self.error = ConnectionError()
                return results

        await emit(database, *(Pinged(name=f"n{number}") for number in range(5)))
        with pytest.raises(ConnectionError):
            await Relay(OUTBOX, database, recorder := Ending(), batch=2).empty()
        assert len(recorder.published) == 2
        assert await outbox_rows(database) == 3

    async def test_gives_its_rows_back_when_it_is_stopped(self, database: Database) -> None:
        recorder = Recorder()
        recorder.gate.clear()
        await emit(database, Pinged(name="kept"))
        async with running(Relay(OUTBOX, database, recorder)):
            await until(lambda: recorder.calls, what="the relay is publishing")
        assert await Relay(OUTBOX, database, other := Recorder()).drain() == 1
        assert other.published == ["kept"]

    async def test_ends_when_it_is_cancelled_at_the_instant_of_a_commit(self, database: Database) -> None:
        relay = Relay(OUTBOX, database, Recorder(), poll=timedelta(minutes=10))
        for passes in range(4):
            with statements(database) as sent:
                task = asyncio.create_task(relay.run())
                await until(lambda: sent, what="the relay has looked, and waits")
            relay.wake()
            for _ in range(passes):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    async def test_pauses_longer_and_longer_in_an_outage_and_then_catches_up(self, database: Database) -> None:
        recorder = Recorder()
        recorder.error = ConnectionError()
        names = [f"n{number}" for number in range(20)]
        await emit(database, *(Pinged(name=name) for name in names))
        relay = Relay(OUTBOX, database, recorder, batch=2, retry=timedelta(milliseconds=20), max_backoff=BRIEF)
        async with running(relay):
            await until(lambda: recorder.calls, what="the first try")
            for number in range(5):
                await emit(database, Pinged(name=f"meanwhile {number}"))
            await until(lambda: recorder.calls >= 5, what="several tries")
            recorder.error = None
            await until(lambda: nothing_left(database), what="everything catches up")
        assert Counter(recorder.published) == Counter([*names, *(f"meanwhile {number}" for number in range(5))])
        pauses = [later - earlier for earlier, later in pairwise(recorder.called_at[:5])]
        # At least, whatever is written meanwhile; a timer may be early by its resolution.
        assert all(pause > least - 0.005 for pause, least in zip(pauses, (0.02, 0.04, 0.08, 0.16), strict=True)), pauses

    async def test_goes_on_at_once_after_a_full_batch(self, database: Database) -> None:
        await emit(database, Pinged(name="first"), Pinged(name="second"))
        recorder = Recorder()
        async with running(Relay(OUTBOX, database, recorder, batch=1, poll=timedelta(minutes=10))):
            await until(lambda: recorder.published == ["first", "second"], what="both events")

    async def test_survives_one_outage_after_another(self, database: Database) -> None:
        recorder = Recorder()
        relay = Relay(OUTBOX, database, recorder, retry=timedelta(milliseconds=20), max_backoff=BRIEF)
        async with running(relay):
            for name in ("after the first", "after the second"):
                recorder.error = ConnectionError()
                recorder.called_at.clear()
                await emit(database, Pinged(name=name))
                await until(lambda: recorder.calls, what="a try that fails")
                recorder.error = None
                await until(lambda: nothing_left(database), what=name)
                await relay.check()
        assert recorder.published == ["after the first", "after the second"]

    async def test_survives_an_outage_of_its_database(self, database: Database) -> None:
        recorder = Recorder()
        async with running(Relay(OUTBOX, database, recorder, retry=timedelta(milliseconds=20), max_backoff=BRIEF)):
            await kill_connections(database)
            await emit(database, Pinged(name="after"))
            await until(lambda: recorder.published == ["after"], what="the event after the outage")

    async def test_statements_do_not_grow_with_the_batch(self, database: Database) -> None:
        counts = []
        for size in (1, 150):
            await emit(database, *(Pinged(name=f"n{number}") for number in range(size)))
            with statements(database) as seen:
                assert await Relay(OUTBOX, database, Recorder()).drain() == size
            counts.append(len(seen))
        assert counts == [3, 3], "one locks, one deletes, and one says that this need not wait for the disk"


async def kill_connections(database: Database) -> None:
    """End all of them, its own last, and wait until they have ended."""
    statement = (
        "SELECT pg_terminate_backend(pid, 60000) FROM (SELECT pid FROM pg_stat_activity"
        " WHERE datname = current_database() ORDER BY pid = pg_backend_pid() OFFSET 0) AS others"
    )
    with suppress(sa.exc.DBAPIError):
        async with database.transaction() as session:
            await session.execute(sa.text(statement))


async def nothing_left(database: Database) -> bool:
    return await outbox_rows(database) == 0
