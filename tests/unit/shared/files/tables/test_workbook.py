"""Workbooks as people and programs make them."""

import io
import zipfile

import pytest
from openpyxl import Workbook

from shared.files.tables.errors import TableError
from shared.files.tables.merged import Merges
from tests.support.workbooks import MAIN, OFFICE, packed, parts, relationships, row, sheet, styles, text, workbook
from tests.unit.shared.files.tables.support import HEADER, ID, faults, refusal, texts

GOOD_ROWS = row(*HEADER) + row(ID, "张三", "2027-05-31")
GOOD = [(2, (ID, "张三", "2027-05-31"))]
GOOD_PARTS = parts(sheet(GOOD_ROWS), style=styles(0))


@pytest.mark.parametrize("state", ["hidden", "veryHidden", "VeryHidden"])
def test_the_first_visible_sheet_is_the_table(state: str) -> None:
    old = row(*HEADER) + row(ID, "隐藏旧人", "")
    content = parts(sheet(old), sheet(GOOD_ROWS), sheet(old), states=[state])
    assert texts(packed(content)) == GOOD
    assert "隐藏" in refusal(packed(parts(sheet(old), states=[state]))).message


def test_a_sheet_without_header_is_named_if_another_could_be_meant() -> None:
    def refused(name: str, *sheets: str, hidden: str = "") -> str:
        book = Workbook()
        book.worksheets[0].title = name
        for title in sheets:
            book.create_sheet(title).append(HEADER)
        if hidden:
            book[hidden].sheet_state = "hidden"
        book.worksheets[0].append(["某市人员情况"])
        book.save(stream := io.BytesIO())
        return refusal(stream.getvalue()).message

    other = refused("封面", "人员")
    assert other.startswith("工作表“封面”的表头缺少列：身份证号、姓名、有效期至")
    assert "移到最前" in other
    assert "工作表" not in refused("封面")
    assert "工作表" not in refused("封面", "人员", hidden="人员")
    assert ID not in refused(ID, "人员")
    assert refusal(packed(parts(sheet(""), sheet(GOOD_ROWS)))).message.startswith("工作表“")


def test_a_chart_is_no_sheet() -> None:
    related = [("sheet1", "chartsheet", "worksheets/sheet1.xml"), ("sheet2", "worksheet", "worksheets/sheet2.xml")]
    content = parts(sheet(""), sheet(GOOD_ROWS)) | {"xl/_rels/workbook.xml.rels": relationships(related)}
    assert texts(packed(content)) == GOOD


def test_row_numbers_are_the_sheets() -> None:
    def at(place: str, value: str) -> str:
        return text(value).replace("<c", f'<c r="{place}"')

    rows = row(at("B3", "姓名"), at("D3", "身份证号"), at("AA3", "有效期至"), at=3)
    rows += row(at("D9", ID), at("b9", "张三"), at=9)
    assert texts(workbook(rows)) == [(9, (ID, "张三", ""))]


# Merged cells.
def test_merged_cells_count_for_each_of_their_rows() -> None:
    rows = row(*HEADER) + row(ID, "张三", "2027-05-31") + row("", "", "2028-05-31") + row("", "<c/>", "2029-05-31")
    rows += row("", "", "2030-05-31")
    found = texts(workbook(rows, ["A2:A4", "B2:B4"]))
    assert found[:3] == [
        (2, (ID, "张三", "2027-05-31")),
        (3, (ID, "张三", "2028-05-31")),
        (4, (ID, "张三", "2029-05-31")),
    ]
    assert found[3] == (5, ("", "", "2030-05-31")), "not filled below the range"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-8"])
def test_merged_cells_of_a_sheet_in_another_encoding(encoding: str) -> None:
    rows = row(*HEADER) + row(ID, "张三", "2027-05-31") + row(ID, "张三", "") + row("", "", "") * 9_000
    part = sheet(rows, ["C2:C3"]).encode(encoding)
    content = packed(GOOD_PARTS | {"xl/worksheets/sheet1.xml": part}, zipfile.ZIP_STORED)
    assert [texts_of for _, texts_of in texts(content)] == [(ID, "张三", "2027-05-31")] * 2


def test_what_a_merged_cell_hides_is_not_seen() -> None:
    rows = row(*HEADER) + row(ID, "张三", "") + row(ID, "旧人", "2028-05-31")
    assert texts(workbook(rows, ["B2:B3"]))[1] == (3, (ID, "张三", "2028-05-31"))


def test_a_fault_counts_for_all_of_a_merged_cell() -> None:
    rows = row(*HEADER) + row("<c><v>1e17</v></c>", "张三", "") + row("", "张三", "2028-05-31")
    assert faults(workbook(rows, ["A2:A3"])) == {2: {"id_number": "cell_number"}, 3: {"id_number": "cell_number"}}


def test_a_header_of_two_rows() -> None:
    rows = row("身份证号", "姓名", "证书") + row("", "", "有效期至") + row(ID, "张三", "2027-05-31")
    assert texts(workbook(rows, ["A1:A2", "B1:B2"])) == [(3, (ID, "张三", "2027-05-31"))]


def test_rows_of_a_merged_cell_that_hold_nothing_else_are_blank() -> None:
    assert texts(workbook(GOOD_ROWS + row("", "", ""), ["A2:A9", "B2:B3"])) == GOOD


# What Excel opens.
@pytest.mark.parametrize(
    "change",
    [
        {"xl/styles.xml": "<not xml"},
        {"xl/styles.xml": f'<styleSheet xmlns="{MAIN}"><fills><fill/></fills><cellXfs><xf/></cellXfs></styleSheet>'},
        {"xl/styles.xml": f'<styleSheet xmlns="{MAIN}"><cellXfs><xf numFmtId="x"/></cellXfs></styleSheet>'},
        {"docProps/core.xml": "<broken", "docProps/custom.xml": "<Properties><property/></Properties>"},
        {"xl/theme/theme1.xml": b"\0\1\2"},
        {"xl/media/image1.jpeg": b"\xff\xd8" * 1000},
        {"_rels/.rels": '<Relationships xmlns="x"/>'},
        {"xl/worksheets/sheet1.xml": sheet(GOOD_ROWS).replace("</worksheet>", "<conditionalFormatting><broken")},
        {"xl/worksheets/sheet1.xml": sheet(GOOD_ROWS).replace("<sheetData>", '<dimension ref="A1"/><sheetData>')},
        {
            "xl/worksheets/sheet1.xml": sheet(GOOD_ROWS).replace(
                "<sheetData>", '<dimension ref="A1:XFD1048576"/><sheetData>'
            )
        },
        {"xl/worksheets/sheet1.xml": "\ufeff" + sheet(GOOD_ROWS)},
        {"xl/worksheets/sheet1.xml": sheet(GOOD_ROWS).encode("utf-16")},
        {"xl/worksheets/sheet1.xml": f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\r\n{sheet(GOOD_ROWS)}'},
        {"xl/worksheets/sheet1.xml": sheet(GOOD_ROWS.replace("<c ", '<c s="999" '))},
        {
            "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><definedNames>'
            '<definedName name="x" localSheetId="99">#REF!$A$</definedName></definedNames>'
            '<sheets><sheet name="a" sheetId="1" r:id="sheet1"/></sheets></workbook>'
        },
    ],
)  # fmt: skip
def test_what_does_not_change_the_cells_does_not_matter(change: dict[str, str | bytes]) -> None:
    assert texts(packed(GOOD_PARTS | change)) == GOOD


def test_without_styles_a_number_in_a_column_of_days_is_one() -> None:
    content = parts(sheet(row(*HEADER) + row(ID, "张三", '<c s="1"><v>46538</v></c>')))
    assert texts(packed(content)) == GOOD


RICH_TEXT = "<r><rPr><b/></rPr><t>张</t></r><r><t>三</t></r><rPh><t>ZHANG</t></rPh>"
STRINGS = f"<si><t>{ID}</t></si><si>{RICH_TEXT}</si><si><t>a</t></si>"
SHARED = parts(
    sheet(row(*HEADER) + row('<c t="s"><v>0</v></c>', '<c t="s"><v>1</v></c>', "2027-05-31")), strings=STRINGS
)


def test_strings_kept_apart_with_runs_and_readings() -> None:
    assert texts(packed(SHARED)) == GOOD


def renamed(content: dict[str, str | bytes], old: str, new: str) -> bytes:
    return packed({name.replace(old, new): part for name, part in content.items()})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("xl/sharedStrings.xml", "xl/SharedStrings.xml"),
        ("xl/worksheets/sheet1.xml", "xl/Worksheets/SHEET1.XML"),
        ("xl/workbook.xml", "xl/Workbook.xml"),
        ("xl/", "xl\\"),
        ("xl/", "/xl/"),
        ("xl/worksheets/", "xl\\worksheets\\"),
        ("/", "\\"),
    ],
)
def test_names_of_parts_in_other_case_or_with_backslashes(old: str, new: str) -> None:
    assert texts(renamed(SHARED, old, new)) == GOOD


@pytest.mark.parametrize(
    "target",
    ["/xl/worksheets/sheet1.xml", "worksheets\\sheet1.xml", "./worksheets/sheet1.xml", "../xl/worksheets/sheet1.xml",
     "xl/worksheets/sheet1.xml", "/xl/worksheets/%73heet1.xml", "Worksheets/Sheet1.xml"],
)  # fmt: skip
def test_targets_in_every_writing(target: str) -> None:
    rels = relationships([("sheet1", "worksheet", target), ("strings", "sharedStrings", "/xl/sharedStrings.xml")])
    assert texts(packed(SHARED | {"xl/_rels/workbook.xml.rels": rels})) == GOOD


def test_strict_open_xml() -> None:
    def strict(part: str | bytes) -> str | bytes:
        assert isinstance(part, str)
        part = part.replace(MAIN, "http://purl.oclc.org/ooxml/spreadsheetml/main")
        return part.replace(OFFICE, "http://purl.oclc.org/ooxml/officeDocument/relationships")

    assert texts(packed({name: strict(part) for name, part in SHARED.items()})) == GOOD


def test_elements_with_a_prefix() -> None:
    """As some libraries of .NET write every element."""
    prefixed = sheet(GOOD_ROWS, ["A2:A3"]).replace("<", "<x:").replace("<x:/", "</x:").replace("xmlns=", "xmlns:x=")
    book = (
        f'<x:workbook xmlns:x="{MAIN}" xmlns:rel="{OFFICE}">'
        '<x:sheets><x:sheet name="a" sheetId="1" rel:id="sheet1"/></x:sheets></x:workbook>'
    )
    assert texts(packed(GOOD_PARTS | {"xl/worksheets/sheet1.xml": prefixed, "xl/workbook.xml": book})) == GOOD


def test_without_compression() -> None:
    assert texts(packed(GOOD_PARTS, zipfile.ZIP_STORED)) == GOOD


# Broken or hostile.
@pytest.mark.parametrize(
    "inner",
    [
        '<c t="s"><v>99</v></c>',
        '<c t="s"><v>-1</v></c>',
        "<c><v>NaN</v></c>",
        "<c><v>yesterday</v></c>",
    ],
)
def test_a_broken_cell_refuses_its_row(inner: str) -> None:
    content = packed(parts(sheet(row(*HEADER) + row(ID, inner, "x") + row(ID, "张三", "")), strings=STRINGS))
    assert faults(content) == {2: {"name": "cell_broken"}}
    assert len(texts(content)) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"xl/worksheets/sheet1.xml": sheet(GOOD_ROWS).replace("</sheetData>", "")},
        {"xl/worksheets/sheet1.xml": sheet(GOOD_ROWS.replace("<c ", '<c r="ZZZZ2" '))},
        {"xl/worksheets/sheet1.xml": sheet(GOOD_ROWS.replace("<c ", '<c r="2" '))},
        {"xl/worksheets/sheet1.xml": sheet(row(*HEADER, at=1) + row(ID, "张三", "", at=1_048_577))},
        {"xl/worksheets/sheet1.xml": sheet(row(*HEADER, at=1) + row(ID, "张三", "", at=1))},  # which is row 1?
        {"XL/Worksheets/sheet1.xml": sheet(GOOD_ROWS)},  # which of the two?
        {"xl/worksheets/sheet1.xml": f"<!DOCTYPE w [<!ENTITY a 'x'>]>{sheet(GOOD_ROWS)}"},
        {"xl/worksheets/sheet1.xml": f"<!DOCTYPE w SYSTEM 'file:///etc/hostname'>{sheet(GOOD_ROWS)}"},
        {"xl/worksheets/sheet1.xml": sheet(GOOD_ROWS.replace("张三", "&a;"))},
    ],
)
def test_broken_workbooks(change: dict[str, str | bytes]) -> None:
    assert refusal(packed(GOOD_PARTS | change)).code == "table_invalid"


def test_only_the_compressions_of_workbooks() -> None:
    """LZMA may ask for any amount of memory before the first byte."""
    assert refusal(packed(GOOD_PARTS, zipfile.ZIP_LZMA)).code == "table_invalid"


def test_a_part_that_is_encrypted_is_named() -> None:
    content = bytearray(packed(GOOD_PARTS))
    at = content.find(b"PK\x01\x02")
    while at >= 0:
        content[at + 8] |= 1
        at = content.find(b"PK\x01\x02", at + 1)
    assert "密码" in refusal(bytes(content)).message


def test_what_unpacks_to_too_much_is_refused_unopened() -> None:
    padding = "<!--" + " " * (4 * 1024 * 1024) + "-->"
    for name in ("xl/worksheets/sheet1.xml", "xl/workbook.xml"):
        content = GOOD_PARTS[name]
        assert isinstance(content, str)
        assert refusal(packed(GOOD_PARTS | {name: content + padding})).code == "table_too_large"


def test_too_many_merged_cells() -> None:
    ranges = [f"A{at}:A{at + 1}" for at in range(1, 12)]
    assert Merges.of(io.BytesIO(sheet(GOOD_ROWS, ranges).encode()), most=11).columns()
    with pytest.raises(TableError) as caught:
        Merges.of(io.BytesIO(sheet(GOOD_ROWS, ranges).encode()), most=10)
    assert caught.value.code == "table_too_large"


def test_cells_far_apart_take_no_room_between() -> None:
    rows = GOOD_ROWS + '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    assert texts(workbook(rows)) == GOOD
