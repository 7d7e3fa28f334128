"""No id number leaves its service, or is shown, in a text that somebody typed or a registry holds."""

import secrets
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from deploy.synthetic import id_number, taxpayer_id
from services.renewal.models import HeldCertificate, Person
from services.renewal.registry.sealing import seal_stored
from shared.runtime.container import Container
from shared.values import idnumber
from tests.support.office import Office, line, new_person, problem
from tests.support.platform import Harness

OWN = id_number(sequence=7)
FORMS = [
    "张三 {}",
    "张三{}工程队",
    ".".join(OWN[at : at + 4] for at in range(0, 18, 4)),
    f"{OWN[:6]}/{OWN[6:14]}/{OWN[14:]}",
    OWN.translate(str.maketrans("0123456789X", "０１２３４５６７８９Ｘ")),
    "\u200b".join(OWN),
    f"{OWN[:6]}{OWN[8:17]}",
]


@pytest.fixture(scope="module")
async def office(shared_embedded: Harness) -> Office:
    return await Office.open(shared_embedded)


@pytest.mark.parametrize("form", FORMS)
async def test_no_field_that_is_shown_takes_one(office: Office, form: str) -> None:
    typed = form.format(OWN)
    enterprise = {
        "taxpayer_id": taxpayer_id(secrets.randbelow(10_000_000)),
        "name": "南昌测试建设有限公司",
        "contact_name": "联系人",
        "contact_phone": "0791-88888888",
    }
    reviewer = {"username": f"user-{secrets.token_hex(4)}", "name": "审核员", "roles": ["reviewer"]}
    series = {"name": "测试", "layout": "X{post}{serial:05}", "active": False}
    requests: list[tuple[str, str, str, dict[str, Any], tuple[str, ...]]] = [
        ("POST", "enterprise/v1/enterprises", "", enterprise, ("name", "contact_name", "contact_phone", "address")),
        ("PATCH", "enterprise/v1/me", office.enterprise, {}, ("name", "contact_name", "contact_phone", "address")),
        ("POST", "review/v1/reviewers", office.reviewer, reviewer, ("name", "username")),
        ("POST", "certnumber/v1/series", office.reviewer, series, ("name",)),
    ]
    for method, path, token, body, fields in requests:
        for field in fields:
            response = await office.harness.request(method, f"/api/{path}", token, json={**body, field: typed})
            (error,) = problem(response, 422, "invalid_request")["errors"]
            assert error["field"] == field
            assert OWN not in response.text


@pytest.mark.parametrize("form", FORMS)
async def test_no_comment_takes_one(office: Office, form: str) -> None:
    decision = {
        "action": "reject",
        "reason_code": "other",
        "comment": f"请核对：{form.format(OWN)}",
        "items": [{"application_id": str(uuid4()), "revision": 1}],
    }
    response = await office.harness.request("POST", "/api/review/v1/decisions", office.reviewer, json=decision)
    problem(response, 422, "id_number_in_comment")


async def stored(containers: dict[str, Container], text: str) -> list[str]:
    """The tables and columns of all services in which the text stands."""
    found = []
    for service, container in containers.items():
        async with container.database.transaction() as session:
            columns = await session.execute(
                sa.text(
                    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
                    " AND data_type IN ('text', 'jsonb', 'ARRAY', 'bytea')"
                )
            )
            for table, column in columns.all():
                statement = f'SELECT count(*) FROM "{table}" WHERE strpos("{column}"::text, :text) > 0'  # noqa: S608
                if await session.scalar(sa.text(statement), {"text": text}):
                    found.append(f"{service}.{table}.{column}")
    return found


async def test_a_certificate_number_with_one_is_sealed_and_shown_masked(office: Office) -> None:
    person, containers = new_person(), office.harness.platform.containers
    for text in ("T{}", "赣{}号", "{}"):
        number = text.format(person)
        other = line(new_person(), "10", number)
        report = await imported(office, line(person, "10", number, "2031-05-31"), other)
        assert (report["failed"], report["errors"][0]["code"]) == (1, "certificate_taken")
        assert (await imported(office, line(person, "10", number, "2031-05-31")))["unchanged"] == 1
    shown = {text.format(idnumber.mask(person)) for text in ("T{}", "赣{}号", "{}")}
    known = await office.known(person)
    assert {certificate["certificate_number"] for certificate in known["certificates"]} == shown

    # Expired, so that three certificates do not forbid the renewal.
    for text in ("T{}", "赣{}号", "{}"):
        assert (await imported(office, line(person, "10", text.format(person), "2020-01-01")))["updated"] == 1
    certified = await office.certified(person, "10")
    public = await office.harness.request("GET", f"/api/certnumber/v1/certificates/{certified['certificate_number']}")
    assert public.json()["replaces"] in shown
    item = await office.item(certified["id"], status="certified")
    assert person not in str(item["held"])
    await office.quiet()
    assert await stored(containers, certified["certificate_number"])
    assert await stored(containers, person) == []


async def test_what_was_stored_before_is_sealed(office: Office) -> None:
    person = new_person()
    await office.holds(person)
    now = datetime.now(UTC)
    numbers = [f"T{person}", f"U{person}"]
    async with office.renewal.database.transaction() as session:
        owner = (await session.scalars(sa.select(Person).order_by(Person.created_at.desc()).limit(1))).one()
        for number in (*numbers, "00360199000000", "赣20261234567890123"):
            fields = {"certificate_number": number, "post": "10", "created_at": now, "updated_at": now}
            session.add(HeldCertificate(id=uuid4(), person_id=owner.id, **fields))
    assert await seal_stored(office.renewal) == 2
    assert await seal_stored(office.renewal) == 0
    known = {row["certificate_number"] for row in (await office.known(person))["certificates"]}
    masked = idnumber.mask(person)
    assert known == {f"T{masked}", f"U{masked}", "00360199000000", "赣20261234567890123"}
    assert (await imported(office, line(person, "10", numbers[0])))["unchanged"] == 1

    # The version before takes in a number that this one has sealed.
    async with office.renewal.database.transaction() as session:
        fields = {"certificate_number": numbers[0], "post": "10", "created_at": now, "updated_at": now}
        session.add(HeldCertificate(id=uuid4(), person_id=owner.id, **fields))
    assert await seal_stored(office.renewal) == 1
    assert await stored({"renewal": office.renewal}, person) == []


async def imported(office: Office, *lines: str) -> dict[str, Any]:
    table = "\n".join(["id_number,name,post,certificate_number,valid_until", *lines])
    files = {"file": ("people.csv", table.encode(), "text/csv")}
    response = await office.request("POST", "/registry/imports", office.reviewer, files=files)
    assert response.status_code == 200, response.text
    report: dict[str, Any] = response.json()
    return report


async def test_a_sealed_number_is_put_right_and_stays_sealed(office: Office) -> None:
    person, other = new_person(), new_person()
    assert (await imported(office, line(person, "10", f"T{person}"), line(other, "10", "T0000777")))["created"] == 2

    async def corrected(owner: str, **values: str) -> dict[str, Any]:
        (held,) = [row for row in (await office.known(owner))["certificates"] if not row["voided_at"]]
        body = {"reason": "登记有误", "updated_at": held["updated_at"], **values}
        path = f"/registry/certificates/{held['id']}"
        response = await office.request("PATCH", path, office.reviewer, json=body)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    # As the page shows it: no other number.
    shown = f"T{idnumber.mask(person)}"
    found = await corrected(person, certificate_number=shown, post="11")
    assert [(row["certificate_number"], row["post"]) for row in found["certificates"]] == [(shown, "11")]
    # From one that is sealed to one that is not, and the other way round.
    found = await corrected(person, certificate_number="T0000888")
    assert {(row["certificate_number"], row["corrected_to"]) for row in found["certificates"]} == {
        ("T0000888", None),
        (shown, "T0000888"),
    }
    report = await imported(office, line(person, "10", f"T{person}"))
    assert (report["errors"][0]["code"], person in str(report)) == ("certificate_corrected", False)
    await corrected(other, certificate_number=f"T{other}")
    report = await imported(office, line(other, "10", "T0000777"))
    assert f"T{idnumber.mask(other)}" in report["errors"][0]["message"]
    await office.quiet()
    for number in (person, other):
        assert await stored(office.harness.platform.containers, number) == []
