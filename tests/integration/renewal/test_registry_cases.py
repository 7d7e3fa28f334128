"""Tables from real life, over the real import: each kind has its right outcome."""

import io
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from services.renewal.models import HeldCertificate, Person
from services.renewal.registry.file import COLUMNS, parse_row
from shared.files.tables import table
from tests.integration.renewal.test_registry import upload
from tests.support.office import Office

CASES = Path(__file__).parents[2] / "cases"
LABELS = tuple(column.label for column in COLUMNS)

# What is known of each row after the import: (name, certificate number, valid until); or its errors.
Taken = tuple[str, str | None, str | None]
JIA = "测试甲"


def jia(*serials: int, until: str | None = "2030-01-01") -> list[Taken]:
    return [(JIA, f"测试证2026-{serial:05d}", until) for serial in serials]


TAKEN: dict[str, Sequence[Taken]] = {
    "csv-01-gbk-excel-default.csv": jia(21),
    "csv-02-unicode-text-utf16-tab.txt": jia(22),
    "csv-03-two-boms.csv": jia(23),
    "csv-04-semicolons.csv": jia(24),
    "csv-06-sep-line.csv": jia(26),
    "csv-07-excel-text-trick.csv": jia(27),
    "csv-09-date-with-time.csv": jia(29, 30, until="2030-12-31"),
    "csv-10-one-row-with-control-char.csv": jia(31, 33),
    "csv-13-sentinel-long-term.csv": jia(36, 37, until=None),
    "csv-14-leading-zeros-lost-on-resave.csv": [(JIA, "707100029208", "2030-01-01")],
    "csv-15-names.csv": [
        (name, f"测试证2026-{serial:05d}", "2030-01-01")
        for serial, name in enumerate(
            ("李〇", "张三", "张三", "张三", "阿卜杜拉·买买提", "阿卜杜拉·买买提", "SMITH, JOHN", "䶮某"), 39
        )
    ],
    "csv-16-certificate-numbers.csv": [
        (JIA, f"赣建安C{number}", "2030-01-01")
        for number in (
            "〔2021〕0000003",
            "【2021】0000004",
            "(二〇二一)0000007",
            "-0000008",
            "(2021)0000014",
        )
    ],
    "csv-bom-of-second-file.csv": jia(75, 76),
    "csv-ids.csv": jia(*range(78, 87)),
    "csv-tabs-inside-cells.csv": jia(72),
    "xlsx-01-expiry-formula-without-cached-value.xlsx": [],
    "xlsx-03-first-sheet-hidden-with-old-rows.xlsx": [("可见新人", "测试证2026-00003", "2030-01-01")],
    "xlsx-05-date-numfmt-31-builtin-zh.xlsx": [("测试丙", "测试证2026-00005", "2030-05-01")],
    "xlsx-06-date-cell-with-43s-drift.xlsx": [("测试丁", "测试证2026-00010", "2030-12-31")],
    "xlsx-06-date-cell-with-time-0800.xlsx": [("测试丁", "测试证2026-00009", "2030-12-31")],
    "xlsx-07-number-cell-format-prefix.xlsx": [],
    "xlsx-07-number-cell-format-zeros-literal.xlsx": [],
    "xlsx-08-certificate-number-lost-leading-zeros.xlsx": [],
    "xlsx-09-strict-ooxml.xlsx": jia(11, until="2030-05-01"),
    "xlsx-10-empty-fill.xlsx": jia(12, until="2030-05-01"),
    "xlsx-12-cellstyle-without-name.xlsx": jia(14, until="2030-05-01"),
    "xlsx-13-no-styles-part.xlsx": jia(15, until="2030-05-01"),
    "xlsx-15-custom-property-without-name.xlsx": jia(17, until="2030-05-01"),
    "xlsx-17-SharedStrings-other-case.xlsx": jia(19, until="2030-05-01"),
    "xlsx-absolute-targets.xlsx": jia(63, until="2030-05-01"),
    "xlsx-broken-defined-names.xlsx": jia(65, until="2030-05-01"),
    "xlsx-cells-without-r.xlsx": jia(59, until="2030-05-01"),
    "xlsx-chinese-headers.xlsx": jia(70),
    "xlsx-dimension-A1.xlsx": jia(57, until="2030-05-01"),
    "xlsx-error-value.xlsx": [],
    "xlsx-id-as-number.xlsx": [("测试乙", None, None)],
    "xlsx-rich-text.xlsx": jia(61, until="2030-05-01"),
}

NUMBER = [(2, "certificate_number", "cell_number")]
ERRORS: dict[str, list[tuple[int, str, str]]] = {
    "csv-10-one-row-with-control-char.csv": [(3, "name", "cell_characters")],
    "xlsx-01-expiry-formula-without-cached-value.xlsx": [(2, "valid_until", "cell_formula")],
    "xlsx-07-number-cell-format-prefix.xlsx": NUMBER,
    "xlsx-07-number-cell-format-zeros-literal.xlsx": NUMBER,
    "xlsx-08-certificate-number-lost-leading-zeros.xlsx": NUMBER,
    "xlsx-error-value.xlsx": [(2, "valid_until", "cell_error")],
    "xlsx-id-as-number.xlsx": [(2, "id_number", "cell_number")],
}


WARNINGS = {"csv-14-leading-zeros-lost-on-resave.csv": [(2, "certificate_number", "certificate_number_short")]}


def test_no_case_is_left_out() -> None:
    assert {path.name for path in CASES.iterdir() if path.name.startswith(("csv-", "xlsx-"))} == TAKEN.keys()


@pytest.mark.parametrize("name", sorted(TAKEN))
async def test_a_table_from_real_life(office: Office, name: str) -> None:
    content = (CASES / name).read_bytes()
    response = await upload(office, content)
    assert response.status_code == 200, response.text
    report: dict[str, Any] = response.json()
    found = {
        kind: [(each["row"], each["column"], each["code"]) for each in report[kind]] for kind in ("errors", "warnings")
    }
    assert found == {"errors": ERRORS.get(name, []), "warnings": WARNINGS.get(name, [])}
    assert report["created"] == len(TAKEN[name])
    assert report["failed"] == len(ERRORS.get(name, []))
    people = await known(office, content)
    assert people == list(TAKEN[name])
    again = (await upload(office, content)).json()
    assert (again["created"], again["unchanged"]) == (0, len(TAKEN[name]))


async def known(office: Office, content: bytes) -> list[Taken]:
    """What the database holds of the table's people, in the table's order."""
    found: list[Taken] = []
    for row in table.rows(io.BytesIO(content), COLUMNS, 100):
        parsed = parse_row(row.texts, {"安全员": "30"}, date(2026, 12, 31), row.faults)
        if isinstance(parsed, list):
            continue
        async with office.renewal.database.transaction() as session:
            index = office.renewal.cipher.blind_index(parsed.person.value)
            person = await session.scalar(sa.select(Person).where(Person.id_number_index == index))
            assert person is not None
            held = (
                await session.scalars(sa.select(HeldCertificate).where(HeldCertificate.person_id == person.id))
            ).all()
            found += [(person.name, each.certificate_number, str(each.valid_until or "") or None) for each in held]
            found += [] if held else [(person.name, None, None)]
    return found
