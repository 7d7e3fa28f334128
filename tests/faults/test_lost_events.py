"""Events that the broker confirmed and lost all the same: services compare what they know, and nobody has to help."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from random import Random
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from services.certnumber import queries as certnumber_queries
from services.certnumber.models import Approval, LedgerEntry
from services.enterprise import queries as enterprise_queries
from services.renewal import queries as renewal_queries
from services.renewal.metrics import sample_approvals
from services.renewal.models import Answer, Change, Enterprise
from services.review import queries as review_queries
from services.review.models import Decision, Item, ItemRevision
from shared.contracts.resync import Digest, ResyncRequested
from shared.contracts.topology import PRODUCERS
from shared.messaging import Envelope, Message
from shared.messaging.topology import event_key
from shared.observability.metrics import exposition
from shared.runtime.resync import summarise
from tests.support.backing import Postgres
from tests.support.office import Office
from tests.support.platform import Harness, embedded_harness
from tests.support.wait import until

KINDS = {event.routing_key(): event for events in PRODUCERS.values() for event in events}


class Lossy:
    """The platform's bus, which loses what `loses` says, and confirms it."""

    def __init__(self, harness: Harness) -> None:
        bus = harness.platform.bus
        self.loses: Callable[[Message, Envelope], bool] = lambda *_: False
        self.said: Counter[str] = Counter()
        self._publish = bus.publish
        bus.publish = self.publish  # type: ignore[method-assign]

    async def publish(self, messages: Sequence[Message]) -> list[Exception | None]:
        kept = []
        for message in messages:
            self.said[event_key(message.routing_key)] += 1
            if not self.loses(message, Envelope.model_validate_json(message.body)):
                kept.append(message)
        results = dict(zip((message.id for message in kept), await self._publish(kept), strict=True))
        return [results.get(message.id) for message in messages]

    def resyncs(self, kind: type[Any]) -> int:
        return sum(count for key, count in self.said.items() if issubclass(KINDS[key], kind))


class FirstOfEach:
    """Loses what is said for the first time, and every third of the comparisons, which are always new."""

    def __init__(self) -> None:
        self._known: set[Any] = set()
        self._random = Random(9)

    def __call__(self, message: Message, envelope: Envelope) -> bool:
        if issubclass(KINDS[event_key(message.routing_key)], Digest | ResyncRequested):
            return self._random.random() < 1 / 3
        what = (message.routing_key, envelope.subject, *map(envelope.data.get, ("decision_no", "revision", "number")))
        new = what not in self._known
        self._known.add(what)
        return new


@pytest.fixture
async def harness(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Harness]:
    var = tmp_path_factory.mktemp("lossy")
    async with embedded_harness(postgres, var, resync_seconds=0.3, resync_settle_seconds=0) as harness:
        yield harness


async def all_rows(container: Any, *columns: Any, where: Any = sa.true()) -> list[tuple[Any, ...]]:
    async with container.database.transaction() as session:
        return [tuple(row) for row in await session.execute(sa.select(*columns).where(where))]


async def in_step(harness: Harness) -> bool:
    """Whether every service knows what the owner does."""
    containers = harness.platform.containers
    pairs = (
        ("enterprise", enterprise_queries.versions(), "renewal", renewal_queries.enterprise_versions()),
        ("renewal", renewal_queries.application_versions(), "review", review_queries.versions()),
        ("renewal", renewal_queries.approval_versions(), "certnumber", certnumber_queries.versions()),
    )
    for owner, theirs, reader, ours in pairs:
        found = []
        for name, versions in ((owner, theirs), (reader, ours)):
            async with containers[name].database.transaction() as session:
                found.append(await summarise(session, versions))
        if found[0] != found[1]:
            return False
    return True


async def test_a_whole_life_though_everything_is_lost_when_first_said(harness: Harness) -> None:
    lossy = Lossy(harness)
    lossy.loses = FirstOfEach()
    office = await Office.open(harness)
    await harness.api.call("PATCH", "enterprise", "/me", token=office.enterprise, json={"name": "改名建设"})
    application = await office.submitted(await office.person("10"), "10")
    await office.decide("reject", application)
    await office.reach(application, "rejected")
    assert (await office.submit(application, 1)).status_code == 200
    await office.decide("approve", application, 2)
    first = (await office.reach(application, "certified"))["certificate_number"]
    await office.decide("withdraw", application, 2)
    await office.reach(application, "pending_review")
    await office.decide("approve", application, 2)
    second = (await office.reach(application, "certified"))["certificate_number"]
    assert first != second
    other = await office.submitted(await office.person(), "10")
    assert (await office.cancel(other, 1)).status_code == 200
    await until(partial(in_step, harness), what="everybody to know everything")

    containers = harness.platform.containers
    await office.item(application, status="certified", certificate_number=second, decision_pending=False)
    await office.item(other, status="cancelled")
    key = UUID(application)

    async def answered() -> bool:
        outcomes = await all_rows(containers["review"], Decision.outcome, where=Decision.application_id == key)
        return Counter(outcomes) == {("accepted",): 4}

    await until(answered, what="every decision to be answered")
    revisions = await all_rows(containers["review"], ItemRevision.revision, where=ItemRevision.application_id == key)
    assert sorted(revisions) == [(1,), (2,)]
    ledger = await all_rows(
        containers["certnumber"], LedgerEntry.number, LedgerEntry.state, where=LedgerEntry.application_id == key
    )
    assert sorted(ledger) == sorted([(first, "void"), (second, "valid")])
    assert Counter(await all_rows(containers["certnumber"], Approval.status, where=Approval.application_id == key)) == {
        ("withdrawn",): 1,
        ("numbered",): 1,
    }
    proof = await harness.api.call("GET", "certnumber", "/proof", token=office.reviewer)
    assert all(series["gapless"] for series in proof["series"])
    assert ("改名建设", 2) in await all_rows(containers["renewal"], Enterprise.name, Enterprise.revision)


async def test_nothing_is_said_where_nothing_lacks(harness: Harness) -> None:
    lossy = Lossy(harness)
    office = await Office.open(harness)
    await office.certified(await office.person(), "10")
    await until(partial(in_step, harness), what="everybody to know everything")
    await office.quiet()
    # What was asked before the last news came is answered by now.
    before = lossy.resyncs(Digest)

    async def compared() -> bool:
        return lossy.resyncs(Digest) >= before + 12

    await until(compared, what="some comparisons")
    await office.quiet()
    asked, before = lossy.resyncs(ResyncRequested), lossy.resyncs(Digest)
    snapshots = lossy.said["renewal.snapshot.v1"]
    await until(compared, what="more comparisons")
    assert (lossy.resyncs(ResyncRequested), lossy.said["renewal.snapshot.v1"]) == (asked, snapshots)


async def test_a_decision_is_answered_as_it_was(harness: Harness) -> None:
    """A refusal that got lost is repeated, though by now the same decision could be taken."""
    lossy = Lossy(harness)
    office = await Office.open(harness)
    person = await office.person("60", "70")
    application = await office.submitted(person, "10")
    await office.item(application, status="pending_review")
    await office.holds(person, "80")
    lost = {"renewal.decision_refused.v1"}
    lossy.loses = lambda message, _: event_key(message.routing_key) in lost | {"renewal.snapshot.v1"}
    await office.decide("approve", application)

    async def refused() -> bool:
        return bool(await all_rows(office.renewal, Answer.code, where=Answer.application_id == UUID(application)))

    await until(refused, what="renewal to refuse")
    lossy.loses = lambda message, _: event_key(message.routing_key) in lost

    async def shown() -> bool:
        refusal = (await office.item(application, status="pending_review"))["refusal"]
        return bool(refusal and refusal["code"] == "three_certificates")

    await until(shown, what="the desk to show why")

    async def told() -> bool:
        rows = await all_rows(harness.platform.containers["review"], Decision.outcome, Decision.outcome_code)
        return rows == [("refused", "three_certificates")]

    await until(told, what="the answer")
    refusals = await all_rows(office.renewal, Change.action, where=Change.action == "decision_refused")
    assert len(refusals) == 1, "asked again and again, it is decided once"


async def test_a_decision_that_the_version_before_took_is_not_taken_again(harness: Harness) -> None:
    """It kept no answers: that the next change is what was asked for says enough."""
    lossy = Lossy(harness)
    office = await Office.open(harness)
    application = await office.submitted(await office.person(), "10")
    lossy.loses = lambda message, _: event_key(message.routing_key) in {"renewal.rejected.v1", "renewal.snapshot.v1"}
    await office.decide("reject", application)
    await office.reach(application, "rejected")
    async with office.renewal.database.transaction() as session:
        await session.execute(sa.delete(Answer))
    lossy.loses = lambda *_: False
    await office.item(application, status="rejected", decision_pending=False)

    async def answered() -> bool:
        return await all_rows(harness.platform.containers["review"], Decision.outcome) == [("accepted",)]

    await until(answered, what="the answer")
    rejections = await all_rows(
        office.renewal, Change.change_no, where=Change.action.in_(("reject", "decision_refused"))
    )
    assert len(rejections) == 1


async def test_why_there_is_no_number_is_said_again(harness: Harness) -> None:
    lossy = Lossy(harness)
    office = await Office.open(harness)
    call = harness.api.call
    [series] = (await call("GET", "certnumber", "/series", token=office.reviewer))["items"]
    await call("PATCH", "certnumber", f"/series/{series['id']}", token=office.reviewer, json={"posts": ["99"]})
    lossy.loses = FirstOfEach()
    application = await office.submitted(await office.person(), "10")
    await office.decide("approve", application)

    async def noted() -> bool:
        return bool((await office.item(application, status="approved"))["numbering_failure"])

    await until(noted, what="the desk to show why")
    await call("PATCH", "certnumber", f"/series/{series['id']}", token=office.reviewer, json={"posts": None})
    await office.reach(application, "certified")
    await office.item(application, status="certified")


async def test_renewal_counts_for_itself_what_certnumber_has_not_heard_of(harness: Harness) -> None:
    lossy = Lossy(harness)
    lost = {"renewal.approved.v1", "renewal.snapshot.v1"}
    lossy.loses = lambda message, _: event_key(message.routing_key) in lost
    office = await Office.open(harness)
    application = await office.submitted(await office.person(), "10")
    await office.decide("approve", application)
    await office.reach(application, "approved")
    shown = (await exposition([partial(sample_approvals, office.renewal)])).decode().splitlines()
    assert 'ganzheng_approvals_waiting{service="renewal"} 1.0' in shown
    [age] = [line for line in shown if line.startswith('ganzheng_approval_age_seconds{service="renewal"}')]
    assert float(age.split()[1]) >= 0
    lossy.loses = lambda *_: False
    await office.reach(application, "certified")
    shown = (await exposition([partial(sample_approvals, office.renewal)])).decode().splitlines()
    assert 'ganzheng_approvals_waiting{service="renewal"} 0.0' in shown


async def test_items_of_the_desk_are_renewals(harness: Harness) -> None:
    """An empty desk fills by itself, whatever it had."""
    office = await Office.open(harness)
    applications = [await office.submitted(await office.person(), "10") for _ in range(5)]
    for application in applications:
        await office.item(application, status="pending_review")
    await office.quiet()
    async with harness.platform.containers["review"].database.transaction() as session:
        await session.execute(sa.delete(Item).where(Item.application_id != UUID(applications[0])))
        await session.execute(sa.delete(ItemRevision))
    for application in applications:
        await office.item(application, status="pending_review")
    await until(partial(in_step, harness), what="all revisions to be there")
