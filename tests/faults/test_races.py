"""Two at once: whatever the moment, the rules hold and the services agree."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from deploy.journey import decide, import_people
from services.certnumber.models import Approval, LedgerEntry
from services.certnumber.queries import LOCK_SERIES
from services.renewal.domain import LIVE, Status
from services.renewal.models import Application, Enterprise, HeldCertificate, Person
from services.review.models import Decision, Item
from tests.support.backing import Postgres
from tests.support.office import Office, attach_pictures, line, new_certificate, new_person
from tests.support.platform import embedded_harness
from tests.support.wait import until

ROUNDS = 30
WITHDRAWALS = 120
WAITING = sa.text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@pytest.fixture(scope="module")
async def office(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    # Small batches make numbering take many transactions, so that there is something to cross.
    async with embedded_harness(postgres, tmp_path_factory.mktemp("races"), numbering_batch=3) as harness:
        yield await Office.open(harness)


async def new_people(office: Office, count: int, *posts: str) -> list[str]:
    people = [new_person() for _ in range(count)]
    lines = [line(person, post, new_certificate()) for person in people for post in posts] or list(map(line, people))
    report = await import_people(office.harness.api, office.reviewer, lines)
    assert report["failed"] == 0
    return people


async def drafts(office: Office, people: Sequence[str], posts: Sequence[str], tokens: Sequence[str]) -> list[list[str]]:
    """For each person one draft for each (post, enterprise), ready to be submitted."""
    made = [
        [
            (await office.draft(person, post, token, pictures=False))["id"]
            for post, token in zip(posts, tokens, strict=True)
        ]
        for person in people
    ]
    await attach_pictures(office.renewal, [application for row in made for application in row])
    return made


async def race(office: Office, posts: Sequence[str], held: Sequence[str], limit: int) -> Counter[str]:
    """ROUNDS times: different enterprises submit for one person at once. Counts the codes of refusals."""
    tokens = [await office.harness.enterprise(f"竞速{number}建设有限公司") for number in range(len(posts))]
    refusals: Counter[str] = Counter()
    for row in await drafts(office, await new_people(office, ROUNDS, *held), posts, tokens):
        answers = await asyncio.gather(
            *(office.submit(application, 0, token) for application, token in zip(row, tokens, strict=True))
        )
        assert sorted(answer.status_code for answer in answers) == [200] * limit + [409] * (len(posts) - limit)
        for answer in answers:
            if answer.status_code == 409:
                assert answer.json()["code"] == "not_eligible"
                refusals.update(reason["code"] for reason in answer.json()["reasons"])
    return refusals


async def test_never_constructor_and_quality(office: Office) -> None:
    refusals = await race(office, ["10", "21"], [], 1)
    assert refusals == {"constructor_and_quality": ROUNDS}


async def test_never_more_than_three_of_one_who_holds_two(office: Office) -> None:
    refusals = await race(office, ["30", "40"], ["50", "60"], 1)
    assert refusals == {"three_certificates": ROUNDS}


async def test_never_more_than_three_of_one_who_holds_one(office: Office) -> None:
    refusals = await race(office, ["30", "40", "60"], ["50"], 2)
    assert refusals == {"three_certificates": ROUNDS}


async def test_never_one_post_twice(office: Office) -> None:
    refusals = await race(office, ["10", "10"], [], 1)
    assert refusals == {"already_applied": ROUNDS}


@pytest.mark.parametrize(
    ("families", "constraint"),
    [
        ((("10", "施工员"), ("21", "质量员")), "ex_applications_constructor_and_quality"),
        ((("10", "施工员"), ("10", "施工员")), "uq_applications_live_post"),
    ],
)
async def test_the_database_alone_refuses(office: Office, families: Sequence[tuple[str, str]], constraint: str) -> None:
    """Two transactions that ask nobody and lock nothing: the constraint is all there is."""
    database = office.renewal.database
    [number] = await new_people(office, 1)
    async with database.transaction() as session:
        index = office.renewal.cipher.blind_index(number)
        person = (await session.scalars(sa.select(Person).where(Person.id_number_index == index))).one()
        enterprise = await session.scalar(sa.select(Enterprise.id).limit(1))

    both_ready = asyncio.Barrier(2)

    async def write(post: str, family: str) -> None:
        async with database.transaction() as session:
            now = datetime.now(UTC)
            session.add(
                Application(
                    id=uuid4(), enterprise_id=enterprise, person_id=person.id, post=post, post_family=family,
                    status=Status.pending_review, revision=1, decision_no=0, change_no=1,
                    added_at=now, submitted_at=now, updated_at=now,
                )
            )  # fmt: skip
            await both_ready.wait()
            await session.flush()

    outcomes = await asyncio.gather(*(write(*family) for family in families), return_exceptions=True)
    [refused] = [outcome for outcome in outcomes if outcome is not None]
    assert isinstance(refused, IntegrityError)
    assert constraint in str(refused.orig)
    async with database.transaction() as session:
        live = sa.select(sa.func.count()).where(Application.person_id == person.id, Application.status.in_(LIVE))
        assert await session.scalar(live) == 1


async def test_two_decisions_at_once(office: Office) -> None:
    """Two reviewers, the same item: one decision is taken, the other is told so."""
    second = await office.harness.reviewer("second-reviewer", ("reviewer",))
    rows = await drafts(office, await new_people(office, 30), ["10"], [office.enterprise])
    pairs = [("approve", "approve"), ("approve", "reject"), ("reject", "reject")]
    expected: dict[str, str] = {}
    for position, (application,) in enumerate(rows):
        assert (await office.submit(application)).status_code == 200
        await office.item(application, status="pending_review")
        actions = pairs[position % 3]
        results = await asyncio.gather(
            *(
                decide(
                    office.harness.api, token, action, application, 1,
                    **({} if action == "approve" else {"reason_code": "information_false"}),
                )
                for token, action in zip((office.reviewer, second), actions, strict=True)
            )
        )  # fmt: skip
        assert sorted(result["outcome"] for result in results) == ["accepted", "refused"]
        for result, action in zip(results, actions, strict=True):
            if result["outcome"] == "refused":
                assert result["code"] in {"already_decided", "wrong_state", "stale_revision"}
            else:
                expected[application] = "certified" if action == "approve" else "rejected"
    for application, status in expected.items():
        assert (await office.reach(application, status))["decision_no"] == 1


async def statuses(office: Office, applications: Sequence[str]) -> Counter[str]:
    async with office.renewal.database.transaction() as session:
        query = sa.select(Application.status).where(Application.id.in_(map(UUID, applications)))
        return Counter(status.value for status in await session.scalars(query))


async def decide_all(office: Office, action: str, applications: Sequence[str]) -> None:
    """All of them, as soon as the desk lets each be decided."""
    left = set(applications)
    reason = {} if action == "approve" else {"reason_code": "approved_in_error"}

    async def none_left() -> bool:
        items = [{"application_id": application, "revision": 1} for application in sorted(left)]
        body = {"action": action, "items": items, **reason}
        answer = await office.harness.api.call("POST", "review", "/decisions", token=office.reviewer, json=body)
        left.difference_update(row["application_id"] for row in answer["results"] if row["outcome"] == "accepted")
        return not left

    await until(none_left, what=f"{action} of all to be accepted")


class Agreement:
    """What the three services say of some applications."""

    def __init__(self, office: Office, applications: Sequence[str]) -> None:
        self._office = office
        self._ids = [UUID(application) for application in applications]

    async def rows(self, service: str, query: sa.Select[Any]) -> list[Any]:
        async with self._office.harness.platform.containers[service].database.transaction() as session:
            return list((await session.scalars(query)).all())

    async def load(self) -> None:
        ids = self._ids
        found = await self.rows("renewal", sa.select(Application).where(Application.id.in_(ids)))
        self.applications = {row.id: row for row in found}
        self.items = {
            row.application_id: row
            for row in await self.rows("review", sa.select(Item).where(Item.application_id.in_(ids)))
        }
        self.held = await self.rows(
            "renewal", sa.select(HeldCertificate).where(HeldCertificate.application_id.in_(ids))
        )
        self.ledger = await self.rows(
            "certnumber",
            sa.select(LedgerEntry).where(LedgerEntry.application_id.in_(ids)).order_by(LedgerEntry.decision_no),
        )
        self.approvals = await self.rows("certnumber", sa.select(Approval).where(Approval.application_id.in_(ids)))
        self.decisions = await self.rows("review", sa.select(Decision).where(Decision.application_id.in_(ids)))

    def check(self) -> None:
        assert self.applications.keys() == self.items.keys() == set(self._ids)
        for identity, application in self.applications.items():
            item = self.items[identity]
            assert (item.status, item.revision, item.decision_no, item.certificate_number) == (
                application.status.value,
                application.revision,
                application.decision_no,
                application.certificate_number,
            )
        assert {row.certificate_number: row.voided_at is None for row in self.held} == {
            row.number: row.state == "valid" for row in self.ledger
        }
        assert {row.certificate_number for row in self.held if row.voided_at is None} == {
            row.certificate_number for row in self.applications.values() if row.certificate_number
        }
        assert {decision.outcome for decision in self.decisions} == {"accepted"}


async def test_withdrawals_that_race_numbering(office: Office) -> None:
    """Ends unnumbered or void, never valid; approved again, each has a new number that names the one it replaces."""
    rows = await drafts(office, await new_people(office, WITHDRAWALS), ["10"], [office.enterprise])
    applications = [application for (application,) in rows]
    for application in applications:
        assert (await office.submit(application)).status_code == 200
    certain, racing, late = applications[:20], applications[20:-20], applications[-20:]

    # Some are withdrawn while nobody can number, some after they have their number, most at any moment between.
    certnumber = office.harness.platform.containers["certnumber"]
    async with certnumber.database.transaction() as holding:
        await holding.execute(LOCK_SERIES)
        await decide_all(office, "approve", certain)
        await decide_all(office, "withdraw", certain)
        withdrawn = sa.select(sa.func.count()).where(
            Approval.application_id.in_(map(UUID, certain)), Approval.status == "withdrawn"
        )
        await until(lambda: _equals(holding, withdrawn, 20), what="certnumber to hear of twenty withdrawals")
    await decide_all(office, "approve", late)
    await until(lambda: _all(office, late, "certified"), what="the late ones to have a number")

    async def one(application: str) -> None:
        await office.decide("approve", application)
        await office.decide("withdraw", application)

    for start in range(0, len(racing), 16):
        await asyncio.gather(*(one(application) for application in racing[start : start + 16]))
    await decide_all(office, "withdraw", late)
    await until(lambda: _all(office, applications, "pending_review"), what="all withdrawals to be taken")
    await office.quiet()

    after = Agreement(office, applications)
    await after.load()
    after.check()
    assert {approval.status for approval in after.approvals} == {"withdrawn"}
    assert {entry.state for entry in after.ledger} <= {"void"}
    numbered = {str(entry.application_id): entry.number for entry in after.ledger}
    assert numbered.keys().isdisjoint(certain)
    assert numbered.keys() >= set(late)

    await decide_all(office, "approve", applications)
    await until(lambda: _all(office, applications, "certified"), what="all to be certified")
    await office.quiet()
    again = Agreement(office, applications)
    await again.load()
    again.check()
    valid = [entry for entry in again.ledger if entry.state == "valid"]
    assert len(valid) == WITHDRAWALS
    assert {str(entry.application_id): entry.replaces for entry in valid} == {
        application: numbered.get(application) for application in applications
    }
    assert {entry.decision_no for entry in valid} == {3}
    proof = await office.harness.api.call("GET", "certnumber", "/proof", token=office.reviewer)
    for series in proof["series"]:
        assert not series["gaps"]
        assert not series["duplicates"]


async def _all(office: Office, applications: Sequence[str], status: str) -> bool:
    return await statuses(office, applications) == {status: len(applications)}


async def _equals(session: Any, query: sa.Select[Any], expected: int) -> bool:
    return bool(await session.scalar(query) == expected)


async def test_a_submission_that_has_waited_sees_what_was_done_meanwhile(office: Office) -> None:
    """Sent twice at once: the second finds the application as the first has left it."""
    token = await office.harness.enterprise("重复提交建设有限公司")
    ((draft,),) = await drafts(office, await new_people(office, 1), ["30"], [token])
    person = sa.select(Application.person_id).where(Application.id == UUID(draft)).scalar_subquery()
    async with office.renewal.database.transaction() as session:
        await session.execute(sa.select(Person.id).where(Person.id == person).with_for_update())
        sent = [asyncio.create_task(office.submit(draft, 0, token)) for _ in range(2)]

        async def both_wait() -> bool:
            async with office.renewal.database.engine.connect() as other:
                return bool(await other.scalar(WAITING) == 2)

        await until(both_wait, what="both to wait for the person")
    first, second = sorted(await asyncio.gather(*sent), key=lambda answer: answer.status_code)
    assert (first.status_code, second.status_code, second.json()["code"]) == (200, 409, "stale_revision")
