"""The posts and the check at the id-number step, over HTTP."""

from datetime import date

import pytest
import sqlalchemy as sa

from services.renewal.models import AgeLimit
from shared.values.clock import business_day
from tests.support.office import Office, line, new_person, problem
from tests.support.platform import Harness


async def test_posts_for_enterprises_and_reviewers(office: Office) -> None:
    for token in (office.enterprise, office.reviewer):
        response = await office.request("GET", "/posts", token)
        assert response.status_code == 200
        posts = {post["code"]: post for post in response.json()}
        assert posts["10"] == {"code": "10", "name": "土建施工员", "family": "施工员"}
        assert posts["21"] == {"code": "21", "name": "市政质量员", "family": "质量员"}
        assert len(posts) == 16
    problem(await office.request("GET", "/posts", ""), 401, "unauthenticated")


async def test_an_eligible_person_and_every_post(office: Office) -> None:
    person = await office.person("10")
    response = await office.request("POST", "/eligibility-checks", json={"id_number": person})
    assert response.status_code == 200
    answer = response.json()
    assert answer["eligible"] is True
    assert answer["reasons"] == []
    assert answer["person"]["birth_date"] == f"{person[6:10]}-{person[10:12]}-{person[12:14]}"
    assert answer["person"]["sex"] == "male"
    assert person not in response.text
    assert answer["person"]["id_number_masked"][-4:] == person[-4:]
    refused = {post["code"] for post in answer["posts"] if not post["eligible"]}
    assert refused == {"20", "21", "22", "23"}
    for post in answer["posts"]:
        expected = [("constructor_and_quality", "B")] if post["code"] in refused else []
        assert [(reason["code"], reason["rule"]) for reason in post["reasons"]] == expected


async def test_reasons_for_one_post(office: Office) -> None:
    person = await office.person("21", "30")
    await office.submitted(person, "40")
    response = await office.request("POST", "/eligibility-checks", json={"id_number": person, "post": "10"})
    answer = response.json()
    assert answer["eligible"] is False
    assert [reason["code"] for reason in answer["reasons"]] == ["three_certificates", "constructor_and_quality"]
    again = await office.request("POST", "/eligibility-checks", json={"id_number": person, "post": "40"})
    assert [reason["code"] for reason in again.json()["reasons"]] == ["three_certificates", "already_applied"]


@pytest.mark.parametrize(("sex", "code"), [("female", "over_age_female"), ("male", "over_age_male")])
async def test_age_by_the_number_itself(office: Office, sex: str, code: str) -> None:
    person = await office.person(sex="female" if sex == "female" else "male", born=date(1955, 5, 5))
    response = await office.request("POST", "/eligibility-checks", json={"id_number": person})
    assert response.json()["eligible"] is False
    assert [reason["code"] for reason in response.json()["reasons"]] == [code]


async def test_a_number_typed_in_another_way_is_the_same(office: Office) -> None:
    person = await office.person()
    typed = f" {person[:6]} {person[6:14]} {person[14:]}".lower().translate({48 + n: 0xFF10 + n for n in range(10)})
    response = await office.request("POST", "/eligibility-checks", json={"id_number": typed})
    assert response.status_code == 200


async def test_refused_requests(office: Office) -> None:
    person = await office.person()
    wrong = person[:-1] + ("0" if person[-1] != "0" else "1")
    document = problem(
        await office.request("POST", "/eligibility-checks", json={"id_number": wrong}), 422, "invalid_id_number"
    )
    assert document["errors"][0]["field"] == "id_number"
    assert wrong not in str(document)
    for path in ("/eligibility-checks", "/applications"):
        body = {"id_number": new_person(), "post": "10"}
        problem(await office.request("POST", path, json=body), 404, "person_not_found")
        body = {"id_number": wrong, "post": "10"}
        problem(await office.request("POST", path, json=body), 422, "invalid_id_number")
        body = {"id_number": person, "post": "99"}
        assert (
            problem(await office.request("POST", path, json=body), 422, "unknown_post")["errors"][0]["field"] == "post"
        )
        problem(await office.request("POST", path, office.reviewer, json=body), 403, "forbidden")
        problem(await office.request("POST", path, "", json=body), 401, "unauthenticated")
    problem(await office.request("POST", "/eligibility-checks", json={}), 422, "invalid_request")


async def test_expired_certificates_do_not_count(office: Office) -> None:
    person = new_person()
    today = business_day(office.harness.clock.now())
    yesterday = date.fromordinal(today.toordinal() - 1)
    posts = {"30": yesterday, "40": today, "50": None}
    table = "id_number,name,post,certificate_number,valid_until\n" + "\n".join(
        line(person, post, f"E{post}-{person[-4:]}1", day.isoformat() if day else "") for post, day in posts.items()
    )
    files = {"file": ("people.csv", table.encode(), "text/csv")}
    assert (await office.request("POST", "/registry/imports", office.reviewer, files=files)).status_code == 200
    response = await office.request("POST", "/eligibility-checks", json={"id_number": person})
    assert response.json()["eligible"] is True


async def test_a_limit_of_the_future_takes_effect_on_its_day(embedded: Harness) -> None:
    office = await Office.open(embedded)
    today = business_day(embedded.clock.now())
    person = await office.person(born=today.replace(year=today.year - 61, day=1))
    check = {"id_number": person, "post": "30"}
    assert (await office.request("POST", "/eligibility-checks", json=check)).json()["eligible"] is False
    async with office.renewal.database.transaction() as session:
        tomorrow = date.fromordinal(today.toordinal() + 1)
        session.add(AgeLimit(sex="male", effective_from=tomorrow, months=63 * 12))
    assert (await office.request("POST", "/eligibility-checks", json=check)).json()["eligible"] is False
    async with office.renewal.database.transaction() as session:
        await session.execute(sa.update(AgeLimit).where(AgeLimit.months == 63 * 12).values(effective_from=today))
    assert (await office.request("POST", "/eligibility-checks", json=check)).json()["eligible"] is True


class TestOfAnApplication:
    async def test_it_does_not_stand_in_its_own_way(self, office: Office) -> None:
        person = await office.person("30", "40")
        application = await office.submitted(person, "10")
        check = f"/applications/{application}/eligibility"
        answer = (await office.request("GET", check)).json()
        assert answer["eligible"] is True
        assert answer["reasons"] == []
        assert answer["person"]["id_number_masked"][-4:] == person[-4:]
        assert all(post["eligible"] for post in answer["posts"])

    async def test_what_came_in_between_counts(self, office: Office) -> None:
        person = await office.person()
        draft = (await office.request("POST", "/applications", json={"id_number": person, "post": "10"})).json()
        await office.submitted(person, "20")
        response = await office.request("GET", f"/applications/{draft['id']}/eligibility")
        answer = response.json()
        assert answer["eligible"] is False
        assert [reason["code"] for reason in answer["reasons"]] == ["constructor_and_quality"]
        against = {post["code"]: [reason["code"] for reason in post["reasons"]] for post in answer["posts"]}
        assert against["10"] == ["constructor_and_quality"]
        assert against["20"] == ["already_applied"]
        assert against["30"] == []
        assert person not in response.text

    async def test_is_for_its_enterprise_alone(self, office: Office) -> None:
        application = await office.submitted(await office.person(), "10")
        check = f"/applications/{application}/eligibility"
        stranger = await office.harness.enterprise()
        problem(await office.request("GET", check, stranger), 404, "application_not_found")
        problem(await office.request("GET", check, office.reviewer), 403, "forbidden")
