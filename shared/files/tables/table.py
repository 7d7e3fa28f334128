"""Reading an uploaded table: CSV or the first visible sheet of an XLSX workbook, told apart by content."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import BinaryIO, NamedTuple

from shared.files.tables import textfile, workbook
from shared.files.tables.cells import Cell, plain_texts, seen
from shared.files.tables.columns import Column, Header, HeaderSearch
from shared.files.tables.errors import BLANK_FORMULA, TOO_SHORT, TOO_WIDE, Fault, TableError
from shared.files.tables.filetypes import kind_of

# The key of what is wrong with a row as a whole.
WHOLE_ROW = ""
_NO_FAULTS: Mapping[str, Fault] = MappingProxyType({})


class Row(NamedTuple):
    """A row by its number as seen in the sheet: stripped texts by column name, and what is wrong by column name.

    A column with a fault has the text ""; under WHOLE_ROW is what is wrong with all of it. In a row of text that
    has fewer cells than the header a blank one is TOO_SHORT: a program may have left out the last ones, or one before
    is lost and this is what came in its place.
    """

    number: int
    texts: dict[str, str]
    faults: Mapping[str, Fault]


def rows(file: BinaryIO, columns: Sequence[Column], max_rows: int) -> Iterator[Row]:
    """Yield every row below the header that is not blank; a row that cannot be read says so and harms no other.

    The header is the first row that names all `columns`, in any order, below whatever titles; other columns are
    ignored, and so is the header where it is repeated. Raises TableError, while iterating, and nothing else for
    whatever the (seekable) file holds.
    """
    is_text = kind_of(file) == "text"
    search = HeaderSearch(columns)
    header: Header | None = None
    count = 0
    for number, cells in textfile.records(file, columns) if is_text else workbook.records(file, search):
        if header is None:
            header = None if isinstance(cells, Fault) else search.read(cells)
            continue
        row = _row(number, cells, header, is_text=is_text)
        if row is None:
            continue
        count += 1
        if count > max_rows:
            raise TableError("table_too_large", f"表格超过{max_rows}行，请拆分后分次导入")
        yield row
    if header is None:
        raise search.failed()


def count_rows(file: BinaryIO, columns: Sequence[Column], max_rows: int) -> int | None:
    """Count the rows that `rows` will yield; None for a workbook, too slow to be read twice. Raises TableError."""
    return sum(1 for _ in rows(file, columns, max_rows)) if kind_of(file) == "text" else None


def _row(number: int, cells: Sequence[Cell] | Fault, header: Header, *, is_text: bool) -> Row | None:
    """Return the row, None if it is blank or the header again."""
    if isinstance(cells, Fault):
        return Row(number, {name: "" for name, _, _ in header.places}, {WHOLE_ROW: cells})
    if is_text and len(cells) == header.width and (plain := plain_texts(cells)):
        texts = {name: plain[place] for name, place, _ in header.places}
        return None if texts == header.texts or not any(texts.values()) else Row(number, texts, _NO_FAULTS)
    texts = {}
    faults: dict[str, Fault] = {}
    for name, place, kind in header.places:
        # A workbook leaves blank cells out.
        text = seen(cells[place], kind) if place < len(cells) else ""
        if not text and is_text and len(cells) < header.width:
            text = TOO_SHORT
        if isinstance(text, Fault):
            faults[name] = text
            text = ""
        texts[name] = text
    # A separator that is not quoted has shifted the cells of a row of text under wrong names.
    if is_text and len(cells) > header.width and any(cell for cell in cells[header.width :]):
        faults[WHOLE_ROW] = TOO_WIDE
    if not any(texts.values()) and all(fault in (BLANK_FORMULA, TOO_SHORT) for fault in faults.values()):
        return None
    return None if texts == header.texts else Row(number, texts, faults)
