"""The wrapper around handlers, on a real database and without a transport."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import sqlalchemy as sa
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.messaging import Consumer, Envelope, Message, Received, Verdict, traced
from shared.messaging.tables import InboxMessage
from shared.observability.telemetry import bind_trace, current_traceparent, new_traceparent
from shared.persistence.db import Database
from shared.runtime.maintenance import INBOX_RETENTION, clean
from tests.support.backbone import FIRST, Orders, Pinged, Ponged, count, effects, subscription
from tests.support.clock import START
from tests.support.events import message
from tests.support.sql import read_only, statements


def consumer(database: Database) -> Consumer:
    return Consumer(subscription(FIRST), Orders(FIRST), database)


def batch(size: int) -> list[Message]:
    """Both types of event, alternating."""
    return [message((Pinged, Ponged)[number % 2](name=f"n{number}")) for number in range(size)]


class TestBatches:
    async def test_statements_do_not_grow_with_the_batch(self, database: Database) -> None:
        counts = []
        for size in (2, 64):
            with statements(database) as seen:
                outcomes = await consumer(database).process(batch(size))
            assert {outcome.verdict for outcome in outcomes} == {Verdict.done}
            counts.append(len(seen))
        assert counts == [3, 3], "the inbox, and each handler's one"

    async def test_the_same_batch_in_several_consumers_at_once_takes_effect_once(self, database: Database) -> None:
        messages = batch(40)
        copies = [messages, messages[::-1], messages[20:] + messages[:20]]
        for outcomes in await asyncio.gather(*(consumer(database).process(copy) for copy in copies)):
            assert {outcome.verdict for outcome in outcomes} == {Verdict.done}
        assert await effects(database, FIRST) == {f"n{number}": 1 for number in range(40)}

    async def test_a_statement_that_fails_in_the_database_spoils_no_other_event(self, database: Database) -> None:
        good, bad, other = message(Pinged(name="good")), message(Pinged(name="bad")), message(Pinged(name="other"))
        async with database.transaction() as session:
            await session.execute(sa.text("ALTER TABLE effects ADD CHECK (name <> 'bad')"))
        outcomes = await consumer(database).process([good, bad, other])
        assert [outcome.verdict for outcome in outcomes] == [Verdict.done, Verdict.retry, Verdict.done]
        assert [outcome.counted for outcome in outcomes if outcome.verdict is Verdict.retry] == [True]
        assert await effects(database, FIRST) == {"good": 1, "other": 1}
        assert await count(database, InboxMessage) == 2

    async def test_an_outage_is_tried_once_for_the_whole_batch(self, database: Database) -> None:
        unreachable = Database(str(database.engine.url.set(port=1)))
        outcomes = await consumer(unreachable).process(batch(3))
        assert [(outcome.verdict, outcome.counted) for outcome in outcomes] == [(Verdict.retry, False)] * 3
        await unreachable.close()

    async def test_a_read_only_database_is_an_outage_and_costs_no_attempt(self, database: Database) -> None:
        messages = batch(3)
        with read_only(database):
            for _ in range(FIRST.max_attempts + 1):
                outcomes = await consumer(database).process(messages)
                assert [(outcome.verdict, outcome.counted) for outcome in outcomes] == [(Verdict.retry, False)] * 3
        outcomes = await consumer(database).process(messages)
        assert {outcome.verdict for outcome in outcomes} == {Verdict.done}
        assert await count(database, InboxMessage) == 3


class TestActivity:
    async def test_a_consumer_that_no_transport_serves_yet_is_not_subscribed(self, database: Database) -> None:
        activity = consumer(database).activity
        assert not activity.subscribed
        with activity.subscription():
            assert activity.subscribed


class TestTrace:
    async def test_an_event_carries_the_trace_that_wrote_it(self) -> None:
        traceparent = new_traceparent()
        bind_trace(traceparent)
        received = Received(
            uuid4(), START, Envelope.wrap(Pinged(name="traced"), "test", START).traceparent, Pinged(name="traced")
        )
        assert received.traceparent == traceparent
        bind_trace(None)
        assert [current_traceparent() for _ in traced([received])] == [traceparent]

    async def test_an_event_s_handling_goes_on_in_its_trace(
        self, database: Database, exporter: InMemorySpanExporter
    ) -> None:
        traceparent = new_traceparent()
        bind_trace(traceparent)
        sent = message(Pinged(name="traced"))
        bind_trace(None)
        await consumer(database).process([sent])
        (span,) = [span for span in exporter.get_finished_spans() if span.name == f"process {FIRST.name}"]
        assert span.parent is not None
        assert f"{span.parent.trace_id:032x}" == traceparent.split("-")[1]


class TestCleaning:
    async def test_forgets_only_what_can_no_longer_be_replayed(self, database: Database) -> None:
        ages = {"old": INBOX_RETENTION + timedelta(hours=1), "young": INBOX_RETENTION - timedelta(days=1)}
        async with database.transaction() as session:
            for name, age in ages.items():
                statement = sa.insert(InboxMessage).values(
                    queue=name, event_id=sa.func.gen_random_uuid(), received_at=sa.func.now() - age
                )
                await session.execute(statement)
        await clean(database)
        async with database.transaction() as session:
            assert (await session.scalars(sa.select(InboxMessage.queue))).all() == ["young"]
