"""Formulas, errors, numbers and dates in the cells of workbooks.

What is not there or not as it was typed is refused, never taken for something else.
"""

from datetime import date, datetime
from typing import Any

import pytest

from tests.support.workbooks import packed, parts, row, sheet, styles, workbook
from tests.unit.shared.files.tables.support import HEADER, ID, faults, texts, xlsx

GOOD_ROWS = row(*HEADER) + row(ID, "张三", "2027-05-31")
GOOD = [(2, (ID, "张三", "2027-05-31"))]


def cell(inner: str, *formats: int | str, at: int = 2) -> bytes:
    """A workbook whose one row has this cell in a column: 0 id_number, 1 name, 2 valid_until. Style 1 is the format."""
    cells = [ID, "张三", "2027-05-31"]
    cells[at] = inner
    return workbook(row(*HEADER) + row(*cells), style=styles(0, *formats))


@pytest.mark.parametrize(
    "inner",
    [
        "<c><f>DATE(2020,1,1)</f></c>",
        "<c><f>DATE(2020,1,1)</f><v></v></c>",
        '<c><f t="shared" si="0"/><v/></c>',
        '<c t="str"><f>A1</f><v></v></c>',
        '<c t="str"><f>A1</f></c>',
    ],
)
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_formula_without_result_is_not_an_empty_cell(inner: str, at: int) -> None:
    assert list(faults(cell(inner, at=at))[2].values()) == ["cell_formula"]


def test_formulas_drawn_down_beyond_the_rows_are_blank() -> None:
    blank = '<c t="str"><f>IF(x="","",x)</f><v></v></c>'
    assert texts(workbook(GOOD_ROWS + row(blank, blank, blank) * 3)) == GOOD


def test_a_formula_counts_as_its_result() -> None:
    assert texts(cell('<c t="str"><f>T(A1)</f><v>2027-05-31</v></c>')) == GOOD
    assert texts(cell('<c s="1"><f>DATE(2027,5,31)</f><v>46538</v></c>', 14)) == GOOD


@pytest.mark.parametrize("error", ["#N/A", "#REF!", "#VALUE!", "#NAME?"])
@pytest.mark.parametrize("formula", ["", "<f>VLOOKUP(1,B:C,2,0)</f>"])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_error_values(error: str, formula: str, at: int) -> None:
    assert list(faults(cell(f'<c t="e">{formula}<v>{error}</v></c>', at=at))[2].values()) == ["cell_error"]


@pytest.mark.parametrize(
    ("value", "number_format"),
    [
        ("110105194912310021", 0),
        ("1.10105194912310e17", 0),
        ("707100019207", 0),
        ("707100019207", 1),  # "0"
        ("2123456", '"赣建安C(2021)"0000000'),
        ("7123456", '"00"0'),
        ("707100019207", "00"),
        ("7123456.5", "0000000000"),
        ("-707", "0000000"),
        ("46538", 14),
        ("46538", 31),
        ("1e300", 0),
        ("INF", 0),
    ],
)
def test_a_number_is_no_code(value: str, number_format: int | str) -> None:
    assert faults(cell(f'<c s="1"><v>{value}</v></c>', number_format, at=0)) == {2: {"id_number": "cell_number"}}


def test_zeros_that_a_cell_shows_are_read() -> None:
    assert texts(cell('<c s="1"><v>707100019207</v></c>', "0" * 14, at=0))[0][1][0] == "00707100019207"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12, "12"),
        (12.0, "12"),
        (1.5, "1.5"),
        (0, "0"),
        (10**15 - 1, "9" * 15),
        (datetime(2027, 5, 31), "2027-05-31"),  # noqa: DTZ001
    ],
)
def test_numbers_in_a_column_of_text(value: Any, text: str) -> None:
    assert texts(xlsx((ID, value, None))) == [(2, (ID, text, ""))]


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_logical_value_is_no_text(value: int, at: int) -> None:
    assert list(faults(cell(f'<c t="b"><v>{value}</v></c>', at=at))[2].values()) == ["cell_error"]


def test_lost_digits_in_an_ignored_column_do_no_harm() -> None:
    rows = row(*HEADER, "phone") + row(
        ID, "张三", "2027-05-31", "<c><v>100000000000000000</v></c>", '<c t="e"><v>#N/A</v></c>'
    )
    assert texts(workbook(rows)) == GOOD
    assert faults(workbook(rows)) == {}


# Dates.
@pytest.mark.parametrize("number_format", [14, 15, 16, 17, 22, *range(27, 37), *range(50, 59)])
def test_dates_in_formats_built_in(number_format: int) -> None:
    assert texts(cell('<c s="1"><v>46538</v></c>', number_format)) == GOOD


@pytest.mark.parametrize(
    "code",
    [
        "yyyy-mm-dd",
        "YYYY/M/D",
        'yyyy"年"m"月"d"日"',
        "yyyy年m月d日",
        "[$-804]yyyy\\年m\\月;@",
        '[DBNum1][$-804]yyyy"年"m"月"d"日";@',
        "m/d/yy h:mm",
        "e/m/d",
    ],
)
def test_dates_in_formats_of_ones_own(code: str) -> None:
    assert texts(cell('<c s="1"><v>46538</v></c>', code)) == GOOD


@pytest.mark.parametrize(
    "code", [0, 1, 2, 9, 10, 11, 37, 49, "#,##0.00_);[Red]", '0"年"', '"day"0', "0.00E+00", "\\d0", "General"]
)
def test_a_number_without_format_of_dates_is_no_date(code: int | str) -> None:
    assert faults(cell('<c s="1"><v>46538</v></c>', code)) == {2: {"valid_until": "cell_number"}}


@pytest.mark.parametrize("value", ["46538.00049768519", "46538.3333333", "46538.99998", "46537.999999999999"])
def test_the_day_is_the_one_that_the_cell_shows(value: str) -> None:
    assert texts(cell(f'<c s="1"><v>{value}</v></c>', 14)) == GOOD


@pytest.mark.parametrize("value", ["-1", "0", "2958466", "1e300", "NaN"])
def test_what_shows_no_day(value: str) -> None:
    assert list(faults(cell(f'<c s="1"><v>{value}</v></c>', 14))[2]) == ["valid_until"]


def test_the_last_day_there_is() -> None:
    assert texts(cell('<c s="1"><v>2958465</v></c>', 14))[0][1][2] == "9999-12-31"


def test_days_written_as_numbers_or_in_iso() -> None:
    assert texts(cell("<c><v>20270531</v></c>"))[0][1][2] == "20270531"
    assert texts(cell('<c t="d"><v>2027-05-31T00:00:00</v></c>'))[0][1][2] == "2027-05-31T00:00:00"


def test_the_calendar_of_old_macs() -> None:
    content = parts(
        sheet(row(*HEADER) + row(ID, "张三", '<c s="1"><v>45076</v></c>')),
        style=styles(0, 14),
        settings='<workbookPr date1904="1"/>',
    )
    assert texts(packed(content)) == GOOD


def test_a_date_typed_as_such_is_read() -> None:
    assert texts(xlsx((ID, "张三", date(2027, 5, 31)))) == GOOD
