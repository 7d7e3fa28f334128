"""What people paste and type, at every door: registration, login, import, look-up, desk, public query."""

import csv
import io
import json
import secrets
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from deploy.journey import decide
from deploy.synthetic import taxpayer_id
from services.renewal.registry.file import FIELDS
from shared.persistence.search import contains, search_key
from shared.values import text
from tests.support.office import Office, new_person, problem
from tests.support.platform import REVIEWER, REVIEWER_PASSWORD, Harness

CASES = Path(__file__).parents[1] / "cases"
PHONES: dict[str, str] = json.loads((CASES / "form-01-contact-phones.json").read_text())
SEARCHES: dict[str, Any] = json.loads((CASES / "search-01-forms.json").read_text())
UNSEEN: str = json.loads((CASES / "form-02-invisible-enterprise-name.json").read_text())["enterprise name"]
PASTED = "\u202d{}\u202c", "\u200b{}\ufeff", " {}\u00a0"


@pytest.fixture(scope="module")
async def office(shared_embedded: Harness) -> Office:
    return await Office.open(shared_embedded)


def registration(**changes: str) -> dict[str, str]:
    return {
        "taxpayer_id": taxpayer_id(secrets.randbelow(10_000_000)),
        "name": "南昌(打字) 建设有限公司",
        "contact_name": "联 系人",
        "contact_phone": "0791-88888888",
        **changes,
    }


async def registered(office: Office, **changes: str) -> dict[str, Any]:
    body = registration(**changes)
    response = await office.harness.request("POST", "/api/enterprise/v1/enterprises", json=body)
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def imported(office: Office, table: bytes) -> dict[str, Any]:
    files = {"file": ("people.csv", table, "text/csv")}
    response = await office.request("POST", "/registry/imports", office.reviewer, files=files)
    assert response.status_code == 200, response.text
    report: dict[str, Any] = response.json()
    return report


def rows(table: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.decode("utf-8-sig"))))


@pytest.mark.parametrize(
    ("kind", "stored"),
    [
        ("phone with U+202D", "13800000000"),
        ("phone full-width", "13800000000"),
        ("phone NBSP", "13800000000"),
        ("phone brackets", "0791-88888888"),
        ("phone extension", "0791-88888888转8001"),
    ],
)
async def test_phones_as_people_write_them(office: Office, kind: str, stored: str) -> None:
    assert (await registered(office, contact_phone=PHONES[kind]))["contact_phone"] == stored


@pytest.mark.parametrize("phone", ["电话", "12", "0791-88888888/13800000000"])
async def test_what_is_no_phone_is_refused(office: Office, phone: str) -> None:
    body = registration(contact_phone=phone)
    response = await office.harness.request("POST", "/api/enterprise/v1/enterprises", json=body)
    (error,) = problem(response, 422, "invalid_request")["errors"]
    assert error["field"] == "contact_phone"


async def test_names_are_stored_in_one_form(office: Office) -> None:
    answer = await registered(office)
    assert (answer["name"], answer["contact_name"]) == ("南昌（打字）建设有限公司", "联系人")


@pytest.mark.parametrize("field", ["name", "contact_name", "contact_phone", "taxpayer_id"])
@pytest.mark.parametrize("unseen", [UNSEEN, "\u3164", " \u2800"])
async def test_a_field_of_which_nothing_is_seen_is_missing(office: Office, field: str, unseen: str) -> None:
    body = registration(**{field: unseen})
    response = await office.harness.request("POST", "/api/enterprise/v1/enterprises", json=body)
    (error,) = problem(response, 422, "invalid_request")["errors"]
    assert (error["field"], error["code"]) == (field, "missing")
    assert error["message"].startswith("请填写")


async def test_a_character_of_one_computer_only_is_named(office: Office) -> None:
    response = await office.harness.request(
        "POST", "/api/enterprise/v1/enterprises", json=registration(contact_name="张\ue000")
    )
    (error,) = problem(response, 422, "invalid_request")["errors"]
    assert (error["field"], error["code"]) == ("contact_name", "private_use")
    assert "自造字" in error["message"]


@pytest.mark.parametrize("form", PASTED)
async def test_accounts_are_found_however_they_are_pasted(office: Office, form: str) -> None:
    account = (await registered(office))["account"]
    body = {"taxpayer_id": form.format(account), "password": "111111"}
    response = await office.harness.request("POST", "/api/enterprise/v1/sessions", json=body)
    assert response.status_code == 201, response.text
    captcha = await office.harness.api.call("POST", "review", "/captchas", expect=201)
    login = {"captcha_id": captcha["captcha_id"], "captcha_answer": form.format(captcha["answer"])}
    login |= {"username": form.format(REVIEWER.upper()), "password": REVIEWER_PASSWORD}
    response = await office.harness.request("POST", "/api/review/v1/sessions", json=login)
    assert response.status_code == 201, response.text


async def test_names_of_an_import(office: Office) -> None:
    table = (CASES / "csv-15-names.csv").read_bytes()
    report = await imported(office, table)
    assert (report["created"], report["errors"]) == (8, [])
    known = [(await office.known(row["id_number"]))["name"] for row in rows(table)]
    assert known == [
        "李〇",
        "张三",
        "张三",
        "张三",
        "阿卜杜拉·买买提",
        "阿卜杜拉·买买提",
        "SMITH, JOHN",
        "䶮某",
    ]


async def test_certificate_numbers_of_an_import(office: Office) -> None:
    table = (CASES / "csv-16-certificate-numbers.csv").read_bytes()
    report = await imported(office, table)
    assert (report["created"], report["errors"]) == (5, [])
    known = [(await office.known(row["id_number"]))["certificates"] for row in rows(table)]
    assert [certificate["certificate_number"] for (certificate,) in known] == [
        "赣建安C〔2021〕0000003",
        "赣建安C【2021】0000004",
        "赣建安C(二〇二一)0000007",
        "赣建安C-0000008",
        "赣建安C(2021)0000014",
    ]


async def test_id_numbers_of_an_import_and_of_a_look_up(office: Office) -> None:
    table = (CASES / "csv-ids.csv").read_bytes()
    assert (await imported(office, table))["created"] == 9
    for row in rows(table):
        for form in PASTED:
            assert (await office.known(form.format(row["id_number"])))["name"] == "测试甲"


async def test_searches_and_queries_normalise_as_imports_do(office: Office) -> None:
    enterprise = await office.harness.enterprise(SEARCHES["stored enterprise"])
    person = new_person()
    header = ",".join(FIELDS)
    await imported(office, f"{header}\n{person},{SEARCHES['stored']},,,\n".encode())
    application = await office.submitted(person, "10", enterprise)
    await office.item(application, status="pending_review")

    async def found(service: str, path: str, token: str, **query: str) -> bool:
        response = await office.harness.request("GET", f"/api/{service}/v1{path}", token, params=query)
        assert response.status_code == 200, response.text
        items = response.json()["items"]
        return [item.get("application_id") or item["id"] for item in items] == [application]

    for name in (*SEARCHES["searched"], "卜杜拉 • 买", "阿卜杜拉.买", "\u200b买买提\u202c", "阿 卜杜拉"):
        assert await found("review", "/items", office.reviewer, name=name), name
        assert await found("renewal", "/applications", enterprise, name=name), name
    for name in (*SEARCHES["searched enterprise"], "南昌【检索】", "\u202d昌（检 索"):
        assert await found("review", "/items", office.reviewer, enterprise=name), name
    assert not await found("review", "/items", office.reviewer, name="买提买")

    await decide(office.harness.api, office.reviewer, "approve", application, 1)
    number = (await office.item(application, status="certified"))["certificate_number"]
    for form in (*PASTED, *SEARCHES["certificate query"][:1]):
        typed = form.replace("<number>", "{}").format(number)
        public = await office.harness.request("GET", f"/api/certnumber/v1/certificates/{typed}")
        assert (public.status_code, public.json()["number"]) == (200, number)
        assert await found("review", "/items", office.reviewer, certificate_number=typed)
        page = await office.harness.http.post("/certificates", data={"number": typed}, follow_redirects=True)
        assert number in page.text
    spaced = f"{number[:6]} {number[6:]}"
    assert (await office.harness.request("GET", f"/api/certnumber/v1/certificates/{spaced}")).status_code == 200


async def test_the_database_compares_as_the_code_does(office: Office) -> None:
    """Stored before there was any cleaning, or cleaned: a text's key is the same."""
    stored = [
        "南昌(检索) 建设有限公司",
        "南昌（检索）建设有限公司",
        "阿卜杜拉⋅买买提",
        "阿卜杜拉.买买提",
        "ＳＭＩＴＨ， ＪＯＨＮ",
        "赣建安Ｃ〔2021〕—０1",
        "李○\u200b",
        "O’BRIEN É",
        "[a]{b}【c】〖d〗",
        *(f"a{mark}b" for mark in text.DOTS + text.DASHES + text.APOSTROPHES + text.ZEROS),
        *(f"a{opening}b{closing}" for opening, closing in zip(text.OPENING, text.CLOSING, strict=True)),
        *(
            f"a{chr(code)}b"
            for code in (0x00AD, 0x034F, 0x061C, 0x200B, 0x202E, 0x2060, 0x2800, 0xFE0F, 0xFEFF, 0xE0101)
        ),
    ]
    async with office.renewal.database.transaction() as session:
        for value in stored:
            keys = sa.select(search_key(value), search_key(text.search(value)))
            own, cleaned = (await session.execute(keys)).one()
            assert own == cleaned, value
            assert await session.scalar(sa.select(contains(value, text.search(value)))), value


async def test_comments_keep_their_lines_and_lose_what_is_not_seen(office: Office) -> None:
    application = await office.submitted(await office.person(), "10")
    await office.item(application, status="pending_review")
    comment = "一、照片不清；\r\n\u202e二、未签字（见①）\u200b\n"
    await decide(office.harness.api, office.reviewer, "reject", application, 1, reason_code="other", comment=comment)
    assert (await office.reach(application, "rejected"))["comment"] == "一、照片不清；\n二、未签字（见①）"
