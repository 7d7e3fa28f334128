"""CSV and its relatives as Chinese offices have them."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.shared.files.tables.support import HEADER, ID, faults, refusal, texts

LINES = f"身份证号,姓名,有效期至\n{ID},张三,2027-05-31\n"
ENGLISH = f"id_number,name,valid_until\n{ID},张三,2027-05-31\n"
GOOD = [(2, (ID, "张三", "2027-05-31"))]


@pytest.mark.parametrize("lines", [LINES, ENGLISH, LINES.replace(",", "\t"), ENGLISH.replace("\n", "\r\n")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings(lines: str, encoding: str) -> None:
    assert texts(lines.encode(encoding)) == GOOD


def test_utf16_of_the_other_order() -> None:
    assert texts(b"\xfe\xff" + LINES.encode("utf-16-be")) == GOOD


@pytest.mark.parametrize("name", ["喆", "𠮷野", "䶮某", "镕基", "〇三"])
def test_gb18030_beyond_gb2312(name: str) -> None:
    content = LINES.replace("张三", name).encode("gb18030")
    assert texts(content)[0][1][1] == name


@pytest.mark.parametrize("mark", ["\ufeff", "\ufeff\ufeff", "\ufeff\ufeff\ufeff"])
def test_any_number_of_byte_order_marks(mark: str) -> None:
    assert texts((mark + LINES).encode()) == GOOD
    assert texts((mark + LINES + mark + f"{ID},李四,\n").encode())[1] == (3, (ID, "李四", ""))


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|", "，", "；"])
@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
def test_separators(delimiter: str, encoding: str) -> None:
    assert texts(LINES.replace(",", delimiter).encode(encoding)) == GOOD


@pytest.mark.parametrize("line", ["sep=,", "SEP=,", '"sep=,"', "\ufeffsep=,", "sep=,\r"])
def test_a_line_for_excel_names_the_separator(line: str) -> None:
    assert texts(f"{line}\n{LINES}".encode()) == GOOD
    other = f"{line.replace(',', '^')}\n{LINES.replace(',', '^')}"
    assert texts(other.encode()) == GOOD


@pytest.mark.parametrize("end", ["\x1a", "\x1a\r\n", "\n\x1a", "\x1a\x1a", "\r\n\r\n"])
def test_the_ends_of_old_files(end: str) -> None:
    assert texts((LINES.rstrip("\n") + end).encode()) == GOOD
    assert faults((LINES.rstrip("\n") + end).encode()) == {}


@pytest.mark.parametrize(
    "row",
    [
        f'{ID}, "张三", "2027-05-31"',
        f'"{ID}" ,"张三"\t,"2027-05-31" ',
        f'{ID},\t"张三",\u3000"2027-05-31"\u3000',
        f'="{ID}",="张三",="2027-05-31"',
        f'"=""{ID}""",张三,"=""2027-05-31"""',
        f"'{ID},‘张三,2027-05-31",
        f"\t{ID}\t,张三\t,2027-05-31",
    ],
)
def test_quotes_apostrophes_and_blanks(row: str) -> None:
    assert texts(f"身份证号,姓名,有效期至\n{row}\n".encode()) == GOOD


def test_a_cell_of_several_lines_is_one_row_of_the_sheet() -> None:
    found = texts(b'id_number,name,valid_until\n1,"a\nb",\n2,c,\n')
    assert found == [(2, ("1", "a\nb", "")), (3, ("2", "c", ""))]


@pytest.mark.parametrize(
    "bad",
    [
        f'{ID},"张"三,',
        f'{ID},"张三,2027-05-31',
        f'{ID},"张三,{"x" * 200_000}",',
        f"{ID},{'x' * 200_000},",
        f"{ID},张三{',' * 150_000}",
    ],
)
def test_one_bad_line_refuses_one_row(bad: str) -> None:
    rest = [f"{ID},李四,2027-05-31", f'{ID},"王五",2027-05-31']
    content = "\n".join([",".join(HEADER), rest[0], bad, *rest, ""]).encode()
    assert list(faults(content).values()) == [{"": "row_invalid"}]
    assert [name for _, (_, name, _) in texts(content)] == ["李四", "", "李四", "王五"]


def test_a_quote_that_never_ends_costs_one_row_of_many() -> None:
    rows = [f"{ID},张三{n},2027-05-31" for n in range(90)]
    rows[10] = f'{ID},"张三,2027-05-31'
    content = "\n".join([",".join(HEADER), *rows]).encode()
    assert faults(content) == {12: {"": "row_invalid"}}
    assert [number for number, _ in texts(content)] == list(range(2, 92))


def test_a_row_of_more_cells_than_the_header_is_refused() -> None:
    content = f"{LINES}{ID},李,四,2027-05-31\n{ID},王五,,,\n".encode()
    assert faults(content) == {3: {"": "row_too_wide"}}
    assert len(texts(content)) == 3


@pytest.mark.parametrize("delimiter", [",", "\t", "；"])
def test_a_cell_that_a_row_ends_before_is_told_from_a_blank_one(delimiter: str) -> None:
    content = f"{LINES}{ID},李四\n{ID},王五,\n{ID}\n".replace(",", delimiter).encode()
    assert faults(content) == {
        3: {"valid_until": "row_too_short"},
        5: {"name": "row_too_short", "valid_until": "row_too_short"},
    }
    assert [row for _, row in texts(content)][1:] == [(ID, "李四", ""), (ID, "王五", ""), (ID, "", "")]


def test_a_row_may_end_before_columns_that_do_not_count() -> None:
    content = f"身份证号,姓名,有效期至,备注\n{ID},张三,2027-05-31\n,,\n".encode()
    assert (texts(content), faults(content)) == (GOOD, {})


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
def test_a_zero_byte_refuses_its_row(encoding: str) -> None:
    content = LINES.replace("张三", "张\0三") + f"{ID},李四,2027-05-31\n"
    assert faults(content.encode(encoding)) == {2: {"name": "cell_characters"}}


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
def test_damaged_bytes_refuse_their_row(encoding: str) -> None:
    lines = LINES + f"{ID},李四某,\n" + LINES[12:] * 3
    content = lines.encode(encoding)
    bad = "李四某".encode(encoding).removeprefix(b"\xff\xfe")
    broken = b"\x00\xd8" if encoding == "utf-16" else b"\xff"
    content = content.replace(bad, bad[:2] + broken + bad[4:])
    assert faults(content) == {3: {"name": "cell_characters"}}


@pytest.mark.parametrize(
    "content",
    [
        ENGLISH.replace("张三", "José").encode(),  # José or Jos茅
        ENGLISH.replace("张三", "模").encode("gbk"),  # 模 or ģ
        ENGLISH.replace("张三", "José").encode("latin-1"),
    ],
)
def test_bytes_that_may_be_two_texts_are_refused(content: bytes) -> None:
    error = refusal(content)
    assert error.code == "table_encoding"
    assert "UTF-8" in error.message


def test_a_mark_settles_the_encoding() -> None:
    assert texts(b"\xef\xbb\xbf" + ENGLISH.replace("张三", "José").encode())[0][1][1] == "José"


cells = st.text(st.characters(codec="gb18030", exclude_categories=("Cc", "Cs", "Co", "Cn")), max_size=8)


@given(
    st.lists(cells.filter(str.isalpha), min_size=1, max_size=5),
    st.sampled_from([",", "\t", ";"]),
    st.sampled_from(["utf-8", "utf-8-sig", "gb18030", "utf-16"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_what_a_program_writes_is_read(names: list[str], delimiter: str, encoding: str, quoting: int) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter, quoting=quoting)  # type: ignore[arg-type]
    writer.writerow(HEADER)
    writer.writerows([ID, f"某{name}", "2027-05-31"] for name in names)
    found = texts(stream.getvalue().encode(encoding))
    assert [name for _, (_, name, _) in found] == [f"某{name}" for name in names]
