"""A registrar puts right what was imported wrongly, and no table puts it wrong again."""

import asyncio
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.renewal.domain import FOLDED, MARKS, number_key
from services.renewal.models import NUMBER_KEY
from tests.integration.renewal.test_registry import HEADER, counts, imported, upload
from tests.integration.renewal.test_registry_meetings import somebody_waits
from tests.support.office import Office, line, new_certificate, new_person, problem
from tests.support.wait import until

REASON = "与原件不符"


async def correct(office: Office, certificate: dict[str, Any], **values: Any) -> httpx2.Response:
    body = {"reason": REASON, "updated_at": certificate["updated_at"], **values}
    return await office.request("PATCH", f"/registry/certificates/{certificate['id']}", office.reviewer, json=body)


async def end(office: Office, certificate: dict[str, Any], how: str = "removal", **values: Any) -> httpx2.Response:
    body = {"reason": REASON, "updated_at": certificate["updated_at"], **values}
    path = f"/registry/certificates/{certificate['id']}/{how}"
    return await office.request("POST", path, office.reviewer, json=body)


async def rename(office: Office, person: dict[str, Any], name: str, **values: Any) -> httpx2.Response:
    body = {"name": name, "reason": REASON, "updated_at": person["updated_at"], **values}
    return await office.request("PATCH", f"/registry/people/{person['id']}", office.reviewer, json=body)


async def held(office: Office, person: str, number: str) -> dict[str, Any]:
    certificates = (await office.known(person))["certificates"]
    found: dict[str, Any] = next(each for each in certificates if each["certificate_number"] == number)
    return found


def done(response: httpx2.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def codes(report: dict[str, Any], kind: str = "errors") -> list[tuple[int, str]]:
    return [(each["row"], each["code"]) for each in report[kind]]


class TestTheNumber:
    async def test_put_right_and_no_table_brings_the_wrong_one_back(self, office: Office) -> None:
        person, wrong, right = new_person(), new_certificate(), new_certificate()
        table = line(person, "10", wrong, "2031-05-31")
        await imported(office, table)
        after = done(
            await correct(office, await held(office, person, wrong), certificate_number=f" {right[:5]} {right[5:]}")
        )
        rows = {row["certificate_number"]: row for row in after["certificates"]}
        assert (rows[right]["valid_until"], rows[right]["voided_at"]) == ("2031-05-31", None)
        assert (rows[wrong]["corrected_to"], rows[wrong]["voided_at"] is None) == (right, False)
        for again in (table, line(person, "30", wrong)):
            report = await imported(office, again)
            assert codes(report) == [(2, "certificate_corrected")]
            assert right in report["errors"][0]["message"]
        assert counts(await imported(office, line(person, "10", right, "2031-05-31"))) == (1, 0, 0, 1, 0)
        # And back, if that was the mistake.
        after = done(await correct(office, rows[right], certificate_number=wrong))
        rows = {row["certificate_number"]: row for row in after["certificates"]}
        assert (rows[wrong]["corrected_to"], rows[right]["corrected_to"]) == (None, wrong)

    async def test_of_another_certificate_is_refused(self, office: Office) -> None:
        person, other = new_person(), new_person()
        mine, own, theirs = "A-" + new_certificate(), new_certificate(), new_certificate()
        await imported(office, line(person, "10", mine), line(person, "30", own), line(other, "10", theirs))
        certificate = await held(office, person, mine)
        for number, words in ((theirs, "其他人员"), (own, "移除重复的一本"), (f"00{own}", own)):
            document = problem(await correct(office, certificate, certificate_number=number), 409, "certificate_taken")
            assert words in document["detail"]
        assert await held(office, person, mine) == certificate

    async def test_of_another_person_in_another_writing_is_refused(self, office: Office) -> None:
        person, other = new_person(), new_person()
        mine, theirs = new_certificate(), f"赣建安C(2015){new_certificate()}"
        zeros = f"00{mine.removeprefix('OLD')}"
        await imported(
            office, line(person, "10", mine), line(other, "10", theirs), line(other, "30", zeros, "2031-05-31")
        )
        certificate = await held(office, person, mine)
        for number, shown in ((theirs.lower(), theirs), (theirs.replace("(", "〔").replace(")", "〕"), theirs)):
            document = problem(await correct(office, certificate, certificate_number=number), 409, "certificate_taken")
            assert shown in document["detail"]
        document = problem(await correct(office, certificate, certificate_number=zeros[1:]), 409, "certificate_taken")
        assert zeros in document["detail"]
        assert await held(office, person, mine) == certificate
        # What an import took with a warning may still be written as it should be.
        alike = theirs.replace("(", "〔").replace(")", "〕")
        report = await imported(office, line(person, "40", alike))
        assert codes(report, "warnings") == [(2, "certificate_number_similar")]
        done(await correct(office, await held(office, person, alike), certificate_number=alike.replace("〔", "-")))
        # And the other person's may be given up.
        done(await end(office, await held(office, other, zeros)))
        done(await correct(office, certificate, certificate_number=zeros[1:]))

    async def test_that_was_another_person_s_by_mistake_goes_to_whose_it_is(self, office: Office) -> None:
        wrong_person, person, number = new_person(), new_person(), new_certificate()
        await imported(office, line(wrong_person, "10", number))
        done(await end(office, await held(office, wrong_person, number)))
        assert counts(await imported(office, line(person, "30", number, "2032-01-31"))) == (1, 1, 0, 0, 0)
        assert (await held(office, person, number))["voided_at"] is None
        assert (await office.known(wrong_person))["certificates"] == []
        assert codes(await imported(office, line(wrong_person, "10", number))) == [(2, "certificate_taken")]


class TestPostAndLastDay:
    async def test_put_right_stay_right_until_there_is_news(self, office: Office) -> None:
        person, number = new_person(), new_certificate()
        table = line(person, "10", number, "2031-05-31")
        await imported(office, table)
        certificate = await held(office, person, number)
        after = done(await correct(office, certificate, post="安全员", valid_until=""))
        [row] = after["certificates"]
        assert (row["id"], row["post"], row["valid_until"]) == (certificate["id"], "30", None)
        assert codes(await imported(office, table)) == [(2, "certificate_corrected")]
        assert counts(await imported(office, line(person, "30", number, "2034-05-31"))) == (1, 0, 1, 0, 0)
        assert codes(await imported(office, table)) == [(2, "certificate_corrected")]
        row = await held(office, person, number)
        done(await correct(office, row, post="10", valid_until="2031-05-31"))
        assert counts(await imported(office, table)) == (1, 0, 0, 1, 0)

    async def test_every_wrong_field_is_named(self, office: Office) -> None:
        person, number = new_person(), new_certificate()
        await imported(office, line(person, "10", number))
        certificate = await held(office, person, number)
        wrong = {"certificate_number": "无", "post": "没有的岗位", "valid_until": "2031-02-30"}
        document = problem(await correct(office, certificate, **wrong), 422, "registry_value_invalid")
        assert [error["field"] for error in document["errors"]] == ["post", "certificate_number", "valid_until"]
        problem(await correct(office, certificate), 422, "nothing_to_correct")
        problem(await correct(office, certificate, post="10"), 422, "nothing_to_correct")
        problem(await correct(office, certificate, post="30", reason=" "), 422, "invalid_request")

    async def test_another_post_is_not_what_took_the_place_of_this_one(self, office: Office) -> None:
        person, number = new_person(), new_certificate()
        await imported(office, line(person, "30", number))
        await office.certified(person, "30")
        certificate = await held(office, person, number)
        assert certificate["replaced"]
        done(await correct(office, certificate, post="60"))
        assert not (await held(office, person, number))["replaced"]


class TestRemoval:
    async def test_frees_the_holder_and_lasts(self, office: Office) -> None:
        """The case that began it: the same certificate once more, without its zeros."""
        person = new_person()
        numbers = [f"00{index}{new_certificate()[3:]}0" for index in range(1, 4)]
        await imported(
            office, *(line(person, post, number) for post, number in zip(("30", "60", "70"), numbers, strict=True))
        )
        draft = await office.draft(person, "10")
        refused = problem(await office.submit(draft["id"]), 409, "not_eligible")
        assert [reason["code"] for reason in refused["reasons"]] == ["three_certificates"]
        after = done(await end(office, await held(office, person, numbers[0])))
        [removed] = [row for row in after["certificates"] if row["voided_at"]]
        assert (removed["certificate_number"], removed["void_reason"]) == (numbers[0], REASON)
        assert (await office.submit(draft["id"])).status_code == 200
        for again in (numbers[0], numbers[0].lstrip("0")):
            assert codes(await imported(office, line(person, "30", again))) == [(2, "certificate_removed")]
        problem(await end(office, removed), 409, "certificate_void")
        problem(await correct(office, removed, post="10"), 409, "certificate_void")

    async def test_can_be_taken_back(self, office: Office) -> None:
        person, number = new_person(), new_certificate()
        await imported(office, line(person, "30", number))
        certificate = await held(office, person, number)
        problem(await end(office, certificate, "restoration"), 409, "certificate_not_removed")
        done(await end(office, certificate))
        done(await end(office, await held(office, person, number), "restoration"))
        row = await held(office, person, number)
        assert (row["voided_at"], row["void_reason"]) == (None, None)
        assert counts(await imported(office, line(person, "30", number))) == (1, 0, 0, 1, 0)

    async def test_is_not_for_what_the_platform_gave(self, office: Office) -> None:
        person = await office.person()
        number = (await office.certified(person, "10"))["certificate_number"]
        certificate = await held(office, person, number)
        problem(await end(office, certificate), 409, "platform_certificate")
        problem(await end(office, certificate, "restoration"), 409, "platform_certificate")
        problem(await correct(office, certificate, post="30"), 409, "platform_certificate")

    async def test_of_what_a_new_certificate_replaced_survives_the_end_of_that_one(self, office: Office) -> None:
        person, number = new_person(), new_certificate()
        await imported(office, line(person, "10", number))
        application = await office.certified(person, "10")
        done(await end(office, await held(office, person, number)))
        await office.decide("withdraw", application["id"])
        await office.reach(application["id"], "pending_review")
        row = await held(office, person, number)
        assert (row["voided_at"] is None, row["void_reason"]) == (False, REASON)


class TestTheName:
    async def test_put_right_and_no_table_brings_the_wrong_one_back(self, office: Office) -> None:
        person = new_person()
        await imported(office, f"{person},王安宁,,,")
        after = done(await rename(office, await office.known(person), "王安 和"))
        assert after["name"] == "王安和"
        assert codes(await imported(office, f"{person},王安宁,,,")) == [(2, "name_corrected")]
        assert counts(await imported(office, f"{person},王安和,,,")) == (1, 0, 0, 1, 0)
        document = problem(await rename(office, after, "王1"), 422, "registry_value_invalid")
        assert [error["field"] for error in document["errors"]] == ["name"]
        problem(await rename(office, after, "王安和"), 422, "nothing_to_correct")
        after = done(await rename(office, after, "王安宁"))
        assert counts(await imported(office, f"{person},王安宁,,,")) == (1, 0, 0, 1, 0)


class TestWhatIsSaid:
    async def test_the_desk_shows_what_is_so_by_now(self, office: Office) -> None:
        person, number, right = new_person(), new_certificate(), new_certificate()
        await imported(office, line(person, "30", number))
        waiting = await office.submitted(person, "10")
        rejected = await office.submitted(person, "60")
        await office.decide("reject", rejected)
        await office.reach(rejected, "rejected")
        before = await office.item(waiting)
        assert [row["certificate_number"] for row in before["held"]] == [number]
        known = done(await correct(office, await held(office, person, number), certificate_number=right))
        await office.item(waiting, held=[{**before["held"][0], "certificate_number": right}])
        done(await rename(office, known, "欧阳安宁"))
        for application in (waiting, rejected):
            await office.item(application, name="欧阳安宁")
        done(await end(office, await held(office, person, right)))
        after = await office.item(waiting, held=[])
        assert (after["status"], after["revision"], after["actions"]) == (before["status"], 1, before["actions"])
        # As does an import, which also changes what people hold and are called.
        await imported(office, f"{person},欧阳安和,30,{(another := new_certificate())},")
        after = await office.item(waiting, name="欧阳安和")
        assert [row["certificate_number"] for row in after["held"]] == [another]
        history = (await office.read(waiting))["history"]
        assert [entry["action"] for entry in history][-4:] == ["restate"] * 4
        # What the reviewer sees is decided on: nothing has happened to the application itself.
        await office.decide("approve", waiting)
        await office.reach(waiting, "certified")

    async def test_a_table_that_changes_nothing_says_nothing(self, office: Office) -> None:
        person, number = new_person(), new_certificate()
        await imported(office, line(person, "30", number))
        application = await office.submitted(person, "10")
        before = (await office.read(application))["history"]
        await imported(office, line(person, "30", number), line(person, "40", ""))
        assert (await office.read(application))["history"] == before

    async def test_the_trail_knows_who_did_it_and_why(self, office: Office) -> None:
        person, wrong, right = new_person(), new_certificate(), new_certificate()
        await imported(office, line(person, "10", wrong, "2031-05-31"))
        known = done(await rename(office, await office.known(person), "王安安"))
        done(await correct(office, await held(office, person, wrong), certificate_number=right, valid_until=""))
        done(await end(office, await held(office, person, right)))
        done(await end(office, await held(office, person, right), "restoration"))
        restored, removed, corrected, renamed = [
            (await office.audit(action=action))[0]
            for action in ("certificate_restored", "certificate_removed", "certificate_corrected", "person_corrected")
        ]
        for entry in (restored, removed, corrected, renamed):
            assert (entry["actor"], entry["subject"]) == ("测试审核员", known["id_number_masked"])
            assert entry["detail"]["reason"] == REASON
        assert removed["detail"]["certificate_number"] == right
        assert corrected["detail"]["old"] == {"certificate_number": wrong, "valid_until": "2031-05-31"}
        assert corrected["detail"]["new"] == {"certificate_number": right, "valid_until": ""}
        assert renamed["detail"]["new"] == {"holder": "王**"}

    async def test_a_dry_run_answers_the_same_and_leaves_nothing(self, office: Office) -> None:
        person, wrong, right = new_person(), new_certificate(), new_certificate()
        await imported(office, line(person, "30", wrong))
        application = await office.submitted(person, "10")
        known, history = await office.known(person), (await office.read(application))["history"]
        trail = await office.audit(action="certificate_corrected")
        body = {"reason": REASON, "updated_at": known["certificates"][0]["updated_at"], "certificate_number": right}
        path = f"/registry/certificates/{known['certificates'][0]['id']}"
        dry: dict[str, Any] = {"params": {"dry_run": "true"}, "json": body}
        rehearsed = done(await office.request("PATCH", path, office.reviewer, **dry))
        named = {"reason": REASON, "updated_at": known["updated_at"], "name": "王安安"}
        dry = {"params": {"dry_run": "true"}, "json": named}
        renamed = done(await office.request("PATCH", f"/registry/people/{known['id']}", office.reviewer, **dry))
        assert renamed["name"] == "王安安"
        assert await office.known(person) == known
        assert (await office.read(application))["history"] == history
        assert await office.audit(action="certificate_corrected") == trail
        after = done(await office.request("PATCH", path, office.reviewer, json=body))
        numbers = [row["certificate_number"] for row in after["certificates"]]
        assert sorted(row["certificate_number"] for row in rehearsed["certificates"]) == sorted(numbers)


class TestMeetings:
    async def test_what_somebody_else_has_changed_is_looked_at_again(self, office: Office) -> None:
        person, number = new_person(), new_certificate()
        await imported(office, line(person, "30", number))
        known = await office.known(person)
        [seen] = known["certificates"]
        done(await correct(office, seen, valid_until="2031-05-31"))
        problem(await correct(office, seen, post="40"), 409, "registry_changed")
        problem(await end(office, seen), 409, "registry_changed")
        done(await rename(office, known, "王安安"))
        problem(await rename(office, known, "王安定"), 409, "registry_changed")

    async def test_corrections_and_imports_at_once_end_in_one_of_them(self, office: Office) -> None:
        people = [new_person() for _ in range(8)]
        numbers = [new_certificate() for _ in people]
        swapped = [*numbers[1:], numbers[0]]
        table = [line(person, "30", number) for person, number in zip(people, numbers, strict=True)]
        await imported(office, *table)
        applications = [await office.submitted(person, "10") for person in people]
        rows = [await held(office, person, number) for person, number in zip(people, numbers, strict=True)]
        others = [line(person, "40", number, "2035-01-31") for person, number in zip(people, numbers, strict=True)]
        answers = await asyncio.gather(
            *(correct(office, row, certificate_number=f"R{number}") for row, number in zip(rows, swapped, strict=True)),
            *(end(office, row) for row in reversed(rows)),
            *(upload(office, "\n".join([HEADER, *order]).encode()) for order in (others, others[::-1], table)),
        )
        assert {answer.status_code for answer in answers} <= {200, 409}
        assert {problem(a, 409, "registry_changed")["code"] for a in answers if a.status_code == 409} <= {
            "registry_changed"
        }
        for person, application in zip(people, applications, strict=True):
            known = await office.known(person)
            valid = [row["certificate_number"] for row in known["certificates"] if not row["voided_at"]]
            assert len(valid) <= 1
            item = await office.item(application)

            async def agree(application: str = application, valid: list[str] = valid) -> bool:
                item = await office.item(application)
                return [row["certificate_number"] for row in item["held"]] == valid

            await until(agree, what=f"the desk to show {valid}, not {item['held']}")

    async def test_a_number_that_is_restored_is_not_taken_over(self, office: Office) -> None:
        first, second, number = new_person(), new_person(), new_certificate()
        await imported(office, line(first, "30", number), line(second))
        done(await end(office, await held(office, first, number)))
        row = await held(office, first, number)
        async with office.renewal.database.transaction() as session:
            # Restored by hand, and not committed while the import judges.
            statement = "UPDATE held_certificates SET voided_at = NULL, updated_at = now() WHERE id = :id"
            await session.execute(sa.text(statement), {"id": row["id"]})
            importing = asyncio.create_task(imported(office, line(second, "30", number)))
            await until(lambda: somebody_waits(office), what="the import to meet the restoration")
        assert codes(await importing) == [(2, "certificate_taken")]
        assert (await held(office, first, number))["voided_at"] is None

    async def test_nothing_is_changed_under_a_number_that_is_being_given(self, office: Office) -> None:
        person, number = new_person(), new_certificate()
        await imported(office, line(person, "10", number))
        application = await office.submitted(person, "10")
        async with office.renewal.database.transaction() as session:
            statement = "UPDATE applications SET status = 'approved' WHERE id = :id"
            await session.execute(sa.text(statement), {"id": application})
        certificate = await held(office, person, number)
        problem(await end(office, certificate), 409, "being_numbered")
        problem(await correct(office, certificate, post="30"), 409, "being_numbered")
        problem(await rename(office, await office.known(person), "王安安"), 409, "being_numbered")
        renaming = f"{person},王安安,10,{number},"
        found = await imported(office, renaming, line(person, "10", new_certificate()), line(person, "30", number))
        assert codes(found) == [(row, "being_numbered") for row in (2, 3, 4)]
        assert (await office.known(person))["name"] != "王安安"
        done(await correct(office, certificate, valid_until="2031-05-31"))


async def test_only_registrars(office: Office) -> None:
    person, number = new_person(), new_certificate()
    await imported(office, line(person, "30", number))
    known = await office.known(person)
    [certificate] = known["certificates"]
    body = {"reason": REASON, "updated_at": certificate["updated_at"]}
    plain = await office.harness.reviewer("plain-reviewer", ("reviewer", "admin"))
    for token, status, code in (
        (plain, 403, "forbidden"),
        (office.enterprise, 403, "forbidden"),
        ("", 401, "unauthenticated"),
    ):
        path = f"/registry/certificates/{certificate['id']}"
        problem(await office.request("PATCH", path, token, json=body), status, code)
        problem(await office.request("POST", f"{path}/removal", token, json=body), status, code)
        problem(await office.request("POST", f"{path}/restoration", token, json=body), status, code)
        path = f"/registry/people/{known['id']}"
        problem(await office.request("PATCH", path, token, json={**body, "name": "王"}), status, code)
        problem(await office.request("GET", path, token), status, code)
    looked = (await office.audit(action="person_viewed"))[0]["id"]
    assert done(await office.request("GET", f"/registry/people/{known['id']}", office.reviewer)) == known
    assert [entry["id"] for entry in await office.audit(action="person_viewed")].index(looked) == 1
    unknown = "00000000-0000-4000-8000-000000000000"
    problem(await office.request("GET", f"/registry/people/{unknown}", office.reviewer), 404, "person_not_found")
    problem(await end(office, {**certificate, "id": unknown}), 404, "certificate_not_found")


async def test_lost_zeros_are_flagged_the_same_in_the_check_and_in_the_import(office: Office) -> None:
    person, other = new_person(), new_person()
    number = f"00{new_certificate()[3:].zfill(12)}"
    await imported(office, line(person, "10", number))
    table = "\n".join(
        [
            HEADER,
            line(person, "10", number.lstrip("0")),
            line(other, "30", number.lstrip("0")),
            line(other, "40", "123"),
        ]
    ).encode()
    checked = (await upload(office, table, params={"dry_run": "true"})).json()
    report = (await upload(office, table)).json()
    assert report == checked
    assert (codes(report), counts(report), report["flagged"]) == ([(2, "certificate_duplicate")], (3, 2, 0, 0, 1), 2)
    assert codes(report, "warnings") == [(3, "certificate_number_similar"), (4, "certificate_number_short")]
    for warning in (*report["errors"], report["warnings"][0]):
        assert number in warning["message"]
    assert "14位" in report["warnings"][1]["message"]
    # What is registered was looked at.
    assert (await upload(office, table)).json()["warnings"] == []


@pytest.mark.parametrize("chunk", [1, 10])
async def test_rows_that_contradict_each_other_are_flagged_however_far_apart(
    office: Office, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(office.renewal, "import_chunk", chunk)
    person, number = new_person(), new_certificate()
    table = "\n".join(
        [HEADER, line(person, "10", number, "2031-05-31"), line(person), line(person, "10", number, "2027-05-31")]
    ).encode()
    checked = (await upload(office, table, params={"dry_run": "true"})).json()
    report = (await upload(office, table)).json()
    assert report == checked
    assert (codes(report), report["flagged"]) == ([], 1)
    assert codes(report, "warnings") == [(4, "certificate_repeated")]
    assert (await held(office, person, number))["valid_until"] == "2027-05-31"


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(st.lists(st.text(st.sampled_from("".join(FOLDED) + MARKS + "0安·'")), min_size=1, max_size=50))
async def test_numbers_are_compared_in_the_database_as_in_the_rules(office: Office, numbers: list[str]) -> None:
    given_numbers = sa.values(sa.column("certificate_number", sa.Text), name="given").data([(n,) for n in numbers])
    async with office.renewal.database.transaction() as session:
        statement = sa.select(sa.column("certificate_number", sa.Text), NUMBER_KEY).select_from(given_numbers)
        rows = await session.execute(statement)
        assert [(row[0], row[1]) for row in rows] == [(number, number_key(number)) for number in numbers]


@pytest.mark.parametrize("number", ["00707100019207"])
async def test_the_comparison_is_by_index(office: Office, number: str) -> None:
    async with office.renewal.database.transaction() as session:
        await session.execute(sa.text("SET LOCAL enable_seqscan = off"))
        statement = sa.text(f"EXPLAIN SELECT id FROM held_certificates WHERE {NUMBER_KEY} IN (:key)")  # noqa: S608
        plan = "\n".join(await session.scalars(statement, {"key": number_key(number)}))
    assert "ix_held_certificates_number_key" in plan
