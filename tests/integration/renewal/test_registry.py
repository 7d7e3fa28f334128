"""Import of people and certificates, and the registrar's look at one person, over HTTP."""

import asyncio
import io
import re
import tracemalloc
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import sqlalchemy as sa
from openpyxl import Workbook, load_workbook

from deploy.synthetic import id_number
from services.renewal.models import HeldCertificate, Person
from services.renewal.registry import service as registry
from services.renewal.registry.file import FIELDS
from services.renewal.registry.report import ImportReport
from shared.auth.tokens import Principal
from shared.values.idnumber import mask
from tests.support.office import Office, line, new_certificate, new_person, problem
from tests.support.sql import statements
from tests.support.wait import until
from tests.support.workbooks import row, workbook

HEADER = ",".join(FIELDS)
REGISTRAR = Principal("review", uuid4(), uuid4(), "登记员", frozenset({"registrar"}), False)


async def upload(office: Office, data: bytes, token: str | None = None, **options: Any) -> httpx2.Response:
    files = {"file": ("people", data, "application/octet-stream")}
    token = office.reviewer if token is None else token
    return await office.request("POST", "/registry/imports", token, files=files, **options)


async def imported(office: Office, *lines: str, before: str = "") -> dict[str, Any]:
    response = await upload(office, (before + "\n".join([HEADER, *lines])).encode())
    assert response.status_code == 200, response.text
    report: dict[str, Any] = response.json()
    return report


def counts(report: dict[str, Any]) -> tuple[int, ...]:
    return tuple(report[name] for name in ("rows", "created", "updated", "unchanged", "failed"))


def xlsx(*rows: tuple[str | None, ...]) -> bytes:
    workbook = Workbook()
    sheet = workbook.worksheets[0]
    for cells in (FIELDS, *rows):
        sheet.append(cells)
    stream = io.BytesIO()
    workbook.save(stream)
    return stream.getvalue()


@pytest.mark.parametrize("mark", ["", "\ufeff"])
async def test_csv_again_changes_nothing(office: Office, mark: str) -> None:
    holder, nobody = new_person(), new_person()
    first, second = new_certificate(), new_certificate()
    lines = [
        line(holder, "10", first, "2031-05-31"),
        line(holder, "安全员", second),
        line(nobody),
    ]
    assert counts(await imported(office, *lines, before=mark)) == (3, 3, 0, 0, 0)
    assert counts(await imported(office, *lines, before=mark)) == (3, 0, 0, 3, 0)
    known = await office.known(holder)
    assert holder not in str(known)
    certificates = {row["certificate_number"]: row for row in known["certificates"]}
    assert certificates[first] | {"id": None, "updated_at": None} == {
        "id": None,
        "updated_at": None,
        "certificate_number": first,
        "post": "10",
        "post_name": "土建施工员",
        "valid_until": "2031-05-31",
        "source": "registry",
        "replaced": False,
        "voided_at": None,
        "void_reason": None,
        "corrected_to": None,
    }
    assert (certificates[second]["post"], certificates[second]["valid_until"]) == ("30", None)
    assert (await office.known(nobody))["certificates"] == []


async def test_xlsx_is_read_as_csv_is(office: Office) -> None:
    person, number = new_person(), new_certificate()
    table = xlsx((person, "王安宁", "土建施工员", number, "2031-05-31"), (new_person(), "李安和", None, None, None))
    assert counts((await upload(office, table)).json()) == (2, 2, 0, 0, 0)
    assert counts((await upload(office, table)).json()) == (2, 0, 0, 2, 0)
    assert counts(await imported(office, f"{person},王安宁,10,{number},2031-05-31")) == (1, 0, 0, 1, 0)


async def test_the_template_can_be_filled_in_and_imported(office: Office) -> None:
    response = await office.request("GET", "/registry/imports/template", office.reviewer)
    workbook = load_workbook(io.BytesIO(response.content))
    workbook.worksheets[0].append((new_person(), "赵清远", "10", new_certificate(), "2031-05-31"))
    stream = io.BytesIO()
    workbook.save(stream)
    assert counts((await upload(office, stream.getvalue())).json()) == (1, 1, 0, 0, 0)


async def test_updates(office: Office) -> None:
    person, number = new_person(), new_certificate()
    assert counts(await imported(office, f"{person},王安宁,10,{number},2031-05-31")) == (1, 1, 0, 0, 0)
    assert counts(await imported(office, f"{person},王安和,10,{number},2031-05-31")) == (1, 0, 1, 0, 0)
    assert counts(await imported(office, f"{person},王安和,11,{number},2032-05-31")) == (1, 0, 1, 0, 0)
    known = await office.known(person)
    assert known["name"] == "王安和"
    [certificate] = known["certificates"]
    assert (certificate["post"], certificate["valid_until"]) == ("11", "2032-05-31")


@pytest.mark.parametrize("dry_run", [True, False])
async def test_another_name_for_a_known_person_is_listed(office: Office, dry_run: bool) -> None:
    known, other = new_person(), new_person()
    await imported(office, f"{known},王安宁,,,")
    rows = [f"{other},李安和,,,", f"{known},王安宁,,,", f"{known},王安和,,,", f"{known},王安和,10,{new_certificate()},"]
    again = f"{other},李安平,,,"  # of a person that the table itself has brought
    response = await upload(office, "\n".join([HEADER, *rows, again]).encode(), params={"dry_run": dry_run})
    report = response.json()
    assert report["renamings"] == 2
    assert report["renamed"] == [
        {"row": 4, "id_number_masked": mask(known), "old": "王安宁", "new": "王安和"},
        {"row": 6, "id_number_masked": mask(other), "old": "李安和", "new": "李安平"},
    ]
    assert known not in response.text
    assert (await office.known(known))["name"] == ("王安宁" if dry_run else "王安和")


async def test_bad_rows_are_named_and_harm_no_other(office: Office) -> None:
    good, wrong = new_person(), id_number("male", sequence=1)[:-1]
    taken = new_certificate()
    await imported(office, line(new_person(), "30", taken))
    report = await imported(
        office,
        line(good, "10", new_certificate(), "2031-02-30"),
        line(good, "没有的岗位", new_certificate()),
        f"{wrong},王安宁,,,",
        line(good, "40", taken),
        "",
        f"{good},,10,,",
        line(good, "50", new_certificate()),
    )
    assert counts(report) == (6, 1, 0, 0, 5)
    found = [(error["row"], error["column"], error["code"]) for error in report["errors"]]
    # In the order in which a person goes through the sheet, with the numbers that it shows.
    assert found == [
        (2, "valid_until", "valid_until_invalid"),
        (3, "post", "unknown_post"),
        (4, "id_number", "invalid_id_number"),
        (5, "certificate_number", "certificate_taken"),
        (7, "name", "name_missing"),
        (7, "certificate_number", "certificate_number_missing"),
    ]
    assert all(re.search("[一-鿿]", error["message"]) and wrong not in error["message"] for error in report["errors"])
    assert [row["post"] for row in (await office.known(good))["certificates"]] == ["50"]


async def test_a_platform_certificate_is_not_the_import_s_to_change(office: Office) -> None:
    person = await office.person()
    number = (await office.certified(person, "10"))["certificate_number"]
    before = (await office.known(person))["certificates"]
    assert counts(await imported(office, line(person, "30", number, "2099-12-31"))) == (1, 0, 0, 1, 0)
    assert (await office.known(person))["certificates"] == before
    assert before[0]["source"] == "platform"
    report = await imported(office, line(new_person(), "10", number))
    assert report["errors"][0]["code"] == "certificate_taken"


@pytest.mark.parametrize(
    ("data", "table"),
    [
        (f"{HEADER}\n{new_person()},José,,,\n".encode(), "table_encoding"),  # José or Jos茅
        (f"{HEADER}\n{new_person()},José,,,\n".encode("latin-1"), "table_encoding"),
        (b"PK\x03\x04 not a workbook", "table_invalid"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "table_type"),
        ("身份证,姓名\n".encode(), "table_header"),
        (b"", "table_header"),
    ],
)
async def test_a_table_that_cannot_be_read(office: Office, data: bytes, table: str) -> None:
    document = problem(await upload(office, data), 422, "table_invalid")
    assert document["table"] == table
    assert document["imported"] == 0
    if table == "table_encoding":
        assert "UTF-8" in document["detail"]


async def test_a_table_that_breaks_off_leaves_a_trace(office: Office) -> None:
    """Chunks before the break are in; who brought them is on record."""
    chunk = office.renewal.import_chunk
    people = [new_person() for _ in range(chunk + 1)]
    rows = "".join(row(*line(person).split(",")) for person in people)
    response = await upload(office, workbook(row(*FIELDS) + rows + "<row><broken"))
    document = problem(response, 422, "table_invalid")
    assert document["imported"] == chunk
    assert (await office.known(people[0]))["certificates"] == []
    last = (await office.audit(action="registry_imported"))[0]
    assert last["detail"] == {"rows": chunk, "created": chunk, "updated": 0, "unchanged": 0, "failed": 0}
    assert (last["actor"], last["subject"]) == ("测试审核员", None)


async def test_only_registrars(office: Office) -> None:
    plain = await office.harness.reviewer("plain-reviewer", ("reviewer",))
    table = f"{HEADER}\n".encode()
    for token in (plain, office.enterprise):
        problem(await upload(office, table, token), 403, "forbidden")
        found = await office.request("GET", "/registry/people", token, params={"id_number": new_person()})
        problem(found, 403, "forbidden")
    problem(await upload(office, table, ""), 401, "unauthenticated")


async def test_people(office: Office) -> None:
    person = await office.person("30")
    application = await office.submitted(person, "10")
    await office.draft(person, "40", pictures=False)
    known = await office.known(f"{person[:6]} {person[6:]}")
    assert known["id_number_masked"][-4:] == person[-4:]
    looked = await office.audit(action="person_viewed")
    assert (looked[0]["subject"], looked[0]["actor"]) == (known["id_number_masked"], "测试审核员")
    assert person not in str(looked)
    [listed] = known["applications"]  # a draft is the enterprise's own affair
    assert (listed["application_id"], listed["status_label"]) == (application, "待审核")
    for wrong, status, code in ((new_person(), 404, "person_not_found"), ("123", 422, "invalid_id_number")):
        found = await office.request("GET", "/registry/people", office.reviewer, params={"id_number": wrong})
        problem(found, status, code)
    assert await office.audit(action="person_viewed") == looked  # nothing was shown


async def test_twenty_thousand_rows(office: Office) -> None:
    rows = 20_000
    people = [new_person() for _ in range(rows // 2)]
    lines = (line(person, "30", f"BULK{position:06d}") for position, person in enumerate(people))
    table = "\n".join([HEADER, *lines, *map(line, people)]).encode()
    with statements(office.renewal.database) as sent:
        response = await upload(office, table)
    assert counts(response.json()) == (rows, rows // 2, 0, rows // 2, 0)
    assert len(sent) < 10 * rows / office.renewal.import_chunk


@pytest.mark.parametrize(("dry_run", "kept"), [(False, 0), (True, 600)])
async def test_memory_does_not_grow_with_the_table(office: Office, dry_run: bool, kept: int) -> None:
    """But for the bytes that a dry run keeps of each new row, of which a table has a hundred thousand at most."""

    async def peak(rows: int) -> int:
        people = (line(new_person(), "30", new_certificate()) for _ in range(rows))
        table = io.BytesIO("\n".join([HEADER, *people]).encode())
        tracemalloc.start()
        try:
            async for step in registry.import_registry(office.renewal, REGISTRAR, table, dry_run=dry_run):
                report = step
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            assert isinstance(report, ImportReport)
            assert report.created == rows

    # Two chunks are in memory: one is read while the other is written.
    chunk = office.renewal.import_chunk
    assert await peak(6 * chunk) < 1.5 * await peak(2 * chunk) + 4 * chunk * kept


async def test_an_import_and_a_decision_do_not_wait_for_each_other(office: Office) -> None:
    """Both lock persons in order of id, though the table names their certificates in the opposite order."""
    people = [new_person(), new_person()]
    await imported(office, *map(line, people))
    async with office.renewal.database.transaction() as session:
        indexes = [office.renewal.cipher.blind_index(person) for person in people]
        found = await session.scalars(sa.select(Person).where(Person.id_number_index.in_(indexes)).order_by(Person.id))
        low, high = found.all()
    by_index = dict(zip(indexes, people, strict=True))
    # Certificates are written in order of their numbers: the higher person's comes first.
    table = [
        line(by_index[high.id_number_index], "30", f"A-{new_certificate()}"),
        line(by_index[low.id_number_index], "30", f"B-{new_certificate()}"),
    ]

    async def waits_for_us() -> bool:
        async with office.renewal.database.transaction() as watching:
            query = (
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            return bool(await watching.scalar(sa.text(query)))

    async with office.renewal.database.transaction() as deciding:
        lock = sa.select(Person.id).with_for_update()
        await deciding.execute(lock.where(Person.id == low.id))
        importing = asyncio.create_task(imported(office, *table))
        await until(waits_for_us, what="the import to wait for the lower person")
        await deciding.execute(lock.where(Person.id == high.id))
    assert counts(await importing) == (2, 2, 0, 0, 0)
    async with office.renewal.database.transaction() as session:
        held = sa.select(sa.func.count()).where(HeldCertificate.person_id.in_([low.id, high.id]))
        assert await session.scalar(held) == 2
