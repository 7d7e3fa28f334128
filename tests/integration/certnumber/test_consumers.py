import json
from collections.abc import Callable
from uuid import uuid4

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.certnumber.container import CertnumberContainer
from shared.contracts.renewal import ApplicationState
from shared.messaging import Consumer, Message, Verdict
from tests.support.events import message
from tests.support.numbering import (
    approved,
    assign,
    assign_all,
    deliver,
    events_of,
    fetch,
    history,
    proof_of,
    redelivered,
    withdrawn,
)

ASSIGN = None
LEDGER = "SELECT * FROM ledger WHERE application_id = :application ORDER BY decision_no"
APPROVALS = "SELECT * FROM approvals WHERE application_id = :application ORDER BY decision_no"


async def test_keeps_no_name_and_no_id_number(consumer: Consumer, container: CertnumberContainer) -> None:
    application = uuid4()
    await deliver(consumer, [message(approved(application))])
    (row,) = await fetch(container.database, APPROVALS, application=application)
    assert (row["holder_masked"], row["post"], row["enterprise_name"]) == ("张**", "10", "南昌一零企业")
    assert "安宁" not in str(row)
    assert "36019919900101001X" not in str(row)


async def test_a_sealed_block_it_cannot_open_is_a_dead_letter(consumer: Consumer) -> None:
    event = approved(uuid4()).model_copy(update={"person": "k9.AAAA"})
    assert [outcome.verdict for outcome in await consumer.process([message(event)])] == [Verdict.dead]


class TestWithdrawal:
    async def test_before_numbering_leaves_no_number(
        self, consumer: Consumer, container: CertnumberContainer, engine: sa.Engine
    ) -> None:
        application = uuid4()
        await deliver(consumer, map(message, history(application, 2)))
        assert assign(engine) == 0
        assert await fetch(container.database, LEDGER, application=application) == []
        assert await events_of(container.database, application) == []

    async def test_after_numbering_voids_the_number(
        self, consumer: Consumer, container: CertnumberContainer, engine: sa.Engine
    ) -> None:
        application = uuid4()
        await deliver(consumer, [message(approved(application))])
        assign(engine)
        event = message(withdrawn(application))
        await deliver(consumer, [event])
        (entry,) = await fetch(container.database, LEDGER, application=application)
        assert (entry["state"], entry["void_reason"]) == ("void", "mistake：误审")
        assigned, voided = await events_of(container.database, application)
        assert (assigned["type"], voided["type"]) == ("certnumber.assigned", "certnumber.voided")
        assert voided["number"] == assigned["number"] == entry["number"]
        trace = json.loads(event.body)["traceparent"]
        rows = await fetch(container.database, "SELECT envelope::json ->> 'traceparent' AS trace FROM outbox")
        assert [row["trace"] for row in rows][-1] == trace

    async def test_that_comes_first_outlives_the_approval(
        self, consumer: Consumer, container: CertnumberContainer, engine: sa.Engine
    ) -> None:
        application = uuid4()
        await deliver(consumer, [message(withdrawn(application))])
        await deliver(consumer, [message(approved(application))])
        assert assign(engine) == 0
        (row,) = await fetch(container.database, APPROVALS, application=application)
        assert row["status"] == "withdrawn"


class TestReapproval:
    async def test_takes_a_new_number_that_names_the_old_one(
        self, consumer: Consumer, container: CertnumberContainer, engine: sa.Engine
    ) -> None:
        application = uuid4()
        for event in history(application, 5):
            await deliver(consumer, [message(event)])
            assign(engine)
        first, second, third = await fetch(container.database, LEDGER, application=application)
        assert [entry["state"] for entry in (first, second, third)] == ["void", "void", "valid"]
        assert first["replaces"] is None
        assert (second["replaces"], third["replaces"]) == (first["number"], second["number"])
        assigned = [event for event in await events_of(container.database, application) if "replaces" in event]
        assert [event["replaces"] for event in assigned] == [None, first["number"], second["number"]]

    async def test_waits_for_the_withdrawal_it_follows(
        self, consumer: Consumer, container: CertnumberContainer, engine: sa.Engine
    ) -> None:
        first, withdrawal, second = history(uuid4(), 3)
        await deliver(consumer, [message(second)])
        assert assign(engine) == 0
        await deliver(consumer, [message(first)])
        assert assign(engine) == 1
        await deliver(consumer, [message(withdrawal)])
        assert (await proof_of(container.database)).waiting == 0

    async def test_waits_while_an_older_approval_holds_a_number(
        self, consumer: Consumer, container: CertnumberContainer, engine: sa.Engine
    ) -> None:
        """The withdrawal of 3 is here, that of 1 is not: 5 follows a withdrawn approval and still has to wait."""
        first, first_withdrawal, second, second_withdrawal, third = history(uuid4(), 5)
        await deliver(consumer, [message(first)])
        assert assign(engine) == 1
        await deliver(consumer, [message(event) for event in (second, second_withdrawal, third)])
        assert assign(engine) == 0
        await deliver(consumer, [message(first_withdrawal)])
        assert assign(engine) == 1
        assert (await proof_of(container.database)).gapless


@pytest.mark.parametrize("again", [message, redelivered], ids=["published again", "delivered again"])
async def test_repetition_changes_nothing(
    consumer: Consumer, container: CertnumberContainer, engine: sa.Engine, again: Callable[[ApplicationState], Message]
) -> None:
    application = uuid4()
    for event in history(application, 3):
        await deliver(consumer, [redelivered(event)])
        assign(engine)
    before = await fetch(container.database, LEDGER, application=application)
    for event in history(application, 3):
        await deliver(consumer, [again(event)])
        assert assign(engine) == 0
    assert await fetch(container.database, LEDGER, application=application) == before


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
async def test_any_order_and_number_of_deliveries_ends_the_same(
    data: st.DataObject, consumer: Consumer, container: CertnumberContainer, engine: sa.Engine
) -> None:
    decisions = {uuid4(): count for count in data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))}
    events = [event for application, count in decisions.items() for event in history(application, count)]
    repeated = data.draw(st.lists(st.sampled_from(events), max_size=4))
    numberings = data.draw(st.integers(0, 4))
    deliveries: list[ApplicationState | None] = [*events, *repeated, *[ASSIGN] * numberings]
    steps = data.draw(st.permutations(deliveries))
    batched, republished = data.draw(st.booleans()), data.draw(st.booleans())
    batch = []
    for step in [*steps, ASSIGN]:
        if step is not ASSIGN:
            batch.append(message(step) if republished else redelivered(step))
        if batch and (step is ASSIGN or not batched):
            await deliver(consumer, batch)
            batch = []
        if step is ASSIGN:
            assign(engine, limit=2)
    assign_all(engine)

    for application, count in decisions.items():
        holds = count % 2 == 1
        approvals = await fetch(container.database, APPROVALS, application=application)
        numbers = range(1, count + 1, 2)
        assert [row["decision_no"] for row in approvals] == list(numbers)
        assert [row["status"] for row in approvals[:-1]] == ["withdrawn"] * (len(approvals) - 1)
        assert approvals[-1]["status"] == ("numbered" if holds else "withdrawn")
        assert [row["previous_approval"] for row in approvals] == [None, *numbers[:-1]]
        assert all(row["approved_at"] is not None for row in approvals)
        ledger = await fetch(container.database, LEDGER, application=application)
        valid = [entry["decision_no"] for entry in ledger if entry["state"] == "valid"]
        assert valid == ([count] if holds else [])
        assert [entry["replaces"] for entry in ledger] == [None, *(entry["number"] for entry in ledger)][: len(ledger)]
        told = [event["type"] for event in await events_of(container.database, application)]
        assert told.count("certnumber.assigned") == len(ledger)
        assert told.count("certnumber.voided") == len(ledger) - len(valid)
    proof = await proof_of(container.database)
    assert proof.gapless
    assert (proof.waiting, proof.failed) == (0, 0)
