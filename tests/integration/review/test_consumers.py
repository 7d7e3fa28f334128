"""The projection ends the same whatever the order, grouping and repetition of deliveries."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from services.review.models import PERSON_AT_REST, Base, Decision, Item, ItemRevision
from shared.contracts.renewal import ApplicationState
from shared.messaging import Verdict
from tests.integration.review.desk import Application, Desk, messages, running
from tests.support.backing import Postgres
from tests.support.clock import START
from tests.support.sql import statements


@pytest.fixture(scope="module")
async def lasting_desk(postgres: Postgres, review_template: str) -> AsyncIterator[Desk]:
    """One service for all examples; each example tells the story of an application of its own."""
    with postgres.temporary(review_template) as url:
        async with running(url) as service:
            yield service


def story(application: Application, decisions: list[UUID]) -> list[ApplicationState]:
    """A life with every kind of event: rejected, refused, approved without number, withdrawn, certified, withdrawn."""
    reject, refused, approve, withdraw_refused, withdraw, approve_again, withdraw_again = decisions
    return [
        application.submitted(),
        application.rejected(reject),
        application.submitted(post="11", post_name="市政施工员", versions="122"),
        application.refused(refused, "three_certificates"),
        application.approved(approve),
        application.numbering_failed(),
        application.refused(withdraw_refused, "already_applied"),
        application.withdrawn(withdraw),
        application.approved(approve_again),
        application.certified(),
        application.withdrawn(withdraw_again),
        application.refused(uuid4(), "wrong_state"),
    ]


async def asked_for(desk: Desk, application: Application, decisions: list[UUID]) -> None:
    async with desk.container.database.transaction() as session:
        session.add_all(
            Decision(
                id=decision_id,
                application_id=application.id,
                revision=0,
                decision_no=position,
                action="approve",
                reviewer_id=uuid4(),
                reviewer_name="王芳",
                decided_at=START,
                outcome="asked",
            )
            for position, decision_id in enumerate(decisions)
        )


async def tables(desk: Desk, application: Application) -> list[dict[str, Any]]:
    """All that is stored of an application, with the id number opened and random identifiers replaced."""
    found = []
    async with desk.container.database.transaction() as session:
        for model, order in (
            (Item, Item.change_no),
            (ItemRevision, ItemRevision.revision),
            (Decision, Decision.decision_no),
        ):
            table: type[Base] = model
            rows = await session.execute(
                sa.select(table.__table__).where(table.__table__.c.application_id == application.id).order_by(order)
            )
            found += [dict(row._mapping) for row in rows]
    for row in found:
        if "person" in row:
            row["person"] = json.loads(desk.container.cipher.decrypt(row["person"], PERSON_AT_REST))
        for key in ("application_id", "enterprise_id", "id", "reviewer_id", "refusal_decision"):
            row.pop(key, None)
    return found


@settings(
    max_examples=50,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
async def test_any_order_grouping_and_repetition_ends_the_same(lasting_desk: Desk, data: st.DataObject) -> None:
    desk = lasting_desk
    expected, shuffled = Application(desk.container, 7), Application(desk.container, 7)
    stories = []
    for application in (expected, shuffled):
        decisions = [uuid4() for _ in range(7)]
        await asked_for(desk, application, decisions)
        stories.append(story(application, decisions))
    length = data.draw(st.integers(1, len(stories[0])), label="so far")

    for event in stories[0][:length]:
        await desk.hear(event)

    # Repetitions get new envelopes, so that the inbox does not hide them.
    again = data.draw(st.lists(st.integers(0, length - 1), max_size=6), label="repeated")
    order = data.draw(st.permutations([*range(length), *again]), label="order")
    cuts = sorted(data.draw(st.sets(st.integers(0, len(order)), max_size=4), label="cuts"))
    for start, end in zip([0, *cuts], [*cuts, len(order)], strict=True):
        await desk.hear(*(stories[1][position] for position in order[start:end]))

    assert await tables(desk, shuffled) == await tables(desk, expected)


async def test_story_in_order(desk: Desk) -> None:
    application = Application(desk.container)
    decisions = [uuid4() for _ in range(7)]
    await asked_for(desk, application, decisions)
    await desk.hear(*story(application, decisions))
    item, first, second, *outcomes = await tables(desk, application)
    assert (item["status"], item["revision"], item["decision_no"]) == ("pending_review", 2, 5)
    assert item["person"]["id_number"] == application.id_number
    assert (item["refusal_code"], item["refusal_change_no"]) == ("wrong_state", item["change_no"])
    assert (item["numbering_code"], item["numbering_decision_no"]) == ("series_exhausted", 2)
    assert (first["post"], second["post"]) == ("10", "11")
    assert [(row["outcome"], row["outcome_code"]) for row in outcomes] == [
        ("accepted", None),
        ("refused", "three_certificates"),
        ("accepted", None),
        ("refused", "already_applied"),
        ("accepted", None),
        ("accepted", None),
        ("accepted", None),
    ]


async def test_id_number_is_sealed_at_rest(desk: Desk) -> None:
    application = Application(desk.container)
    await desk.hear(application.submitted())
    async with desk.container.database.transaction() as session:
        for table in Base.metadata.tables:
            rows = (await session.execute(sa.text(f"SELECT t::text FROM {table} t"))).all()  # noqa: S608
            assert application.id_number not in str(rows)
            assert "1990-01-01" not in str(rows)


async def test_batch_takes_one_statement_of_each_kind(desk: Desk) -> None:
    async def statements_for(count: int) -> int:
        applications = [Application(desk.container, n) for n in range(count)]
        events = [application.submitted() for application in applications]
        refusals = [application.refused() for application in applications]
        approvals = [application.approved() for application in applications]
        with statements(desk.container.database, unrolled=True) as sent:
            await desk.hear(*events, *refusals, *approvals)
        return len(sent)

    assert await statements_for(5) == await statements_for(60)


async def test_unreadable_person_is_a_dead_letter(desk: Desk) -> None:
    application, other = Application(desk.container), Application(desk.container, 1)
    application.state["person"] = "k0.AAAA"
    outcomes = await desk.consumer.process(messages(application.submitted(), other.submitted()))
    assert [outcome.verdict for outcome in outcomes] == [Verdict.dead, Verdict.done]
    assert await tables(desk, application) == []
    assert len(await tables(desk, other)) == 2
