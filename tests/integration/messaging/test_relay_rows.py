"""What a relay leaves in the outbox, and what it tells operators."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, ClassVar, NamedTuple
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from sqlalchemy.ext.asyncio import AsyncSession

import shared.messaging.relay as module
from shared.messaging import Envelope, Event, Outbox, Relay
from shared.messaging.events import MAX_ENVELOPE_BYTES
from shared.messaging.health import Stalled
from shared.messaging.tables import OutboxMessage
from shared.observability.metrics import PUBLISHED
from shared.persistence.db import Database
from tests.integration.messaging.test_relay import Recorder, running
from tests.support.backbone import OUTBOX, Pinged, emit
from tests.support.clock import START
from tests.support.logs import logged_by
from tests.support.wait import until

HOUR = timedelta(hours=1)


class Told(Event):
    type: ClassVar[str] = "test.told"
    subject_field: ClassVar[str] = "key"
    key: str = "k"
    text: str


class Row(NamedTuple):
    """An outbox row; `waits` are the seconds until it is due."""

    lease: UUID | None
    attempts: int
    waits: float


class Vanishing(Database):
    """A database that at some point no longer answers, or says that it does not."""

    gone = False
    hangs = False

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        if self.gone and self.hangs:
            await asyncio.Event().wait()
        if self.gone:
            raise ConnectionResetError
        async with super().transaction() as session:
            yield session


async def row(database: Database) -> Row:
    waits = sa.extract("epoch", OutboxMessage.due_at - sa.func.now())
    async with database.transaction() as session:
        found = (await session.execute(sa.select(OutboxMessage.lease, OutboxMessage.attempts, waits))).one()
    return Row(found[0], found[1], float(found[2]))


async def change(database: Database, **values: Any) -> None:
    async with database.transaction() as session:
        await session.execute(sa.update(OutboxMessage).values(**values))


def published(outcome: str) -> float:
    return float(PUBLISHED.labels("test", outcome)._value.get())


class TestOutbox:
    def test_is_named_and_has_no_listener_at_first(self) -> None:
        outbox = Outbox("named")
        assert outbox.service == "named"
        with outbox.announced_to(print):
            pass

    async def test_keeps_the_event_as_it_travels(self, database: Database) -> None:
        async with database.transaction() as session:
            Outbox("named").add(session, Pinged(name="长"), START)
        async with database.transaction() as session:
            kept = (await session.scalars(sa.select(OutboxMessage))).one()
        assert kept.routing_key == "test.pinged.v1"
        assert '"source":"/named"' in kept.envelope
        assert f'"id":"{kept.event_id}"' in kept.envelope
        assert '"data":{"name":"长"}' in kept.envelope

    async def test_an_event_of_just_the_limit_is_taken(self, database: Database) -> None:
        empty = Envelope.wrap(Told(text=""), OUTBOX.service, START).model_dump_json()
        most = MAX_ENVELOPE_BYTES - len(empty)
        async with database.transaction() as session:
            OUTBOX.add(session, Told(text="x" * most), START)
            with pytest.raises(ValueError, match=r"^test\.told is over 262144 bytes$"):
                OUTBOX.add(session, Told(text="x" * (most + 1)), START)
        async with database.transaction() as session:
            assert len((await session.scalars(sa.select(OutboxMessage.envelope))).one()) == MAX_ENVELOPE_BYTES


class TestLease:
    async def test_a_claimed_row_is_leased_for_as_long_as_is_said(self, database: Database) -> None:
        recorder = Recorder()
        recorder.gate.clear()
        await emit(database, Pinged(name="a"))
        task = asyncio.create_task(Relay(OUTBOX, database, recorder, lease=HOUR).drain())
        await until(lambda: recorder.calls, what="the relay is publishing")
        leased = await row(database)
        assert leased.lease is not None
        assert leased.attempts == 1
        assert 3000 < leased.waits <= 3600
        recorder.gate.set()
        assert await task == 1

    async def test_a_row_is_given_back_at_once_by_who_could_not_publish(self, database: Database) -> None:
        recorder = Recorder()
        recorder.error = ConnectionError()
        await emit(database, Pinged(name="a"))
        with pytest.raises(ConnectionError):
            await Relay(OUTBOX, database, recorder, lease=HOUR).drain()
        freed = await row(database)
        assert (freed.lease, freed.attempts) == (None, 1)
        assert freed.waits <= 0

    async def test_others_leases_are_not_given_back(self, database: Database) -> None:
        await emit(database, Pinged(name="theirs"))
        theirs = uuid4()
        await change(database, lease=theirs, due_at=sa.func.now() + HOUR)
        await emit(database, Pinged(name="ours"))
        recorder = Recorder()
        recorder.error = ConnectionError()
        with pytest.raises(ConnectionError):
            await Relay(OUTBOX, database, recorder).drain()
        recorder.error = None
        assert await Relay(OUTBOX, database, recorder).drain() == 1
        assert recorder.published == ["ours"]
        assert (await row(database)).lease == theirs

    @pytest.mark.parametrize("hangs", [False, True])
    async def test_a_database_that_is_away_as_well_does_not_hide_why_it_could_not(
        self, database_url: str, hangs: bool
    ) -> None:
        database = Vanishing(database_url)
        await emit(database, Pinged(name="a"))
        recorder = Recorder()
        recorder.gate.clear()
        recorder.error = ConnectionError("the broker")
        task = asyncio.create_task(Relay(OUTBOX, database, recorder).drain())
        await until(lambda: recorder.calls, what="the relay is publishing")
        database.hangs, database.gone = hangs, True
        recorder.gate.set()
        with pytest.raises(ConnectionError, match="the broker"):
            await task
        await database.close()

    async def test_a_row_that_somebody_has_locked_is_left_and_the_others_go(
        self, database: Database, database_url: str
    ) -> None:
        await emit(database, Pinged(name="locked"), Pinged(name="free"))
        first = sa.select(OutboxMessage.id).order_by(OutboxMessage.id).limit(1).with_for_update()
        # Whoever waits for the lock gets an error instead.
        url = sa.make_url(database_url).update_query_dict({"options": "-c lock_timeout=1"})
        impatient = Database(url.render_as_string(hide_password=False))
        async with database.transaction() as session:
            await session.execute(first)
            assert await Relay(OUTBOX, impatient, recorder := Recorder()).drain() == 1
        assert recorder.published == ["free"]
        await impatient.close()


class TestRefused:
    async def test_the_next_owner_of_a_row_keeps_it(self, database: Database) -> None:
        slow, second = Recorder(), Recorder()
        slow.refused = {"twice"}
        slow.gate.clear()
        second.gate.clear()
        await emit(database, Pinged(name="twice"))
        old = asyncio.create_task(Relay(OUTBOX, database, slow, lease=timedelta(0)).drain())
        await until(lambda: slow.calls, what="the first owner is publishing")
        new = asyncio.create_task(Relay(OUTBOX, database, second, lease=HOUR).drain())
        await until(lambda: second.calls, what="the second owner is publishing")
        owned = await row(database)
        slow.gate.set()
        assert await old == 1
        assert (await row(database)).lease == owned.lease is not None
        second.gate.set()
        assert await new == 1

    @pytest.mark.parametrize(
        ("attempts", "limit", "least", "most"),
        [
            # 0.1 s, doubled with each attempt up to ten of them.
            (8, HOUR, 30, 51.2),
            (9, HOUR, 80, 102.4),
            (30, HOUR, 80, 102.4),
            (30, timedelta(seconds=70), 50, 70),
        ],
    )
    async def test_it_waits_twice_as_long_each_time_up_to_a_limit(
        self, database: Database, attempts: int, limit: timedelta, least: float, most: float
    ) -> None:
        recorder = Recorder()
        recorder.refused = {"bad"}
        await emit(database, Pinged(name="bad"))
        await change(database, attempts=attempts)
        assert await Relay(OUTBOX, database, recorder, max_backoff=limit).drain() == 1
        kept = await row(database)
        assert (kept.lease, kept.attempts) == (None, attempts + 1)
        assert least < kept.waits <= most

    async def test_is_logged_and_counted_beside_what_was_confirmed(self, database: Database) -> None:
        recorder = Recorder()
        recorder.refused = {"bad", "worse"}
        await emit(database, *(Pinged(name=name) for name in ("good", "bad", "worse", "better", "best")))
        before = published("confirmed"), published("failed")
        with logged_by(module) as lines:
            assert await Relay(OUTBOX, database, recorder).drain() == 5
        assert (published("confirmed"), published("failed")) == (before[0] + 3, before[1] + 2)
        assert lines == [
            {"event": "relay.unconfirmed", "log_level": "warning", "rows": 2, "error": "ValueError"},
        ]

    async def test_the_oldest_due_row_goes_first(self, database: Database) -> None:
        recorder = Recorder()
        await emit(database, Pinged(name="written first, due later"))
        await change(database, due_at=sa.func.now() - timedelta(seconds=1))
        await emit(database, Pinged(name="due first"))
        async with database.transaction() as session:
            newest = sa.select(sa.func.max(OutboxMessage.id)).scalar_subquery()
            await session.execute(
                sa.update(OutboxMessage).where(OutboxMessage.id == newest).values(due_at=sa.func.now() - HOUR)
            )
        relay = Relay(OUTBOX, database, recorder, batch=1)
        assert [await relay.drain(), await relay.drain(), await relay.drain()] == [1, 1, 0]
        assert recorder.published == ["due first", "written first, due later"]


class TestSpans:
    async def test_each_event_leaves_one_of_its_publication(
        self, database: Database, exporter: InMemorySpanExporter
    ) -> None:
        recorder = Recorder()
        recorder.refused = {"bad"}
        await emit(database, Pinged(name="good"), Pinged(name="bad"))
        before = time.time_ns()
        assert await Relay(OUTBOX, database, recorder).drain() == 2
        spans = [span for span in exporter.get_finished_spans() if span.name == "publish test.pinged.v1"]
        assert [span.status.status_code for span in spans] == [StatusCode.UNSET, StatusCode.ERROR]
        for span in spans:
            assert span.resource.attributes["service.name"] == "ganzheng-test"
            assert span.start_time is not None
            assert span.end_time is not None
            assert before <= span.start_time < span.end_time


class TestHealth:
    async def test_an_outage_is_logged_by_its_kind_only(self, database: Database) -> None:
        recorder = Recorder()
        recorder.error = ConnectionError("amqp://user:password@host")
        await emit(database, Pinged(name="a"))
        with logged_by(module) as lines:
            async with running(Relay(OUTBOX, database, recorder)):
                await until(lambda: lines, what="a line")
        assert lines[0] == {"event": "relay.failed", "log_level": "warning", "error": "ConnectionError"}

    async def test_is_well_until_it_gets_through_no_more(self, database: Database) -> None:
        await Relay(OUTBOX, database, Recorder(), stall_timeout=HOUR).check()
        with pytest.raises(Stalled):
            await Relay(OUTBOX, database, Recorder(), stall_timeout=-HOUR).check()
