import io
import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook

from deploy import synthetic
from services.renewal.registry import file as registry_file
from services.renewal.registry.file import TEMPLATE_COLUMNS, RegisteredCertificate, RegistryRow, RowError, parse_row
from shared.files import tabular

TODAY = date(2026, 11, 22)
POSTS = {"10": "10", "土建施工员": "10", "21": "21", "市政质量员": "21"}
ID = synthetic.id_number()
FULL = {
    "id_number": ID,
    "name": "张三",
    "post": "10",
    "certificate_number": "00707100019207",
    "valid_until": "2027-05-31",
}


def good(**changes: str) -> RegistryRow:
    found = parse_row(FULL | changes, POSTS, TODAY)
    assert isinstance(found, RegistryRow), found
    return found


def held(**changes: str) -> RegisteredCertificate:
    certificate = good(**changes).certificate
    assert certificate
    return certificate


def refused(**changes: str) -> list[RowError]:
    found = parse_row(FULL | changes, POSTS, TODAY)
    assert isinstance(found, list)
    for error in found:
        assert error.column in TEMPLATE_COLUMNS
        assert re.search("[一-鿿]", error.message)
        assert ID not in error.message
    return found


def codes(**changes: str) -> list[str]:
    return [error.code for error in refused(**changes)]


def test_a_full_row() -> None:
    row = good()
    assert (row.person.value, row.person.sex, row.name) == (ID, "male", "张三")
    assert row.certificate == RegisteredCertificate("10", "00707100019207", date(2027, 5, 31))


def test_a_person_without_certificate() -> None:
    assert good(post="", certificate_number=" ", valid_until="").certificate is None


@pytest.mark.parametrize("text", ["10", "土建施工员", " 土建 施工员", "１０"])
def test_posts_by_code_or_name(text: str) -> None:
    assert held(post=text).post == "10"


@pytest.mark.parametrize(
    "text", ["2027-05-31", "2027-5-31", "2027/5/31", "2027.05.31", "2027年5月31日", "20270531", "２０２７－０５－３１"]
)
def test_dates(text: str) -> None:
    assert held(valid_until=text).valid_until == date(2027, 5, 31)


def test_no_expiry() -> None:
    assert held(valid_until="").valid_until is None


@pytest.mark.parametrize(
    "text",
    [
        "2027-02-29",
        "2027-13-01",
        "2027-5/31",
        "31-05-2027",
        "2027",
        "长期",
        "202705",
        "0001-01-01",
        "2027年5月",
        "46538",
    ],
)
def test_dates_refused(text: str) -> None:
    assert codes(valid_until=text) == ["valid_until_invalid"]


@given(
    st.dates(date(1900, 1, 1), date(2199, 12, 31)), st.sampled_from(["%Y-%m-%d", "%Y/%m/%d", "%Y年%m月%d日", "%Y%m%d"])
)
def test_every_date_in_every_form(day: date, form: str) -> None:
    assert held(valid_until=day.strftime(form)).valid_until == day


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (" 张　三 ", "张三"),
        ("阿依古丽•买买提", "阿依古丽·买买提"),
        ("John  SMITH", "John SMITH"),
        ("SMITH， JOHN", "SMITH, JOHN"),
        ("李〇", "李〇"),
        ("张\u200b三", "张三"),
        ("\ue863某", "䶮某"),
        ("古丽努尔·艾力⋅买买提 • 阿不都", "古丽努尔·艾力·买买提·阿不都"),
        ("𠮷野", "𠮷野"),
        ("王\U00031350", "王\U00031350"),  # newer than the interpreter's tables
    ],
)
def test_names(text: str, name: str) -> None:
    assert good(name=text).name == name


@pytest.mark.parametrize("text", ["#N/A", "张3", "张三(离职)", "·张三", "张" * 51, "\ue000三"])
def test_names_refused(text: str) -> None:
    assert codes(name=text) == ["name_invalid"]


def test_a_character_of_one_computer_only_is_named() -> None:
    (error,) = refused(name="张\ue000三")
    assert error.message.startswith("姓名的第2个字是")


@pytest.mark.parametrize("text", ["　", "\u200b", "\u202d\u202c\ufeff"])
def test_name_missing(text: str) -> None:
    assert codes(name=text) == ["name_missing"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("００７０７", "00707"),
        ("赣建安Ｃ（2019）0012345", "赣建安C(2019)0012345"),
        (" 0070 710 ", "0070710"),
        ("0070\u200b7", "00707"),
        ("赣建安C〔2021〕0000003", "赣建安C〔2021〕0000003"),
        ("赣建安C【2021】0000004", "赣建安C【2021】0000004"),
        ("赣建安C（二〇二一）—0000007", "赣建安C(二〇二一)-0000007"),
        ("9" * 50, "9" * 50),
    ],
)
def test_certificate_numbers(text: str, number: str) -> None:
    assert held(certificate_number=text).number == number


@pytest.mark.parametrize("text", ["无", "---", "7.07E+11", "9" * 51, "007;07", "=00707", "٠٠٧٠٧"])
def test_certificate_numbers_refused(text: str) -> None:
    assert codes(certificate_number=text) == ["certificate_number_invalid"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"post": "起重工"}, ["unknown_post"]),
        ({"post": ""}, ["incomplete_certificate"]),
        ({"certificate_number": ""}, ["certificate_number_missing"]),
        ({"certificate_number": "", "valid_until": ""}, ["certificate_number_missing"]),
        ({"post": "", "certificate_number": ""}, ["incomplete_certificate", "certificate_number_missing"]),
        ({"id_number": "123", "name": "", "post": "x"}, ["invalid_id_number", "name_missing", "unknown_post"]),
    ],
)
def test_refusals(changes: dict[str, str], expected: list[str]) -> None:
    assert codes(**changes) == expected


def test_id_number_is_not_quoted() -> None:
    wrong = ID[:-1] + ("1" if ID[-1] != "1" else "2")
    (error,) = refused(id_number=wrong)
    assert (error.column, error.code) == ("id_number", "invalid_id_number")
    assert wrong not in error.message


@given(st.fixed_dictionaries({column: st.text(max_size=60) for column in TEMPLATE_COLUMNS}))
def test_any_row_is_read_or_refused(row: dict[str, str]) -> None:
    assert parse_row(row | {"id_number": ID}, POSTS, TODAY)


def test_template_is_an_empty_table_of_text_columns() -> None:
    content = registry_file.template_xlsx()
    assert list(tabular.rows(io.BytesIO(content), TEMPLATE_COLUMNS, 10)) == []
    workbook = load_workbook(io.BytesIO(content))
    table, notes = workbook.worksheets
    assert {table.column_dimensions[letter].number_format for letter in "ABCDE"} == {"@"}
    assert [cell.value for cell in notes["A"]][1:6] == list(TEMPLATE_COLUMNS)


def test_filled_template_is_read() -> None:
    workbook = load_workbook(io.BytesIO(registry_file.template_xlsx()))
    table, notes = workbook.worksheets
    table.append(list(FULL.values()))
    table.append([cell.value for cell in notes["D"]][1:6])
    stream = io.BytesIO()
    workbook.save(stream)
    found = [parse_row(cells, POSTS, TODAY) for _, cells in tabular.rows(stream, TEMPLATE_COLUMNS, 10)]
    assert found[0] == good()
    assert isinstance(found[1], RegistryRow)
