"""What a relay leaves in the outbox, and what it tells operators."""

import asyncio
import time
from datetime import timedelta
from typing import Any, ClassVar, NamedTuple
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

import shared.messaging.relay as module
from shared.messaging import Envelope, Event, Outbox, Relay
from shared.messaging.events import MAX_ENVELOPE_BYTES
from shared.messaging.health import Stalled
from shared.messaging.tables import OutboxMessage
from shared.observability.metrics import PUBLISHED
from shared.persistence.db import Database
from tests.integration.messaging.test_relay import Recorder, kill_connections, running
from tests.support.backbone import OUTBOX, Pinged, emit
from tests.support.clock import START
from tests.support.logs import logged_by
from tests.support.sql import statements
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


async def claim_as_before(database: Database) -> int:
    """What the relay of 0.1.0 does; returns how many rows it has leased."""
    due = sa.select(OutboxMessage.id).where(OutboxMessage.due_at <= sa.func.now()).limit(200)
    due_ids = due.order_by(OutboxMessage.due_at, OutboxMessage.id).with_for_update(skip_locked=True).cte("due")
    claim = (
        sa.update(OutboxMessage)
        .where(OutboxMessage.id.in_(sa.select(due_ids.c.id)))
        .values(lease=uuid4(), due_at=sa.func.now() + HOUR, attempts=OutboxMessage.attempts + 1)
        .returning(OutboxMessage.id)
    )
    async with database.transaction() as session:
        return len((await session.execute(claim)).all())


class TestLocks:
    async def test_what_is_being_published_is_passed_over_by_every_other_relay(self, database: Database) -> None:
        recorder = Recorder()
        recorder.gate.clear()
        await emit(database, Pinged(name="a"))
        task = asyncio.create_task(Relay(OUTBOX, database, recorder).drain())
        await until(lambda: recorder.calls, what="the relay is publishing")
        assert await Relay(OUTBOX, database, other := Recorder()).drain() == 0
        assert await claim_as_before(database) == 0
        recorder.gate.set()
        assert await task == 1
        assert (recorder.published, other.published) == (["a"], [])

    async def test_what_a_relay_of_the_version_before_has_leased_is_left_until_it_is_due(
        self, database: Database
    ) -> None:
        await emit(database, Pinged(name="theirs"))
        assert await claim_as_before(database) == 1
        await emit(database, Pinged(name="ours"))
        recorder = Recorder()
        relay = Relay(OUTBOX, database, recorder)
        assert await relay.drain() == 1
        assert recorder.published == ["ours"]
        await change(database, due_at=sa.func.now())
        assert await relay.drain() == 1
        assert recorder.published == ["ours", "theirs"]

    async def test_a_row_is_given_back_as_it_was_by_who_could_not_publish(self, database: Database) -> None:
        recorder = Recorder()
        recorder.error = ConnectionError()
        await emit(database, Pinged(name="a"))
        before = await row(database)
        with pytest.raises(ConnectionError):
            await Relay(OUTBOX, database, recorder).drain()
        freed = await row(database)
        assert (freed.lease, freed.attempts) == (before.lease, before.attempts) == (None, 0)
        assert freed.waits <= 0

    async def test_rows_are_free_when_the_connection_of_their_relay_is_lost(self, database: Database) -> None:
        recorder = Recorder()
        recorder.gate.clear()
        await emit(database, Pinged(name="a"))
        task = asyncio.create_task(Relay(OUTBOX, database, recorder).drain())
        await until(lambda: recorder.calls, what="the relay is publishing")
        await kill_connections(database)
        await until(Relay(OUTBOX, database, other := Recorder()).drain, what="the database lets go of the row")
        recorder.gate.set()
        with pytest.raises(sa.exc.OperationalError):
            await task
        assert (recorder.published, other.published) == (["a"], ["a"]), "at least once"

    async def test_a_database_that_is_away_as_well_does_not_hide_why_it_could_not(self, database: Database) -> None:
        await emit(database, Pinged(name="a"))
        recorder = Recorder()
        recorder.gate.clear()
        recorder.error = ConnectionError("the broker")
        task = asyncio.create_task(Relay(OUTBOX, database, recorder).drain())
        await until(lambda: recorder.calls, what="the relay is publishing")
        await kill_connections(database)
        recorder.gate.set()
        with pytest.raises(ConnectionError, match="the broker"):
            await task

    async def test_only_the_relay_s_own_commits_do_not_wait_for_the_disk(self, database: Database) -> None:
        await emit(database, Pinged(name="a"))
        with statements(database) as sent:
            assert await Relay(OUTBOX, database, Recorder()).drain() == 1
        assert [each for each in sent if "synchronous_commit" in each] == ["SET LOCAL synchronous_commit = off"]
        async with database.transaction() as session:
            assert await session.scalar(sa.text("SHOW synchronous_commit")) == "on"

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

    async def test_it_is_tried_again_when_it_is_due_without_anybody_looking(self, database: Database) -> None:
        recorder = Recorder()
        recorder.refused = {"bad"}
        await emit(database, Pinged(name="bad"))
        async with running(Relay(OUTBOX, database, recorder, poll=HOUR)):
            await until(lambda: recorder.calls == 2, what="a second try")
            recorder.refused.clear()
            await until(lambda: recorder.published == ["bad"], what="the third")

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
