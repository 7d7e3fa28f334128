"""The dry run of an import, and the progress of either."""

import io
import json
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from services.renewal.registry import service as registry
from services.renewal.registry.file import FIELDS
from tests.integration.renewal.test_registry import HEADER, REGISTRAR, counts, imported, upload
from tests.support.office import Office, line, new_certificate, new_person, problem
from tests.support.sql import statements
from tests.support.workbooks import row, workbook

DRY: dict[str, Any] = {"params": {"dry_run": "true"}}
NDJSON = {"Accept": "application/x-ndjson"}


def csv(*lines: str) -> bytes:
    return "\n".join([HEADER, *lines]).encode()


def lines_of(response: httpx2.Response) -> list[dict[str, Any]]:
    assert (response.status_code, response.headers["content-type"]) == (200, "application/x-ndjson")
    return [json.loads(text) for text in response.text.splitlines()]


# Few of everything, so that rows meet each other: person (4 is nobody), name, certificate, post, end.
ROW = st.tuples(
    st.integers(0, 4), st.integers(0, 1), st.none() | st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 1))
)
TABLE = st.lists(ROW, max_size=12)


@settings(
    max_examples=60,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(before=TABLE, table=TABLE, chunk=st.integers(1, 5))
async def test_a_dry_run_reports_what_the_import_does(
    office: Office, before: list[Any], table: list[Any], chunk: int
) -> None:
    people, certificates = [*(new_person() for _ in range(4)), "360199"], [new_certificate() for _ in range(3)]

    def text(rows: list[Any]) -> bytes:
        texts = []
        for person, name, held in rows:
            number, post, until = (
                (certificates[held[0]], ("10", "30", "?")[held[1]], "2031-05-31" * held[2]) if held else ("", "", "")
            )
            texts.append(f"{people[person]},王安{'宁和'[name]},{post},{number},{until}")
        return csv(*texts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(office.renewal, "import_chunk", chunk)
        await upload(office, text(before))
        rehearsed = await upload(office, text(table), **DRY)
        assert rehearsed.status_code == 200, rehearsed.text
        assert (await upload(office, text(table), **DRY)).json() == rehearsed.json()
        assert (await upload(office, text(table))).json() == rehearsed.json()
        # What was reported is so: nothing is new any more.
        assert (await upload(office, text(table), **DRY)).json()["created"] == 0


async def test_a_dry_run_only_reads(office: Office) -> None:
    person, taken = new_person(), new_certificate()
    await imported(office, line(person, "30", taken))
    trail = await office.audit(action="registry_imported")
    known = await office.known(person)
    stranger = new_person()
    table = csv(
        f"{person},李新名,40,{taken},2040-01-31", line(stranger, "10", new_certificate()), line(stranger, "10", taken)
    )
    with statements(office.renewal.database) as sent:
        response = await upload(office, table, **DRY)
    assert counts(response.json()) == (3, 1, 1, 0, 1)
    own = [statement for statement in sent if "outbox" not in statement]  # the relay looks into it all the time
    assert own
    assert all(statement.startswith("SELECT") and "FOR " not in statement for statement in own), own
    assert await office.audit(action="registry_imported") == trail
    assert await office.known(person) == known
    found = await office.request("GET", "/registry/people", office.reviewer, params={"id_number": stranger})
    problem(found, 404, "person_not_found")


async def test_a_dry_run_of_a_broken_table_has_imported_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(office.renewal, "import_chunk", 1)
    rows = [row(*FIELDS), *(row(new_person(), "王安宁", "", "", "") for _ in range(2)), "<row><broken"]
    response = await upload(office, workbook("".join(rows)), **DRY)
    assert problem(response, 422, "table_invalid")["imported"] == 0


@pytest.mark.parametrize("dry_run", [False, True])
async def test_progress(office: Office, monkeypatch: pytest.MonkeyPatch, dry_run: bool) -> None:
    monkeypatch.setattr(office.renewal, "import_chunk", 2)
    people = [new_person() for _ in range(5)]
    response = await upload(office, csv(*map(line, people)), headers=NDJSON, params={"dry_run": dry_run})
    *progress, last = lines_of(response)
    assert progress == [{"rows_done": done, "rows_total": 5} for done in (2, 4, 5)]
    assert counts(last["report"]) == (5, 5, 0, 0, 0)
    again = lines_of(await upload(office, csv(*map(line, people)), headers=NDJSON))[-1]["report"]
    assert counts(again) == ((5, 5, 0, 0, 0) if dry_run else (5, 0, 0, 5, 0))
    empty = lines_of(await upload(office, csv(), headers=NDJSON))
    numbers = dict.fromkeys(("rows", "created", "updated", "unchanged", "failed", "flagged", "renamings"), 0)
    assert empty == [{"report": {**numbers, "errors": [], "warnings": [], "renamed": []}}]


async def test_what_is_wrong_with_the_whole_table_is_said_at_once(office: Office) -> None:
    """By status, and before anything is written."""
    person = new_person()
    two_ways = f"{HEADER}\n{person},José,,,".encode()  # José or Jos茅
    for data in (b"", two_ways, b"PK\x03\x04 not a workbook"):
        problem(await upload(office, data, headers=NDJSON), 422, "table_invalid")
    found = await office.request("GET", "/registry/people", office.reviewer, params={"id_number": person})
    problem(found, 404, "person_not_found")
    problem(await upload(office, csv(), office.enterprise, headers=NDJSON), 403, "forbidden")


async def test_a_workbook_that_breaks_off_says_so_in_the_last_line(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(office.renewal, "import_chunk", 2)
    rows = [row(*FIELDS), *(row(new_person(), "王安宁", "", "", "") for _ in range(3)), row(*["<c/>"] * 16_385)]
    first, last = lines_of(await upload(office, workbook("".join(rows)), headers=NDJSON))
    assert first == {"rows_done": 2, "rows_total": None}
    assert (last["problem"]["code"], last["problem"]["status"], last["problem"]["row"]) == ("table_invalid", 422, 5)
    assert last["problem"]["imported"] == 2
    assert "第5行" in last["problem"]["detail"]


async def test_a_failure_on_the_way_is_the_last_line(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office.renewal, "import_chunk", 2)
    people = [new_person() for _ in range(3)]
    table = csv(line(people[0]), line(people[1]), f"{people[2]},赵难住,,,")
    async with office.renewal.database.transaction() as session:
        await session.execute(sa.text("ALTER TABLE people ADD CONSTRAINT difficult CHECK (name <> '赵难住')"))
    try:
        first, last = lines_of(await upload(office, table, headers=NDJSON))
    finally:
        async with office.renewal.database.transaction() as session:
            await session.execute(sa.text("ALTER TABLE people DROP CONSTRAINT difficult"))
    assert first == {"rows_done": 2, "rows_total": 3}
    assert (last["problem"]["code"], last["problem"]["status"]) == ("internal_error", 500)
    assert "赵难住" not in str(last)
    assert (await office.known(people[1]))["certificates"] == []


async def test_who_leaves_on_the_way_is_on_record(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office.renewal, "import_chunk", 2)
    table = io.BytesIO(csv(*(line(new_person()) for _ in range(5))))
    steps = registry.import_registry(office.renewal, REGISTRAR, table)
    assert await anext(steps) == 2
    await steps.aclose()
    last = (await office.audit(action="registry_imported"))[0]
    assert last["detail"] == {"rows": 2, "created": 2, "updated": 0, "unchanged": 0, "failed": 0}
