"""The rows of a sheet's XML, each as soon as it ends: `<row><c r t s><f/><v/></c>…</row>`."""

from collections.abc import Iterator
from typing import BinaryIO

from shared.files.tables.cells import Cell, Number
from shared.files.tables.columns import MAX_COLUMNS, column_of
from shared.files.tables.errors import BLANK_FORMULA, BROKEN, ERROR, FORMULA, LOGICAL, TableError
from shared.files.tables.formats import DAY, PLAIN, Format, day
from shared.files.tables.markup import Attributes, Elements, MarkupError, parse
from shared.files.tables.strings import Strings, Text

MAX_SHEET_ROWS = 1_048_576
MAX_SHEET_COLUMNS = 16_384

_DIGITS = "0123456789"
_TEXTS = frozenset({"inlineStr", "str", "d"})


class SheetRows(Elements):
    """Reads one sheet. `formats` are the workbook's by style, None if it has none; neither row nor cell need say where
    it is."""

    __slots__ = (
        "_cell",
        "_cells",
        "_column",
        "_columns",
        "_count",
        "_done",
        "_format",
        "_formats",
        "_has_formula",
        "_inside",
        "_is_1904",
        "_number",
        "_over",
        "_reading",
        "_rows",
        "_strings",
        "_text",
        "_type",
        "_used",
    )

    def __init__(self, strings: Strings, formats: list[Format] | None, is_1904: bool) -> None:
        super().__init__()
        self._strings, self._formats, self._is_1904 = strings, formats, is_1904
        self._rows: list[tuple[int, list[Cell]]] = []
        self._cells: list[Cell] = []
        self._columns: dict[str, int] = {}
        self._number = self._count = 0
        self._column = -1
        self._text = Text()
        self._type = ""
        self._format: Format | None = PLAIN
        self._inside = self._reading = self._has_formula = self._used = self._over = False
        self._cell = False

    def read(self, stream: BinaryIO) -> Iterator[tuple[int, list[Cell]]]:
        """Yield the numbered rows that hold anything; what follows the rows is not looked at.

        Raises TableError, MarkupError, after the rows before the fault.
        """
        try:
            for _ in parse(stream, self):
                yield from self._rows
                self._rows.clear()
                if self._over:
                    return
        except (MarkupError, TableError):
            yield from self._rows
            raise

    def start(self, name: str, attributes: Attributes) -> None:
        self.depth += 1
        local = self.local[name]
        if self._cell:
            if local in ("v", "t"):
                self._inside = not self._reading
            elif local == "f":
                self._has_formula = True
            elif local == "rPh":
                self._reading = True
        elif local == "c":
            self._cell = True
            self._begin_cell(attributes)
        elif local == "row":
            self._begin_row(attributes)

    def end(self, name: str) -> None:
        self.depth -= 1
        local = self.local[name]
        if local in ("v", "t", "f"):
            self._inside = False
        elif local == "c":
            self._cell = False
            self._end_cell()
        elif local == "row":
            if self._used:
                self._rows.append((self._number, self._cells))
        elif local == "rPh":
            self._reading = False
        elif local == "sheetData":
            self._over = True

    def text(self, piece: str) -> None:
        if self._inside:
            self._text.add(piece)

    def _begin_row(self, attributes: Attributes) -> None:
        stated = attributes.get("r", "")
        number = int(stated) if stated.isdecimal() and len(stated) < 9 else self._number + 1
        if not self._number < number <= MAX_SHEET_ROWS:
            raise MarkupError("a row twice, or beyond the last")
        self._number = number
        self._cells = []
        self._column, self._count, self._used = -1, 0, False

    def _begin_cell(self, attributes: Attributes) -> None:
        self._count += 1
        place = attributes.get("r")
        if place is None:
            self._column += 1
        else:
            letters = place.rstrip(_DIGITS)
            column = self._columns.get(letters)
            self._column = self._place(letters) if column is None else column
        if self._count > MAX_SHEET_COLUMNS or self._column >= MAX_SHEET_COLUMNS:
            raise TableError("table_too_large", f"单元格超过{MAX_SHEET_COLUMNS}列，请只保留需要导入的列", self._number)
        self._type = attributes.get("t", "n")
        style = attributes.get("s")
        if self._formats is None:
            self._format = None
        elif style is None:
            self._format = PLAIN
        else:
            try:
                self._format = self._formats[int(style)]
            except (ValueError, IndexError):
                self._format = PLAIN
        self._has_formula = self._inside = self._reading = False

    def _place(self, letters: str) -> int:
        plain = letters.replace("$", "").upper()
        if not (plain.isascii() and plain.isalpha() and len(plain) <= 3):
            raise MarkupError("a cell nowhere")
        place = self._columns[letters] = column_of(plain)
        return place

    def _end_cell(self) -> None:
        text = self._text.take()
        if self._column >= MAX_COLUMNS or not (text or self._has_formula):
            return
        cells = self._cells
        if (missing := self._column - len(cells)) > 0:
            cells += [""] * missing
        cell = self._value(text)
        if self._column < len(cells):
            cells[self._column] = cell
        else:
            cells.append(cell)
        self._used = self._used or not isinstance(cell, str) or bool(cell.strip())

    def _value(self, text: str) -> Cell:
        kind = self._type
        if self._has_formula and not text:
            return BLANK_FORMULA if kind == "str" else FORMULA
        if kind == "s":
            return self._shared(text)
        if kind == "b":
            return LOGICAL
        if kind == "e":
            return ERROR
        return text if kind in _TEXTS else self._counted(text)

    def _shared(self, place: str) -> Cell:
        try:
            return self._strings[int(place)]
        except (ValueError, IndexError):
            return BROKEN

    def _counted(self, text: str) -> Cell:
        try:
            value = float(text)
        except ValueError:
            return BROKEN if text.strip() else ""
        if self._format is None:
            return Number(value, day=day(value, is_1904=self._is_1904))
        if self._format == DAY:
            return day(value, is_1904=self._is_1904) or Number(value)
        return Number(value, zeros=self._format)
