"""What holds for tables of either format."""

import io
import zipfile
from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.files.tables import table
from shared.files.tables.errors import TableError
from shared.files.tables.filetypes import MAX_FILE_BYTES
from shared.files.tables.package import MAX_PARTS
from tests.support.workbooks import packed, parts, row, sheet, styles, workbook
from tests.unit.shared.files.tables.support import COLUMNS, HEADER, ID, faults, read, refusal, texts
from tests.unit.shared.files.tables.support import xlsx as written

GOOD_CSV = f"id_number,name,valid_until\n{ID},张三,2027-05-31\n".encode()
GOOD_XLSX = written((ID, "张三", date(2027, 5, 31)))
GOOD = [(2, (ID, "张三", "2027-05-31"))]


@pytest.mark.parametrize(
    "content", [GOOD_CSV, GOOD_CSV.replace(b"\n", b"\r\n"), GOOD_CSV.replace(b"\n", b"\r"), GOOD_XLSX]
)
def test_good_tables(content: bytes) -> None:
    assert texts(content) == GOOD
    assert faults(content) == {}


@pytest.mark.parametrize(
    "header",
    [
        "身份证号,姓名,有效期至",
        "证件号码,姓 名,有效期",
        "身份证\u3000号（必填）,*姓名,有效期至(年/月/日)",
        "ID_Number, Name ,VALID_UNTIL",
        "备注,公民身份号码,姓名：,有效期至",
    ],
)
def test_headers_as_offices_write_them(header: str) -> None:
    cells = f"{'注,' if header.startswith('备注') else ''}{ID},张三,2027-05-31"
    assert texts(f"{header}\n{cells}\n".encode()) == GOOD
    assert texts(workbook(row(*header.split(",")) + row(*cells.split(",")))) == GOOD


def test_a_header_of_two_lines_in_one_cell() -> None:
    assert texts(f'"身份证\n号码",姓名,"有效期\r\n至"\n{ID},张三,2027-05-31\n'.encode()) == GOOD


def test_the_header_may_stand_below_a_title() -> None:
    title = "2026年全省安全员名册,,\n填表单位：某某公司,,\n\n"
    found = [(5, (ID, "张三", "2027-05-31"))]
    assert texts(f"{title}身份证号,姓名,有效期至\n{ID},张三,2027-05-31\n".encode()) == found
    rows = row("2026年全省安全员名册", at=1) + row("填表单位：某某公司", at=2) + row(*HEADER, at=4)
    assert texts(workbook(rows + row(ID, "张三", "2027-05-31", at=5), ["A1:C1", "A2:C2"])) == found


def test_a_header_repeated_on_each_page_is_no_row() -> None:
    again = f"身份证号,姓名,有效期至\n{ID},张三,2027-05-31\n"
    assert [number for number, _ in texts((again + again).encode())] == [2, 4]


def test_of_two_columns_for_one_thing_the_plainer_name_counts() -> None:
    assert texts(f"证件号码,身份证号,姓名,有效期,有效期至\nx,{ID},张三,三年,2027-05-31\n".encode()) == GOOD


def test_header_order_extra_columns_and_blank_rows() -> None:
    found = texts(f"\n备注, Name ,ID_NUMBER,valid_until\n,,,\nx, 张三 ,{ID}\n仅备注,,,\n\ny,李四,,\n".encode())
    assert found == [(4, (ID, "张三", "")), (7, ("", "李四", ""))]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("", "空的"),
        ("\n\n , \n", "空的"),
        ("姓名,电话\n李四,1\n", "缺少列：身份证号、有效期至"),
        ("标题\n姓名,有效期至\n" + "李四,\n" * 30, "缺少列：身份证号"),
        ("身份证号,姓名,有效期至,姓名\n", "重复的列：姓名"),
    ],
)
def test_headers_refused(header: str, said: str) -> None:
    error = refusal(header.encode())
    assert error.code == "table_header"
    assert said in error.message


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        ("张\x07三", "cell_characters"),
        ("张\x0b三", "cell_characters"),
        ("张" * 501, "cell_too_long"),
        ("张_x0007_三", "cell_characters"),
    ],
)
def test_one_bad_cell_refuses_one_row(bad: str, fault: str) -> None:
    good = f"{ID},张三,2027-05-31"
    content = f"{','.join(HEADER)}\n{good}\n{ID},{bad},\n{good}\n".encode()
    assert faults(content) == {3: {"name": fault}}
    assert [number for number, _ in texts(content)] == [2, 3, 4]
    if bad.isprintable():
        content = workbook(row(*HEADER) + row(ID, "张三", "2027-05-31") + row(ID, bad, "") + row(ID, "李四", ""))
        assert faults(content) == {3: {"name": fault}}
        assert len(read(content)) == 3


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("张三_x000D_", "张三"),
        ("_x005F_x000D_", "_x000D_"),
        ("张\u3000三", "张\u3000三"),
        ("'张三", "张三"),
        ("’张三", "张三"),
        ("'", "'"),
        ("　张三 \xa0", "张三"),
        ("x" * 500, "x" * 500),
        ("a\nb", "a\nb"),
    ],
)
def test_texts_as_seen(cell: str, text: str) -> None:
    assert texts(f'{",".join(HEADER)}\n1,"{cell}",\n'.encode())[0][1][1] == text
    assert texts(workbook(row(*HEADER) + row("1", cell, "")))[0][1][1] == text


@pytest.mark.parametrize(
    "make",
    [lambda n: GOOD_CSV + b"1,a,\n" * (n - 1), lambda n: workbook(row(*HEADER) + row("1", "a", "") * n)],
)
def test_row_limit(make: Callable[[int], bytes]) -> None:
    assert len(read(make(5), max_rows=5)) == 5
    assert refusal(make(6), max_rows=5).code == "table_too_large"


def test_rows_are_counted_in_text_only() -> None:
    assert table.count_rows(io.BytesIO(GOOD_CSV), COLUMNS, 10) == 1
    assert table.count_rows(io.BytesIO(GOOD_XLSX), COLUMNS, 10) is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), ".xls"),
        (b"\xd0\xcf\x11\xe0" + bytes(600) + "EncryptedPackage".encode("utf-16-le"), "密码"),
        (b"\xd0\xcf\x11\xe0" + bytes(600) + "WordDocument".encode("utf-16-le"), "Word"),
        (b"\r\n<html xmlns:x='urn:schemas-microsoft-com:office:excel'><table>", "网页"),
        (b"\xef\xbb\xbf<!DOCTYPE html>\n<html>", "网页"),
        (b"<table><tr><td>1</td></tr></table>", "网页"),
        (b"MIME-Version: 1.0\nX-Document-Type: Workbook\n", "网页"),
        (b'<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?><Workbook>', "XML"),
        (b"%PDF-1.7\n", "PDF"),
        (b"Rar!\x1a\x07\0", "压缩"),
        (b"7z\xbc\xaf\x27\x1c", "压缩"),
        (b"\x1f\x8b\x08\0", "压缩"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "图片"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "图片"),
        (b"\x62\x14\x23\x65\0\x01\x02", "加密"),
        (packed({"mimetype": b"application/vnd.oasis.opendocument.spreadsheet", "content.xml": b"<x/>"}), ".ods"),
        (packed({"[Content_Types].xml": b"<Types/>", "xl/workbook.bin": b"\x83"}), ".xlsb"),
        (packed({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<w/>"}), "Word"),
        (packed({"Index/Tables/Table.iwa": b"x", "Index/Document.iwa": b"x"}), "Numbers"),
        (packed({"名册.xlsx": GOOD_XLSX}), "解压"),
    ],
)
def test_what_is_no_table_of_ours_is_named(content: bytes, said: str) -> None:
    error = refusal(content)
    assert error.code == "table_type"
    assert said in error.message


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"PK\x05\x06" + bytes(18), "table_type"),
        (b"PK\x03\x04" + bytes(50), "table_invalid"),
        (GOOD_XLSX[:-100], "table_invalid"),
        (bytes(MAX_FILE_BYTES + 1), "table_too_large"),
        (packed(dict.fromkeys(map(str, range(MAX_PARTS + 1)), b""), zipfile.ZIP_STORED), "table_too_large"),
    ],
)
def test_files_refused(content: bytes, code: str) -> None:
    assert refusal(content).code == code


def test_callers_file_stays_open() -> None:
    file = io.BytesIO(GOOD_CSV)
    list(table.rows(file, COLUMNS, 10))
    next(table.rows(file, COLUMNS, 10))
    assert not file.closed


@pytest.mark.parametrize("content", [GOOD_CSV, GOOD_XLSX])
def test_a_reader_may_outlive_its_file(content: bytes) -> None:
    """As when the client of a streamed import leaves; pytest fails on what is raised by a collected generator."""
    file = io.BytesIO(content)
    reader = table.rows(file, COLUMNS, 100)
    assert next(reader).number == 2
    file.close()
    del reader


def read_or_refuse(content: bytes) -> None:
    try:
        read(content)
    except TableError:
        return


@given(st.binary(max_size=300), st.sampled_from([b"", b"PK\x03\x04", GOOD_CSV, b"\xef\xbb\xbf", b"\xff\xfe"]))
def test_random_bytes(content: bytes, prefix: bytes) -> None:
    read_or_refuse(prefix + content)


@given(st.text(max_size=200))
def test_random_text(text: str) -> None:
    read_or_refuse(GOOD_CSV + text.encode("utf-8", "surrogatepass"))


mutations = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=4)), min_size=1, max_size=4)


def mutated(content: bytes, changes: list[tuple[float, bytes]]) -> bytes:
    for where, replacement in changes:
        at = int(where * len(content))
        content = content[:at] + replacement + content[at + max(1, len(replacement)) :]
    return content


@settings(max_examples=60)
@given(mutations)
def test_mutated_xlsx(changes: list[tuple[float, bytes]]) -> None:
    read_or_refuse(mutated(GOOD_XLSX, changes))


RICH = parts(
    sheet(row(*HEADER) + row(ID, '<c t="s"><v>0</v></c>', '<c s="1"><v>46538</v></c>'), ["B2:B3"]),
    strings="<si><t>张三</t></si>",
    style=styles(0, 14),
)


@settings(max_examples=60)
@given(mutations, st.sampled_from(sorted(RICH)))
def test_mutated_xml_within_a_sound_archive(changes: list[tuple[float, bytes]], member: str) -> None:
    content = RICH[member]
    assert isinstance(content, str)
    read_or_refuse(packed(RICH | {member: mutated(content.encode(), changes)}))


@given(mutations)
def test_mutated_csv(changes: list[tuple[float, bytes]]) -> None:
    read_or_refuse(mutated(GOOD_CSV, changes))
