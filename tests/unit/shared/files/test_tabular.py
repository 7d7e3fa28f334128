import io
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook
from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS

from shared.files import tabular
from shared.files.tabular import TableError

COLUMNS = ("id_number", "name", "valid_until")
ID = "11010519491231002X"
Found = list[tuple[int, dict[str, str]]]


def read(content: bytes, max_rows: int = 100) -> Found:
    return list(tabular.rows(io.BytesIO(content), COLUMNS, max_rows))


def refusal(content: bytes, max_rows: int = 100) -> TableError:
    with pytest.raises(TableError) as caught:
        read(content, max_rows)
    assert re.search("[一-鿿]", caught.value.message)
    return caught.value


def xlsx(*lines: tuple[Any, ...], number_format: str = "General") -> bytes:
    workbook = Workbook()
    sheet = workbook.worksheets[0]
    for line in (COLUMNS, *lines):
        sheet.append(line)
    for line_cells in sheet.iter_rows(min_row=2):
        for cell in line_cells:
            if isinstance(cell.value, int | float):
                cell.number_format = number_format
    return saved(workbook)


def saved(workbook: Workbook) -> bytes:
    stream = io.BytesIO()
    workbook.save(stream)
    return stream.getvalue()


def repacked(content: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    """The same workbook with members' bytes changed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return stream.getvalue()


def in_sheet(content: bytes, old: bytes, new: bytes) -> bytes:
    """The same workbook with one place of its sheet's XML changed."""

    def change(name: str, part: bytes) -> bytes:
        if "sheet1" not in name:
            return part
        assert old in part
        return part.replace(old, new, 1)

    return repacked(content, change)


GOOD_CSV = f"id_number,name,valid_until\n{ID},张三,2027-05-31\n".encode()
GOOD_XLSX = xlsx((ID, "张三", date(2027, 5, 31)))
GOOD_ROWS: Found = [(2, {"id_number": ID, "name": "张三", "valid_until": "2027-05-31"})]


@pytest.mark.parametrize("content", [GOOD_CSV, b"\xef\xbb\xbf" + GOOD_CSV, GOOD_CSV.replace(b"\n", b"\r\n"), GOOD_XLSX])
def test_good_tables(content: bytes) -> None:
    assert read(content) == GOOD_ROWS


def test_header_order_extra_columns_and_blank_rows() -> None:
    found = read(f"\n备注, Name ,ID_NUMBER,valid_until\n,,,\nx, 张三 ,{ID}\n仅备注,,,\n\ny,李四,,\n".encode())
    assert found == [
        (4, {"id_number": ID, "name": "张三", "valid_until": ""}),
        (7, {"id_number": "", "name": "李四", "valid_until": ""}),
    ]


def test_xlsx_row_numbers_are_the_sheets() -> None:
    workbook = Workbook()
    sheet = workbook.worksheets[0]
    sheet["B3"], sheet["C3"], sheet["D3"], sheet["F3"] = "name", "id_number", "valid_until", "备注"
    sheet["B9"], sheet["C9"] = "张三", ID
    workbook.create_sheet("第二页")["A1"] = "不读"
    assert read(saved(workbook)) == [(9, {"id_number": ID, "name": "张三", "valid_until": ""})]


def test_csv_rows_are_counted_as_a_sheet_shows_them() -> None:
    found = read(b'id_number,name,valid_until\n1,"a\nb",\n2,c,\n')
    assert [(number, cells["name"]) for number, cells in found] == [(2, "a\nb"), (3, "c")]


def test_strings_kept_apart_from_the_sheet() -> None:
    """As Excel writes them; openpyxl writes them into their cells."""
    changed = in_sheet(GOOD_XLSX, f't="inlineStr"><is><t>{ID}</t></is>'.encode(), b't="s"><v>0</v>')
    listed = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{SHARED_STRINGS}"/></Types>'.encode()
    stream = io.BytesIO(
        repacked(changed, lambda name, part: part.replace(b"</Types>", listed) if "Types" in name else part)
    )
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("xl/sharedStrings.xml", f'<sst xmlns="{SHEET_MAIN_NS}"><si><t>{ID}</t></si></sst>')
    assert read(stream.getvalue()) == GOOD_ROWS


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (707100019207, "707100019207"),
        (12.0, "12"),
        (1.5, "1.5"),
        (0, "0"),
        (True, "TRUE"),
        (datetime(2027, 5, 31), "2027-05-31"),  # noqa: DTZ001
        (datetime(2027, 5, 31, 8, 30), "2027-05-31 08:30:00"),  # noqa: DTZ001
        ("00707100019207", "00707100019207"),
        ("　张三 ", "张三"),
    ],
)
def test_cells_read_as_seen(value: object, text: str) -> None:
    assert read(xlsx(("1", value, None)))[0][1]["name"] == text


def test_zero_padding_format_is_seen() -> None:
    found = read(xlsx(("1", 707100019207, None), number_format="0" * 14))
    assert found[0][1]["name"] == "00707100019207"


@pytest.mark.parametrize("number", [110105194912310021, 1.10105194912310e17, 10**15, float("1e300")])
def test_numbers_that_lost_digits_are_refused(number: float) -> None:
    error = refusal(xlsx(("x", "y", None), (number, "张三", None)))
    assert (error.code, error.row) == ("table_invalid", 3)
    assert "id_number" in error.message
    assert "文本" in error.message


def test_lost_digits_in_an_ignored_column_do_no_harm() -> None:
    workbook = Workbook()
    sheet = workbook.worksheets[0]
    sheet.append((*COLUMNS, "phone"))
    sheet.append((ID, "张三", None, 10**17))
    assert len(read(saved(workbook))) == 1


def test_last_exact_number_is_kept() -> None:
    assert read(xlsx((10**15 - 1, "张三", None)))[0][1]["id_number"] == "9" * 15


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "table_header"),
        (b"\n\n , \n", "table_header"),
        (b"id_number,name\n1,2\n", "table_header"),
        (b"id_number,name,valid_until,name\n", "table_header"),
        (GOOD_CSV.decode().encode("gb18030"), "table_encoding"),
        (GOOD_CSV.decode().encode("utf-16"), "table_encoding"),
        (GOOD_CSV + b"\xff\n", "table_encoding"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "table_type"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "table_type"),
        (b"PK\x05\x06" + bytes(18), "table_invalid"),
        (b"PK\x03\x04" + bytes(50), "table_invalid"),
        (GOOD_XLSX[:-100], "table_invalid"),
        (b'id_number,name,valid_until\n1,"a"b,\n', "table_invalid"),
        (b'id_number,name,valid_until\n1,"a,\n', "table_invalid"),
        (b"id_number,name,valid_until\n1,a,b,,2027-05-31\n", "table_invalid"),
        (GOOD_CSV + b"x" * 5000 + b"\0,y,\n", "table_invalid"),
        (GOOD_CSV + b"1,a\x07b,\n", "table_invalid"),
        (GOOD_CSV + b"1," + b"x" * 501 + b",\n", "table_invalid"),
        (GOOD_CSV + b"1," + b"x" * 200_000 + b",\n", "table_invalid"),
        (xlsx(("1", "x" * 501, None)), "table_invalid"),
        (bytes(tabular.MAX_FILE_BYTES + 1), "table_too_large"),
    ],
)
def test_refusals(content: bytes, code: str) -> None:
    assert refusal(content).code == code


def test_other_encodings_get_advice() -> None:
    assert "请另存为 UTF-8" in refusal(GOOD_CSV.decode().encode("gb18030")).message


def test_longest_cell_is_read() -> None:
    assert read(GOOD_CSV + b"1," + b"x" * 500 + b",\n")[1][1]["name"] == "x" * 500


@pytest.mark.parametrize("make", [lambda n: GOOD_CSV + b"1,a,\n" * (n - 1), lambda n: xlsx(*[("1", "a", None)] * n)])
def test_row_limit(make: Callable[[int], bytes]) -> None:
    assert len(read(make(5), max_rows=5)) == 5
    assert refusal(make(6), max_rows=5).code == "table_too_large"


def test_zip_bombs_are_refused_unopened() -> None:
    padding = b"<!--" + b" " * (4 * 1024 * 1024) + b"-->"
    bomb = repacked(GOOD_XLSX, lambda name, part: part + padding if "sheet1" in name else part)
    assert refusal(bomb).code == "table_too_large"
    styles = repacked(GOOD_XLSX, lambda name, part: part + padding[: 2**20] * 11 if "styles" in name else part)
    assert refusal(styles).code == "table_too_large"


def test_too_many_members() -> None:
    stream = io.BytesIO(GOOD_XLSX)
    with zipfile.ZipFile(stream, "a") as archive:
        for number in range(tabular.MAX_ZIP_MEMBERS):
            archive.writestr(f"x{number}", b"")
    assert refusal(stream.getvalue()).code == "table_too_large"


def test_entity_bomb() -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "x" * 100}">' for n in range(9))
    bomb = in_sheet(GOOD_XLSX, b"<worksheet", f"<!DOCTYPE worksheet [{entities}]><worksheet".encode())
    assert refusal(in_sheet(bomb, f"<t>{ID}</t>".encode(), b"<t>&e8;</t>")).code == "table_invalid"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'<c r="A2" t="inlineStr">', b'<c r="A2" s="999" t="n"><v>7</v>'),
        (b'r="A2"', b'r="ZZZZ2"'),
        (b'<c r="A2" t="inlineStr">', b'<c r="A2" t="s"><v>99</v>'),
        (b'<c r="A2" t="inlineStr">', b'<c r="A2" t="n"><v>NaN</v>'),
        (b'<c r="A2" t="inlineStr">', b'<c r="A2" t="n"><v>1E999</v>'),
        (b'<c r="A2" t="inlineStr">', b'<c r="A2" t="d"><v>yesterday</v>'),
        (b"</sheetData>", b""),
    ],
)
def test_broken_cells(old: bytes, new: bytes) -> None:
    assert refusal(in_sheet(GOOD_XLSX, old, new)).code == "table_invalid"


def test_cells_are_not_quoted_in_warnings(tmp_path: Path) -> None:
    """A process of its own: the test runner replaces the warning filters."""
    path = tmp_path / "table.xlsx"
    path.write_bytes(in_sheet(GOOD_XLSX, b"<v>46538</v>", b"<v>110105194912310</v>"))
    program = f"from shared.files import tabular; print(list(tabular.rows(open({str(path)!r}, 'rb'), {COLUMNS}, 9)))"
    root = Path(tabular.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert "张三" in done.stdout
    assert done.stderr == ""


def test_declared_size_is_not_believed() -> None:
    assert read(in_sheet(GOOD_XLSX, b'<dimension ref="A1:C2"', b'<dimension ref="A1:XFD1048576"')) == GOOD_ROWS
    assert read(in_sheet(GOOD_XLSX, b'<dimension ref="A1:C2"', b'<dimension ref="A1:A1"')) == GOOD_ROWS


def test_callers_file_stays_open() -> None:
    file = io.BytesIO(GOOD_CSV)
    list(tabular.rows(file, COLUMNS, 10))
    next(tabular.rows(file, COLUMNS, 10))
    assert not file.closed


@pytest.mark.parametrize("content", [f"{','.join(COLUMNS)}\n{ID},张三,\n".encode(), xlsx((ID, "张三", ""))])
def test_a_reader_may_outlive_its_file(content: bytes) -> None:
    """As when the client of a streamed import leaves; pytest fails on what is raised by a collected generator."""
    file = io.BytesIO(content)
    reader = tabular.rows(file, COLUMNS, 100)
    assert next(reader)[0] == 2
    file.close()
    del reader


def read_or_refuse(content: bytes) -> None:
    try:
        read(content)
    except TableError:
        return


@given(st.binary(max_size=300), st.sampled_from([b"", b"PK\x03\x04", GOOD_CSV, b"\xef\xbb\xbf"]))
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


MEMBERS = zipfile.ZipFile(io.BytesIO(GOOD_XLSX)).namelist()


@settings(max_examples=40)
@given(mutations, st.sampled_from(MEMBERS))
def test_mutated_xml_within_a_sound_archive(changes: list[tuple[float, bytes]], member: str) -> None:
    read_or_refuse(repacked(GOOD_XLSX, lambda name, part: mutated(part, changes) if name == member else part))


@given(mutations)
def test_mutated_csv(changes: list[tuple[float, bytes]]) -> None:
    read_or_refuse(mutated(GOOD_CSV, changes))
