"""Columns of a table and the row of a sheet that names them."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from shared.files.tables.cells import Cell, Kind
from shared.files.tables.errors import TableError

MAX_COLUMNS = 256
# Titles, notes and the like above the header.
MAX_ROWS_ABOVE = 20

# What is written otherwise in traditional script, of the characters in names of columns.
_SIMPLIFIED = str.maketrans(
    "證號碼書編崗稱類別種員學訓資結時間業單電話備註發關無長終術職務級條區縣鄉鎮",
    "证号码书编岗称类别种员学训资结时间业单电话备注发关无长终术职务级条区县乡镇",
)
_NOTE = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|[\s*:★]")


@dataclass(frozen=True)
class Column:
    """A column by the `name` that programs know, the `label` that people read, and what else tables call it.

    Where a table has several columns of these names, the one named first here counts.
    """

    name: str
    label: str
    aliases: tuple[str, ...] = ()
    kind: Kind = Kind.TEXT

    @property
    def names(self) -> tuple[str, ...]:
        return (self.label, self.name, *self.aliases)


@dataclass(frozen=True)
class Header:
    """Where a table's columns are: `places` as (name, place, kind), `texts` what stands there, `width` of all cells."""

    places: tuple[tuple[str, int, Kind], ...]
    texts: dict[str, str]
    width: int


class HeaderSearch:
    """Looks for the header, row by row, below whatever titles stand above it."""

    def __init__(self, columns: Sequence[Column]) -> None:
        # The name of the sheet, where another one may have been meant.
        self.sheet = ""
        self._columns = columns
        self._rows = 0
        self._missing: list[Column] = list(columns)

    def read(self, cells: Sequence[Cell]) -> Header | None:
        """Return the header if these cells are one. Raises TableError for a column twice, or after rows enough."""
        names = [_name(cell) for cell in cells]
        places = {column.name: _places(column, names) for column in self._columns}
        missing = [column for column in self._columns if not places[column.name]]
        if not missing:
            if repeated := [column.label for column in self._columns if len(places[column.name]) > 1]:
                raise TableError("table_header", f"表头有重复的列：{'、'.join(repeated)}")
            at = {name: found[0] for name, found in places.items()}
            texts = {name: str(cells[place]).strip() for name, place in at.items()}
            return Header(
                tuple((column.name, at[column.name], column.kind) for column in self._columns), texts, len(cells)
            )
        self._rows += 1
        if len(missing) < len(self._missing):
            self._missing = missing
        if self._rows > MAX_ROWS_ABOVE:
            raise self.failed()
        return None

    def failed(self) -> TableError:
        """The error of a table that has no header."""
        what = f"工作表“{self.sheet}”" if self.sheet else ""
        other = "。只读取第一个可见的工作表，数据在其他工作表的，请将其移到最前" if self.sheet else ""
        if not self._rows:
            return TableError("table_header", f"{what or '表格'}是空的，应有表头和数据{other}")
        labels = "、".join(column.label for column in self._missing)
        return TableError("table_header", f"{what and what + '的'}表头缺少列：{labels}。请按模板的列名填写{other}")


def column_of(letters: str) -> int:
    """Return the place of a sheet's column: 0 of A, 26 of AA."""
    place = 0
    for letter in letters:
        place = place * 26 + ord(letter) - 64
    return place - 1


def _places(column: Column, names: Sequence[str]) -> list[int]:
    for name in column.names:
        if found := [place for place, present in enumerate(names) if present == name]:
            return found
    return []


def _name(cell: Cell) -> str:
    """身份证号 of 「身份證\\n號（必填）*」."""
    if not isinstance(cell, str):
        return ""
    plain = unicodedata.normalize("NFKC", cell).translate(_SIMPLIFIED)
    return _NOTE.sub("", plain).strip("\ufeff'").lower()
