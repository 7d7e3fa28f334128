"""What becomes of decisions and numbers: through the whole platform, and word by word to renewal's own handlers."""

from datetime import date
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from services.renewal.consumers import SUBSCRIPTIONS
from services.renewal.domain import month_anniversary
from services.renewal.models import Application, HeldCertificate
from shared.contracts.certnumber import NumberAssigned, NumberingFailed, NumberVoided
from shared.contracts.review import ReviewApprovalWithdrawn, ReviewApproved, ReviewDecision, ReviewRejected
from shared.messaging import Consumer, Event, Verdict
from shared.values.clock import business_day
from tests.support.clock import START
from tests.support.events import message
from tests.support.office import Office, new_certificate, new_person, problem
from tests.support.platform import Harness
from tests.support.sql import statements
from tests.support.wait import until


async def public(office: Office, number: str) -> dict[str, Any]:
    found: dict[str, Any] = await office.harness.api.call("GET", "certnumber", f"/certificates/{number}")
    return found


class TestThroughThePlatform:
    async def test_certified_then_withdrawn_then_approved_again(self, office: Office) -> None:
        person = await office.person()
        application = await office.certified(person, "10")
        first = application["certificate_number"]
        assert application["status_label"] == "通过"
        [held] = (await office.known(person))["certificates"]
        today = business_day(office.harness.clock.now())
        assert held | {"id": None, "updated_at": None} == {
            "id": None,
            "updated_at": None,
            "certificate_number": first,
            "post": "10",
            "post_name": "土建施工员",
            "valid_until": month_anniversary(today, 36).isoformat(),
            "source": "platform",
            "replaced": False,
            "voided_at": None,
            "void_reason": None,
            "corrected_to": None,
        }
        await office.decide("withdraw", application["id"])
        pending = await office.reach(application["id"], "pending_review")
        assert pending["certificate_number"] is None
        assert pending["decision_no"] == 2
        await office.quiet()
        [held] = (await office.known(person))["certificates"]
        assert held["voided_at"] is not None
        assert (await public(office, first))["status"] == "void"

        await office.decide("approve", application["id"])
        again = await office.reach(application["id"], "certified")
        second = again["certificate_number"]
        assert second != first
        certificates = {
            row["certificate_number"]: row["voided_at"] for row in (await office.known(person))["certificates"]
        }
        assert certificates[second] is None
        assert certificates[first] is not None
        actions = [entry["action"] for entry in again["history"]]
        assert actions == ["create", "submit", "approve", "certify", "withdraw", "number_voided", "approve", "certify"]

    async def test_a_held_post_is_renewed(self, office: Office) -> None:
        """The new certificate takes the place of the held one, for the person's count and for the public."""
        person = await office.person("10", "30")
        first = (await office.certified(person, "10"))["certificate_number"]
        check = await office.request("POST", "/eligibility-checks", json={"id_number": person, "post": "40"})
        assert check.json()["eligible"] is True
        certificates = (await office.known(person))["certificates"]
        assert {(row["post"], row["source"]) for row in certificates if not row["replaced"]} == {
            ("10", "platform"),
            ("30", "registry"),
        }
        again = await office.certified(person, "10")
        second = again["certificate_number"]
        old, new = await public(office, first), await public(office, second)
        assert (old["status"], old["replaced_by"], old["voided_on"]) == ("void", second, new["issued_on"])
        assert (new["status"], new["replaces"], new["replaced_by"]) == ("valid", first, None)

        await office.decide("withdraw", again["id"])
        await office.reach(again["id"], "pending_review")
        await office.quiet()
        old = await public(office, first)
        assert (old["status"], old["replaced_by"]) == ("valid", None)
        [held] = [row for row in (await office.known(person))["certificates"] if row["certificate_number"] == first]
        assert (held["replaced"], held["voided_at"]) == (False, None)

        await office.decide("approve", again["id"])
        third = (await office.reach(again["id"], "certified"))["certificate_number"]
        assert (await public(office, third))["replaces"] == second
        old = await public(office, first)
        assert (old["status"], old["replaced_by"]) == ("void", third)

    async def test_a_third_certificate_between_submission_and_approval(self, office: Office) -> None:
        person = await office.person("30", "40")
        application = await office.submitted(person, "10")
        await office.holds(person, "50")
        await office.decide("approve", application)
        item = await office.item(application, decision_pending=False)
        assert item["status"] == "pending_review"
        assert item["refusal"]["code"] == "three_certificates"
        assert "三本" in item["refusal"]["detail"]
        assert {row["post"] for row in item["held"]} == {"30", "40", "50"}
        [decision] = item["decisions"]
        assert (decision["outcome"], decision["outcome_code"]) == ("refused", "three_certificates")
        found = await office.read(application)
        assert (found["status"], found["decision_no"]) == ("pending_review", 0)
        assert found["history"][-1]["action"] == "decision_refused"
        await office.decide("reject", application)
        assert (await office.reach(application, "rejected"))["decision_no"] == 1

    async def test_the_other_family_between_submission_and_approval(self, office: Office) -> None:
        person = await office.person()
        application = await office.submitted(person, "10")
        await office.holds(person, "21")
        await office.decide("approve", application)
        item = await office.item(application, decision_pending=False)
        assert item["refusal"]["code"] == "constructor_and_quality"

    async def test_age_counts_from_the_day_of_submission(self, embedded: Harness) -> None:
        office = await Office.open(embedded)
        today = business_day(embedded.clock.now())
        born = today.replace(year=today.year - 60, day=min(today.day, 28))
        person = await office.person(born=born)
        application = await office.submitted(person, "10")
        embedded.clock.advance(days=3)
        late = await Office.open(embedded)  # tokens of three days ago have expired
        check = await late.request("POST", "/eligibility-checks", json={"id_number": person})
        assert [reason["code"] for reason in check.json()["reasons"]] == ["over_age_male"]
        await late.decide("approve", application)
        assert (await late.item(application, status="certified"))["certificate_number"]

    async def test_a_withdrawal_that_another_application_forbids(self, office: Office) -> None:
        """The certificate has expired, so the other family could be applied for: the two must not both be live."""
        person = await office.person()
        application = (await office.certified(person, "10"))["id"]
        async with office.renewal.database.transaction() as session:
            past = sa.update(HeldCertificate).where(HeldCertificate.application_id == UUID(application))
            await session.execute(past.values(valid_until=date(2020, 1, 1)))
        other = await office.submitted(person, "21")
        await office.decide("withdraw", application)
        item = await office.item(application, decision_pending=False)
        assert item["refusal"]["code"] == "constructor_and_quality"
        assert "市政质量员" in item["refusal"]["detail"]
        assert (await office.read(application))["status"] == "certified"
        await office.cancel(other, 1)
        renewed = await office.submitted(person, "10")
        await office.decide("withdraw", application)
        item = await office.item(application, decision_pending=False)
        assert item["refusal"]["code"] == "already_applied"
        await office.cancel(renewed, 1)
        await office.decide("withdraw", application)
        await office.item(application, status="pending_review")

    async def test_a_cancellation_that_comes_before_the_decision(self, office: Office) -> None:
        """The desk still shows what the enterprise has just cancelled."""
        application = await office.submitted(await office.person(), "10")
        await office.item(application, status="pending_review")
        assert (await office.cancel(application, 1)).status_code == 200
        await hear(office, review(ReviewApproved, application, 1, 0))
        assert (await office.read(application))["history"][-1]["action"] == "decision_refused"
        await office.quiet()
        item = await office.item(application, status="cancelled", decision_pending=False)
        assert item["refusal"]["code"] == "wrong_state"
        assert "已撤销" in item["refusal"]["detail"]

    async def test_a_number_that_cannot_be_given_shows_at_the_desk(self, embedded: Harness) -> None:
        office = await Office.open(embedded)
        person = await office.person("40")
        call = embedded.api.call
        [series] = (await call("GET", "certnumber", "/series", token=office.reviewer))["items"]
        path = f"/series/{series['id']}"
        await call("PATCH", "certnumber", path, token=office.reviewer, json={"posts": ["30"]})
        application = await office.submitted(person, "10")
        await office.decide("approve", application)
        item = await office.item(application, status="approved", decision_pending=False)

        async def failed() -> bool:
            return (await office.read(application))["numbering_failure"] is not None

        await until(failed, what="the failure to be known")
        await office.quiet()
        item = await office.item(application, status="approved")
        assert item["numbering_failure"]["code"]
        assert [row["post"] for row in item["held"]] == ["40"]
        # Mended, it is tried again, and the note goes.
        await call("PATCH", "certnumber", path, token=office.reviewer, json={"posts": None})
        found = await office.reach(application, "certified")
        assert found["numbering_failure"] is None
        item = await office.item(application, status="certified")
        assert item["numbering_failure"] is None


async def hear(office: Office, *events: Event) -> list[Verdict]:
    """Deliver to renewal's own handlers, each queue's events as one batch."""
    verdicts: list[Verdict] = []
    for subscription in SUBSCRIPTIONS:
        consumer = Consumer(subscription, office.renewal, office.renewal.database)
        batch = [message(event) for event in events if type(event) in subscription.handlers]
        verdicts += [outcome.verdict for outcome in await consumer.process(batch)]
    return verdicts


def review(kind: type[ReviewDecision], application: str, revision: int, decision_no: int) -> ReviewDecision:
    return kind(
        application_id=UUID(application),
        decision_id=uuid4(),
        revision=revision,
        decision_no=decision_no,
        reviewer="审核员",
        decided_at=START,
    )


def assigned(application: str, decision_no: int, number: str) -> NumberAssigned:
    return NumberAssigned(
        application_id=UUID(application),
        decision_no=decision_no,
        number=number,
        issued_on=START.date(),
        assigned_at=START,
        replaces=None,
    )


def voided(application: str, decision_no: int, number: str) -> NumberVoided:
    return NumberVoided(application_id=UUID(application), decision_no=decision_no, number=number, voided_at=START)


@pytest.fixture(scope="module")
async def lone(shared_embedded: Harness) -> Office:
    """A platform whose certnumber and desk hear nothing: the test speaks in their place."""
    for queue in ("certnumber.approvals", "review.applications"):
        shared_embedded.platform.bus._consumers.pop(queue)
    return await Office.open(shared_embedded)


class TestWordFromCertnumber:
    async def certificates(self, office: Office, person: str) -> dict[str, tuple[str, bool]]:
        known = await office.known(person)
        return {row["certificate_number"]: (row["post"], row["voided_at"] is None) for row in known["certificates"]}

    async def approved(self, office: Office, person: str, post: str = "10") -> str:
        application = await office.submitted(person, post)
        assert await hear(office, review(ReviewApproved, application, 1, 0)) == [Verdict.done]
        return application

    async def test_ahead_of_its_approval(self, lone: Office) -> None:
        person = await lone.person()
        application = await lone.submitted(person, "10")
        number = new_certificate()
        early = [
            assigned(application, 1, number),
            NumberingFailed(application_id=UUID(application), decision_no=1, code="no_series", detail="没有"),
            voided(application, 1, number),
            review(ReviewApprovalWithdrawn, application, 1, 1),
            review(ReviewApproved, application, 2, 0),
        ]
        assert await hear(lone, *early) == [Verdict.retry] * 5
        assert (await lone.read(application))["status"] == "pending_review"
        assert await self.certificates(lone, person) == {}
        assert await hear(lone, review(ReviewApproved, application, 1, 0), early[0]) == [Verdict.done] * 2
        assert (await lone.read(application))["certificate_number"] == number

    async def test_late_for_a_withdrawn_approval(self, lone: Office) -> None:
        """The number stays known as void, under the post that was approved, so that no import can revive it."""
        person, number = await lone.person(), new_certificate()
        application = await self.approved(lone, person)
        assert await hear(lone, review(ReviewApprovalWithdrawn, application, 1, 1)) == [Verdict.done]
        await hear(lone, review(ReviewRejected, application, 1, 2))
        changed = await lone.request("PATCH", f"/applications/{application}", json={"post": "30"})
        assert changed.status_code == 200
        assert await hear(lone, assigned(application, 1, number)) == [Verdict.done]
        assert await self.certificates(lone, person) == {number: ("10", False)}
        found = await lone.read(application)
        assert (found["status"], found["certificate_number"]) == ("rejected", None)
        assert await hear(lone, assigned(application, 1, number), voided(application, 1, number)) == [Verdict.done] * 2
        assert await self.certificates(lone, person) == {number: ("10", False)}

    async def test_void_before_the_number_itself(self, lone: Office) -> None:
        person, number = await lone.person(), new_certificate()
        application = await self.approved(lone, person)
        await hear(lone, review(ReviewApprovalWithdrawn, application, 1, 1))
        await hear(lone, review(ReviewApproved, application, 1, 2))
        assert await hear(lone, voided(application, 1, number)) == [Verdict.done]
        assert await hear(lone, assigned(application, 1, number)) == [Verdict.done]
        second = new_certificate()
        assert await hear(lone, assigned(application, 3, second)) == [Verdict.done]
        assert await self.certificates(lone, person) == {number: ("10", False), second: ("10", True)}
        assert (await lone.read(application))["certificate_number"] == second

    async def test_failure_after_success(self, lone: Office) -> None:
        person, number = await lone.person(), new_certificate()
        application = await self.approved(lone, person)
        failure = NumberingFailed(application_id=UUID(application), decision_no=1, code="no_series", detail="没有序列")
        await hear(lone, failure)
        assert (await lone.read(application))["numbering_failure"] == "没有序列"
        await hear(lone, assigned(application, 1, number))
        await hear(lone, failure)
        found = await lone.read(application)
        assert (found["status"], found["numbering_failure"]) == ("certified", None)

    async def test_of_a_number_the_registry_knows(self, lone: Office) -> None:
        """An old certificate already has the number that the series has come to: nobody may hold it twice."""
        holder = await lone.person("30")
        [number] = await self.certificates(lone, holder)
        person = await lone.person()
        application = await self.approved(lone, person)
        assert await hear(lone, assigned(application, 1, number)) == [Verdict.done]
        found = await lone.read(application)
        assert (found["status"], found["decision_no"], found["reason_code"]) == ("pending_review", 2, "number_taken")
        assert number in found["comment"]
        assert await hear(lone, voided(application, 1, number)) == [Verdict.done]
        assert await self.certificates(lone, holder) == {number: ("30", True)}
        await hear(lone, review(ReviewApproved, application, 1, 2))
        second = new_certificate()
        await hear(lone, assigned(application, 3, second))
        found = await lone.read(application)
        assert (found["status"], found["certificate_number"], found["numbering_failure"]) == ("certified", second, None)

    async def test_of_an_unknown_application(self, lone: Office) -> None:
        unknown = str(uuid4())
        assert await hear(lone, assigned(unknown, 1, new_certificate())) == [Verdict.retry]
        assert await hear(lone, review(ReviewApproved, unknown, 1, 0)) == [Verdict.retry]


async def test_a_batch_of_decisions_is_one_transaction_with_few_statements(office: Office) -> None:
    applications = [await office.submitted(await office.person(), "10") for _ in range(12)]
    for application in applications:
        await office.item(application, status="pending_review")
    decisions = [review(ReviewApproved, application, 1, 0) for application in applications]
    # One of them cannot be taken yet; the others are not held up by it.
    decisions.insert(5, review(ReviewApproved, applications[0], 7, 0))
    verdicts = await hear(office, *decisions)
    assert verdicts == [Verdict.retry if position == 5 else Verdict.done for position in range(13)]
    await office.quiet()
    withdrawals = [review(ReviewApprovalWithdrawn, application, 1, 1) for application in applications]
    with statements(office.renewal.database) as sent:
        assert await hear(office, *withdrawals) == [Verdict.done] * 12
    assert len(sent) < 30
    async with office.renewal.database.transaction() as session:
        rows = await session.scalars(sa.select(Application.status).where(Application.id.in_(map(UUID, applications))))
        assert set(rows) == {"pending_review"}


async def test_refused_requests_name_no_number(office: Office) -> None:
    person = new_person()
    response = await office.request("POST", "/applications", json={"id_number": person, "post": "10"})
    problem(response, 404, "person_not_found")
    assert person not in response.text
