import io
import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook

from deploy import synthetic
from services.renewal.registry.file import (
    COLUMNS,
    FIELDS,
    RegisteredCertificate,
    RegistryRow,
    RowError,
    parse_row,
)
from services.renewal.registry.template import template_xlsx
from shared.files.tables import table as tables
from shared.files.tables.errors import BLANK_FORMULA, ERROR, FORMULA, NUMBER, TOO_WIDE, Fault, TableError

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
        assert error.column in FIELDS
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


@pytest.mark.parametrize(
    "text",
    [
        "2027-05-31 00:00:00",
        "2027/5/31 0:00",
        "2027-05-31T00:00:00",
        "2027-05-31 23:59:59.000",
        "2027年5月31日 8时30分",
        "2027/5/31 12:00 AM",
        "2027-05-31\u3000下午 3:20",
        "2027-05-30T16:00:00Z",  # midnight in Shanghai
        "2027-05-30T16:00:00.000Z",
        "2027-05-31T00:00:00+08:00",
    ],
)
def test_dates_with_a_time(text: str) -> None:
    assert held(valid_until=text).valid_until == date(2027, 5, 31)


@pytest.mark.parametrize(
    "text",
    [
        "2024-06-01至2027-05-31",
        "2024年6月1日 至 2027年5月31日",
        "至2027.5.31",
        "2024-05-31~2027-05-31",
        "2024/5/31 ～ 2027/5/31",
        "2024.05.31—2027.05.31",
        "2024.05.31——2027.05.31",
        "2024-05-31-2027-05-31",
        "2024-05-31 - 2027-05-31",
        "20240531-20270531",
        "2024年5月31日－2027年5月31日",
        "2024-05-31 到 2027-05-31",
        "自2024年5月31日起至2027年5月31日止",
        "2027年5月31日止",
        "2027-05-31 截止",
        "至2027年5月31日为止",
        "2024-05-31 00:00:00 ~ 2027-05-31 00:00:00",
        "2027年5月31号",
        "2027年5月31日。",
        "有效期至2027年5月31日",
        "有效期：2024-05-31至2027-05-31",
        "有效期自2024年5月31日至2027年5月31日",
        "证书有效期限至2027.5.31",
        "截止2027-05-31",
        "截至 2027/5/31",
    ],
)
def test_the_end_of_a_period(text: str) -> None:
    assert held(valid_until=text).valid_until == date(2027, 5, 31)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "长期",
        "长期有效",
        " 长 期 ",
        "永久",
        "9999-12-31",
        "9999/12/31 0:00",
        "99991231",
        "9999年12月31日",
        "2024-06-01至长期",
        "2024.06.01—長期",
        "長期",
        "長期有效",
        "终身",
        "終身有效",
    ],
)
def test_no_expiry(text: str) -> None:
    assert held(valid_until=text).valid_until is None


@pytest.mark.parametrize(
    "text",
    [
        "2027-02-29",
        "2027-13-01",
        "2027-5/31",
        "31-05-2027",
        "2027",
        "至今",
        "长期至2027-05-31x",
        "2027-05-31 25时",
        "2027-05-3108:00",
        "2027-05-31T16:99Z",
        "202705",
        "0001-01-01",
        "2027年5月",
        "46538",
        "2027-05-31~2024-05-31",
        "-2027-05-31",
        "2027-05-31-",
        "2024-05~2027-05-31",
        "2024-2027-05-31",
        "止",
        "~",
        "有效期至",
        "有效期自2024-05-31",
        "自2024-05-31",
        "截止",
        "有效期三年",
        "。",
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
        ("张三\n\u200b\n", "张三"),
        ("张三·", "张三"),
        ("阿依古丽•买买提", "阿依古丽·买买提"),
        ("John  SMITH", "John SMITH"),
        ("SMITH， JOHN", "SMITH, JOHN"),
        ("李〇", "李〇"),
        ("张\u200b三", "张三"),
        ("\ue863某", "䶮某"),
        ("古丽努尔·艾力⋅买买提 • 阿不都", "古丽努尔·艾力·买买提·阿不都"),
        ("𠮷野", "𠮷野"),
        ("张三\u200b", "张三"),
        ("SMITH，JOHN", "SMITH, JOHN"),
        ("王\U00031350", "王\U00031350"),  # newer than the interpreter's tables
    ],
)
def test_names(text: str, name: str) -> None:
    assert good(name=text).name == name


@pytest.mark.parametrize("text", ["#N/A", "张3", "张三(离职)", "·张三", "张" * 51, "\ue000三"])
def test_names_refused(text: str) -> None:
    assert codes(name=text) == ["name_invalid"]


@pytest.mark.parametrize(
    "text", ["张三\n李四", "张三\r\n李四", "张三\u2028李四", "张三\x85李四\n", "张三，李四", "张三, 李四", "张三､李四"]
)
def test_two_people_in_one_cell_do_not_become_one(text: str) -> None:
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
        ("赣建安C〔2021〕0000003", "赣建安C〔2021〕0000003"),
        ("赣建安C—0000008\u200b", "赣建安C-0000008"),
        (" 0070 710 ", "0070710"),
        ("0070\u200b7", "00707"),
        ("赣建安C【2021】0000004", "赣建安C【2021】0000004"),
        ("赣建安C（二〇二一）—0000007", "赣建安C(二〇二一)-0000007"),
        ("9" * 50, "9" * 50),
    ],
)
def test_certificate_numbers(text: str, number: str) -> None:
    assert held(certificate_number=text).number == number


@pytest.mark.parametrize("text", ["无", "---", "7.07E+11", "9" * 51, "007;07", "=00707", "٠٠٧٠٧", "①2021", "2021²"])
def test_certificate_numbers_refused(text: str) -> None:
    assert codes(certificate_number=text) == ["certificate_number_invalid"]


@pytest.mark.parametrize(
    "text",
    [
        *("2027-05-31", "2027/5/31", "2027.5.31", "2027年5月31日", "２０２７－５－３１", "2027年5月"),
        *("5月1日", "1-May", "May-21", "1-may-2021"),
    ],
)
def test_a_day_is_no_certificate_number(text: str) -> None:
    assert codes(certificate_number=text) == ["certificate_number_invalid"]


@pytest.mark.parametrize("text", ["2021-05-001", "20210531", "(2021)05-31", "2021-5", "赣2021-05-31", "MAY-0001"])
def test_numbers_with_years_and_months_are_none(text: str) -> None:
    assert held(certificate_number=text).number == text


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


@pytest.mark.parametrize(
    ("faults", "changes", "expected"),
    [
        ({"valid_until": FORMULA}, {"valid_until": ""}, [("valid_until", "cell_formula")]),
        ({"valid_until": BLANK_FORMULA}, {"valid_until": ""}, [("valid_until", "cell_formula")]),
        ({"certificate_number": NUMBER}, {"certificate_number": ""}, [("certificate_number", "cell_number")]),
        (
            {"valid_until": ERROR, "id_number": NUMBER},
            {"valid_until": "", "id_number": "", "name": ""},
            [("id_number", "cell_number"), ("name", "name_missing"), ("valid_until", "cell_error")],
        ),
        ({"post": ERROR}, {"post": "", "certificate_number": "", "valid_until": ""}, [
            ("post", "cell_error"), ("certificate_number", "certificate_number_missing"),
        ]),
        ({"": TOO_WIDE}, dict.fromkeys(FIELDS, ""), [("", "row_too_wide")]),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_an_error_of_its_column(
    faults: dict[str, Fault], changes: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    found = parse_row(FULL | changes, POSTS, TODAY, faults)
    assert isinstance(found, list)
    assert [(error.column, error.code) for error in found] == expected


def test_formulas_that_give_nothing_are_of_a_person_without_certificate() -> None:
    blank = dict.fromkeys(FIELDS[2:], "")
    found = parse_row(FULL | blank, POSTS, TODAY, dict.fromkeys(FIELDS[2:], BLANK_FORMULA))
    assert found == good(**blank)


def read(*lines: str, header: str = "身份证号,姓名,岗位,证书编号,有效期至") -> list[RegistryRow | list[RowError]]:
    content = "\n".join([header, *lines]).encode()
    return [parse_row(row.texts, POSTS, TODAY, row.faults) for row in tables.rows(io.BytesIO(content), COLUMNS, 10)]


@pytest.mark.parametrize("row", ["张三,10,00707100019207", "张三,,00707100019207", "张三,10,2027-05-31"])
def test_a_certificate_whose_row_ends_before_its_last_day_is_not_valid_for_ever(row: str) -> None:
    (found,) = read(f"{ID},{row}")
    assert isinstance(found, list)
    (error,) = [error for error in found if error.column == "valid_until"]
    assert error.code == "row_too_short"
    assert error.message == "该行的单元格少于表头，缺少有效期至；长期有效的请填写“长期”"


@pytest.mark.parametrize(
    ("row", "column"),
    [
        # A cell in the middle is lost, so that an empty remark stands for the last day, or a day for the number.
        ("张三,10,00707100019207,", "valid_until"),
        ("张三,10,2027-05-31,长期", "certificate_number"),
        ("10,00707100019207,2027-05-31,长期", "name"),
        ("张三,00707100019207,2027-05-31,长期", "post"),
    ],
)
def test_what_moves_into_the_place_of_a_lost_cell_is_not_taken(row: str, column: str) -> None:
    (found,) = read(f"{ID},{row}", header="身份证号,姓名,岗位,证书编号,有效期至,备注")
    assert isinstance(found, list)
    assert column in {error.column for error in found}


def test_a_whole_row_may_end_before_a_remark() -> None:
    header = "身份证号,姓名,岗位,证书编号,有效期至,备注"
    assert read(f"{ID},张三,10,00707100019207,2027-05-31", header=header) == [good()]
    assert read(f"{ID},张三,10,00707100019207,长期", header=header) == [good(valid_until="")]


def test_a_person_without_certificate_may_have_a_short_row() -> None:
    assert (
        read(f"{ID},张三", f"{ID},张三,", f"{ID},张三,,", f"{ID},张三,,,")
        == [good(post="", certificate_number="", valid_until="")] * 4
    )


def test_a_blank_last_day_is_none_and_a_workbook_leaves_blank_cells_out() -> None:
    assert read(f"{ID},张三,10,00707100019207,") == [good(valid_until="")]
    workbook = load_workbook(io.BytesIO(template_xlsx()))
    workbook.worksheets[0].append(list(FULL.values())[:4])
    workbook.save(stream := io.BytesIO())
    (row,) = tables.rows(stream, COLUMNS, 10)
    assert parse_row(row.texts, POSTS, TODAY, row.faults) == good(valid_until="")


@pytest.mark.parametrize(
    "header",
    [
        "身份證號,姓名,崗位,證書編號,有效期至",
        "身份證號碼,姓名,崗位名稱,證書號碼,證書有效期止",
        "身分證號,持證人姓名,工種類別,證號,有效截止日期",
        "公民身份號碼,學員姓名,培訓工種,資格證書編號,失效時間",
        "证件号码,姓名,工种,证书号,证书到期日期",
        "证件号码,姓名,工种,证书号,到期日期",
        "证件号码,姓名,工种,证书号,失效日期",
    ],
)
def test_names_of_columns_as_offices_have_them(header: str) -> None:
    assert read(",".join(FULL.values()), header=header) == [good()]


def test_running_numbers_are_not_certificate_numbers() -> None:
    with pytest.raises(TableError, match="表头缺少列：证书编号"):
        read(f"1,{ID},张三,10,2027-05-31", header="编号,身份证号,姓名,岗位,有效期至")
    assert read(f"1,{ID},张三,10,00707100019207,2027-05-31", header="编号,身份证号,姓名,岗位,证书号,有效期至") == [
        good()
    ]


def test_id_number_is_not_quoted() -> None:
    wrong = ID[:-1] + ("1" if ID[-1] != "1" else "2")
    (error,) = refused(id_number=wrong)
    assert (error.column, error.code) == ("id_number", "invalid_id_number")
    assert wrong not in error.message


@given(st.fixed_dictionaries({column: st.text(max_size=60) for column in FIELDS}))
def test_any_row_is_read_or_refused(row: dict[str, str]) -> None:
    assert parse_row(row | {"id_number": ID}, POSTS, TODAY)


def test_template_is_an_empty_table_of_text_columns() -> None:
    content = template_xlsx()
    assert list(tables.rows(io.BytesIO(content), COLUMNS, 10)) == []
    workbook = load_workbook(io.BytesIO(content))
    table, notes = workbook.worksheets
    assert {table.column_dimensions[letter].number_format for letter in "ABCDE"} == {"@"}
    labels = [column.label for column in COLUMNS]
    assert [cell.value for cell in table[1]] == labels
    assert [cell.value for cell in notes["A"]][1:6] == labels


def test_filled_template_is_read() -> None:
    workbook = load_workbook(io.BytesIO(template_xlsx()))
    table, notes = workbook.worksheets
    table.append(list(FULL.values()))
    table.append([cell.value for cell in notes["C"]][1:6])
    stream = io.BytesIO()
    workbook.save(stream)
    found = [parse_row(row.texts, POSTS, TODAY, row.faults) for row in tables.rows(stream, COLUMNS, 10)]
    assert found[0] == good()
    assert isinstance(found[1], RegistryRow)
