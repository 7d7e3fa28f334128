"""Any order, duplication, or loss and redelivery of one application's events ends in the same state everywhere.

Real histories are recorded on a platform. Then the events each queue heard are delivered to an empty copy of the
consumer's database: shuffled, doubled, in batches of any size, some failing after the handler's work. What a consumer
defers comes again later. Review and certnumber only listen, so that is all. Renewal also acts on what people do, and
nobody acts on, or decides about, what has not happened yet: what somebody did over HTTP is done as soon as the
application is in the state they saw, and an event that came after it in the history comes after it here.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import cycle
from random import Random
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from services.certnumber.consumers import SUBSCRIPTIONS as CERTNUMBER
from services.certnumber.models import LedgerEntry
from services.certnumber.numbering.allocation import assign_batch
from services.renewal.consumers import SUBSCRIPTIONS as RENEWAL
from services.review.consumers import SUBSCRIPTIONS as REVIEW
from services.review.models import Decision
from shared.messaging import Consumer, Message, Received, Subscription, Verdict
from shared.messaging.tables import OutboxMessage
from tests.faults.histories import (
    SCRIPTS,
    History,
    certnumber_end,
    give,
    on,
    record,
    renewal_end,
    review_end,
    rows,
    state,
    table_of,
)
from tests.support.backing import Postgres
from tests.support.office import Office
from tests.support.platform import embedded_harness, service_database

# Unshrunk examples are small enough to read, and shrinking against a database takes minutes.
EXAMPLES = settings(max_examples=40, suppress_health_check=list(HealthCheck), phases=(Phase.generate,), database=None)
SEEDS = st.integers(0, 2**32)
# Those in which certnumber, and renewal, hear anything at all.
APPROVED = [name for name, steps in SCRIPTS.items() if "approve" in steps and name != "refused"]
DECIDED = [name for name in SCRIPTS if name != "cancelled"]
REFERENCE = {"alembic_version", "posts", "age_limits", "series"}
EVENTUALLY = 200


@dataclass(frozen=True)
class Plan:
    """`order` holds every message at least once; those in `lost` fail after the handler's work when they first come."""

    order: Sequence[int]
    lost: frozenset[int]
    sizes: Sequence[int]
    pauses: Sequence[bool]


def make_plan(seed: int, count: int) -> Plan:
    """From a seed, and not drawn piece by piece: hypothesis would try mostly short and nearly equal ones."""
    random = Random(seed)
    order = random.choices(range(count), k=random.randrange(4)) + list(range(count))
    random.shuffle(order)
    lost = frozenset(random.choices(range(count), k=random.randrange(4)))
    return Plan(order, lost, random.choices(range(1, 4), k=5), random.choices((False, True), k=5))


@dataclass
class Stage:
    """The recorded histories by script, and each service on an empty database of its own."""

    recorded: dict[str, History]
    containers: dict[str, Any]


@pytest.fixture(scope="module")
async def stage(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    with ExitStack() as databases:
        async with embedded_harness(postgres, tmp_path_factory.mktemp("order")) as harness:
            recorded = await record(await Office.open(harness))
            containers = {
                name: on(harness.platform.containers[name], databases.enter_context(service_database(postgres, name)))
                for name in ("renewal", "review", "certnumber")
            }
        yield Stage(recorded, containers)
        for container in containers.values():
            await container.database.close()


async def empty(container: Any) -> None:
    async with container.database.transaction() as session:
        names = await session.scalars(sa.text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        # The ledger and the audit trail refuse to be emptied by anybody else.
        await session.execute(sa.text("SET LOCAL session_replication_role = replica"))
        # TRUNCATE would make new files, and take ten times as long.
        for name in sorted(set(names) - REFERENCE):
            await session.execute(sa.text(f'DELETE FROM "{name}"'))  # noqa: S608 - our own tables' names


def losing(subscription: Subscription, lost: set[UUID]) -> Subscription:
    """The subscription, whose connection breaks at the end of the work on each of `lost`, once."""

    def breaking(handler: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        async def handle(container: Any, session: AsyncSession, batch: Sequence[Received[Any]]) -> None:
            await handler(container, session, batch)
            if hit := lost & {received.id for received in batch}:
                await session.flush()
                lost.difference_update(hit)
                raise ConnectionResetError

        return handle

    handlers = {event: breaking(handler) for event, handler in subscription.handlers.items()}
    return replace(subscription, handlers=handlers)


async def deliver(
    container: Any,
    subscriptions: Sequence[Subscription],
    pool: Sequence[tuple[str, Message, int]],
    plan: Plan,
    act: Callable[[], Awaitable[int]],
) -> None:
    """Until nothing is pending. `act` is called between batches; messages that name more than it returns must wait."""
    lost = {pool[index][1].id for index in plan.lost}
    consumers = {s.queue.name: Consumer(losing(s, lost), container, container.database) for s in subscriptions}
    waiting = deque(pool[index] for index in plan.order)
    sizes = cycle(plan.sizes)
    for _ in range(EVENTUALLY):
        acted = await act()
        ready = [entry for entry in waiting if entry[2] <= acted][: next(sizes)]
        if not ready and not waiting:
            return
        for entry in ready:
            waiting.remove(entry)
        for name, consumer in consumers.items():
            batch = [entry for entry in ready if entry[0] == name]
            outcomes = await consumer.process([message for _, message, _ in batch])
            for entry, outcome in zip(batch, outcomes, strict=True):
                if outcome.verdict is not Verdict.done:
                    assert outcome.error in {"PredecessorMissing", "ConnectionResetError"}, outcome
                    waiting.append(entry)
    raise AssertionError(f"never ends: {[message.routing_key for _, message, _ in waiting]}")


def pool_of(history: History, subscriptions: Sequence[Subscription]) -> list[tuple[str, Message, int]]:
    return [(s.queue.name, message, after) for s in subscriptions for message, after in history.heard[s.queue.name]]


async def said(container: Any) -> list[dict[str, Any]]:
    """Envelopes in the outbox, oldest first."""
    async with container.database.transaction() as session:
        return [
            json.loads(text)
            for text in await session.scalars(sa.select(OutboxMessage.envelope).order_by(OutboxMessage.id))
        ]


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_history_was_recorded(stage: Stage, script: str) -> None:
    """What the properties below compare with is what the script says."""
    history = stage.recorded[script]
    application, held, submitted = history.end["renewal"]
    last = [step for step in SCRIPTS[script] if step not in {"release", "mend"}][-1]
    assert application["status"] == {"approve": "certified", "reject": "rejected", "cancel": "cancelled"}[last]
    assert [command.what for command in history.commands] == [
        step for step in SCRIPTS[script] if step in {"submit", "import", "cancel"}
    ]
    assert len(submitted) == SCRIPTS[script].count("submit")
    valid = {number for number, (_, holds) in held.items() if holds}
    assert (application["certificate_number"] in valid) == (last == "approve")
    [item], revisions, decisions = history.end["review"]
    assert (item["status"], len(revisions)) == (application["status"], len(submitted))
    assert len(decisions) == sum(step in {"approve", "reject", "withdraw"} for step in SCRIPTS[script])
    refused = ["refused" if decision["outcome"] == "refused" else "accepted" for decision in decisions]
    assert refused.count("refused") == (script == "refused")


@EXAMPLES
@given(script=st.sampled_from(sorted(SCRIPTS)), seed=SEEDS)
async def test_review(stage: Stage, script: str, seed: int) -> None:
    history = stage.recorded[script]
    container = stage.containers["review"]
    pool = pool_of(history, REVIEW)
    plan = make_plan(seed, len(pool))
    await empty(container)
    items, revisions, decisions = history.end["review"]
    async with container.database.transaction() as session:
        for decision in decisions:
            # A second decision on one state can only be asked for once the first is known to be refused.
            asked = {"outcome": "asked", "outcome_code": None, "outcome_detail": None, "outcome_at": None}
            known = decision if decision["outcome"] == "refused" else decision | asked
            await session.execute(sa.insert(table_of(Decision)).values(known))

    async def nothing() -> int:
        return EVENTUALLY

    await deliver(container, REVIEW, pool, plan, nothing)
    assert await review_end(container, history.application) == (items, revisions, decisions)


@EXAMPLES
@given(script=st.sampled_from(sorted(APPROVED)), seed=SEEDS)
async def test_certnumber(stage: Stage, script: str, seed: int) -> None:
    history = stage.recorded[script]
    container = stage.containers["certnumber"]
    pool = pool_of(history, CERTNUMBER)
    plan = make_plan(seed, len(pool))
    await empty(container)
    pauses = cycle(plan.pauses)
    engine = sa.create_engine(container.database.engine.url, poolclass=sa.NullPool)

    def number() -> None:
        with Session(engine) as session, session.begin():
            assign_batch(session, container.clock, container.outbox, 10)

    async def number_sometimes() -> int:
        if next(pauses):
            await asyncio.to_thread(number)
        return EVENTUALLY

    await deliver(container, CERTNUMBER, pool, plan, number_sometimes)
    await asyncio.to_thread(number)

    approvals, valid = await certnumber_end(container.database, history.application)
    assert (approvals, valid) == history.end["certnumber"]
    async with container.database.transaction() as session:
        ledger = await rows(session, table_of(LedgerEntry))
    assert sorted(entry["serial"] for entry in ledger) == list(range(1, len(ledger) + 1))
    before = None
    for entry in ledger_by_approval(ledger):
        assert (entry["state"] == "valid") == (entry["decision_no"] in valid)
        assert entry["replaces"] == before
        before = entry["number"]
    events = [(envelope["type"], envelope["data"]["number"]) for envelope in await said(container)]
    assert sorted(events) == sorted(
        [("certnumber.assigned", entry["number"]) for entry in ledger]
        + [("certnumber.voided", entry["number"]) for entry in ledger if entry["state"] == "void"]
    )


def ledger_by_approval(ledger: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(ledger, key=lambda entry: int(entry["decision_no"]))


@EXAMPLES
@given(script=st.sampled_from(sorted(DECIDED)), seed=SEEDS)
async def test_renewal(stage: Stage, script: str, seed: int) -> None:
    history = stage.recorded[script]
    container = stage.containers["renewal"]
    pool = pool_of(history, RENEWAL)
    plan = make_plan(seed, len(pool))
    await empty(container)
    async with container.database.transaction() as session:
        for table, initial in history.start.items():
            await session.execute(sa.insert(table), initial)
    given_commands = 0

    async def what_people_did() -> int:
        nonlocal given_commands
        if given_commands < len(history.commands):
            command = history.commands[given_commands]
            async with container.database.transaction() as session:
                seen = await state(session, history.application)
            if seen == command.seen:
                await give(container, history, command)
                given_commands += 1
        return given_commands

    await deliver(container, RENEWAL, pool, plan, what_people_did)
    assert given_commands == len(history.commands)
    assert await renewal_end(container.database, history.application) == history.end["renewal"]

    events = await said(container)
    newest = max(events, key=lambda envelope: int(envelope["data"]["change_no"]))
    assert newest["data"]["status"] == history.end["renewal"][0]["status"]
    answers = [
        (envelope["data"]["decision_id"], "refused" if envelope["type"].endswith("refused") else "accepted")
        for envelope in events
        if "decision_id" in envelope["data"]
    ]
    _, _, decisions = history.end["review"]
    assert sorted(answers) == sorted((str(decision["id"]), decision["outcome"]) for decision in decisions)
