"""The first visible sheet of an XLSX workbook, row by row.

An own reader over the sheet's XML, because none at hand tells a formula without result or an error value from an empty
cell, or reads what Excel opens without believing what the file declares; docs/decisions/0009 compares them. What does
not change what a cell says (styles but for the formats of numbers, properties, defined names, ...) is never opened.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO, NamedTuple

from shared.files.tables.cells import Cell
from shared.files.tables.columns import HeaderSearch
from shared.files.tables.errors import TableError
from shared.files.tables.formats import Format, formats
from shared.files.tables.markup import Attributes, Flat, attribute, read
from shared.files.tables.merged import Merges, filled
from shared.files.tables.package import MAX_SMALL_PART_BYTES, Package
from shared.files.tables.sheet import SheetRows
from shared.files.tables.strings import Strings
from shared.values import idnumber
from shared.values.text import line

_HIDDEN = frozenset({"hidden", "veryhidden"})
MAX_NAME_CHARACTERS = 31  # of a sheet, in Excel
_TRUE = frozenset({"1", "true", "on"})


class Sheet(NamedTuple):
    """A sheet as the workbook lists it; `relationship` is the id of its part."""

    name: str
    relationship: str
    hidden: bool


def records(file: BinaryIO, search: HeaderSearch) -> Iterator[tuple[int, Sequence[Cell]]]:
    """Yield the numbered rows that hold anything, and tell the search the name of their sheet if others can be seen.

    Raises TableError, and nothing else for whatever the file holds.
    """
    try:
        package = Package(file)
        try:
            yield from _rows(package, search)
        finally:
            package.close()
    except TableError:
        raise
    except Exception:  # a broken workbook surfaces as almost any exception, its text may quote cells
        raise TableError("table_invalid", "XLSX 文件已损坏或格式不正确，请用 Excel 或 WPS 重新保存") from None


def _rows(package: Package, search: HeaderSearch) -> Iterator[tuple[int, Sequence[Cell]]]:
    workbook = _first(package.relationships("").values(), "officeDocument") or "xl/workbook.xml"
    if not package.has(workbook) or workbook.endswith(".bin"):
        package.refuse_others()
    sheets, is_1904 = _workbook(package, workbook)
    related = package.relationships(workbook)
    folder = workbook.rpartition("/")[0]
    shown = _visible(sheets, related)
    sheet = related[shown[0].relationship][1]
    search.sheet = shown[0].name if len(shown) > 1 else ""
    strings = Strings()
    if package.has(part := _first(related.values(), "sharedStrings") or f"{folder}/sharedStrings.xml"):
        with package.part(part) as stream:
            strings.load(stream)
    known = _formats(package, _first(related.values(), "styles") or f"{folder}/styles.xml")
    with package.part(sheet) as stream:
        merges = Merges.of(stream)
    with package.part(sheet) as stream:
        yield from filled(SheetRows(strings, known, is_1904).read(stream), merges)


def _workbook(package: Package, name: str) -> tuple[list[Sheet], bool]:
    sheets: list[Sheet] = []
    is_1904 = False

    def note(element: str, attributes: Attributes) -> None:
        nonlocal is_1904
        if element == "sheet":
            key = next((key for key in attributes if key.endswith(":id")), "")
            label = idnumber.masked(line(attribute(attributes, "name")))[:MAX_NAME_CHARACTERS]
            hidden = attribute(attributes, "state").lower() in _HIDDEN
            sheets.append(Sheet(label, attributes.get(key, ""), hidden))
        elif element == "workbookPr":
            is_1904 = attribute(attributes, "date1904").lower() in _TRUE

    with package.part(name, MAX_SMALL_PART_BYTES) as stream:
        read(stream, Flat(note))
    return sheets, is_1904


def _visible(sheets: Sequence[Sheet], related: dict[str, tuple[str, str]]) -> Sequence[Sheet]:
    """Return the sheets of cells that a person sees on opening the workbook, one at least."""
    cells = [sheet for sheet in sheets if related.get(sheet.relationship, ("", ""))[0] == "worksheet"]
    if not cells:
        raise TableError("table_type", "XLSX 文件中没有工作表")
    shown = [sheet for sheet in cells if not sheet.hidden]
    if not shown:
        raise TableError("table_type", "工作簿中的工作表都是隐藏的，请取消隐藏要导入的工作表")
    return shown


def _formats(package: Package, name: str) -> list[Format] | None:
    """Return the formats of numbers by style, None if the workbook has none that can be read."""
    try:
        with package.part(name, MAX_SMALL_PART_BYTES) as stream:
            return formats(stream)
    except Exception:  # styles never keep a text from being read
        return None


def _first(related: Iterable[tuple[str, str]], kind: str) -> str:
    return next((part for each, part in related if each == kind), "")
