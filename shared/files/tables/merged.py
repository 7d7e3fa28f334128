"""Merged cells: what stands in the first of them is seen in all."""

import codecs
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from shared.files.tables.cells import Cell
from shared.files.tables.columns import MAX_COLUMNS, column_of
from shared.files.tables.errors import TableError
from shared.files.tables.markup import CHUNK_BYTES

MAX_MERGES = 300_000

# They stand behind the rows, which are not to be kept until then: their tags are looked for in the bytes. A cell's text
# cannot hold a tag.
_MERGE = re.compile(
    rb"<(?:\w+:)?mergeCell\s[^<>]{0,200}?\bref\s*=\s*[\"']\$?([A-Z]{1,3})\$?([0-9]{1,7}):\$?[A-Z]{1,3}\$?([0-9]{1,7})[\"']"
)
_TAG_BYTES = 1024


class Merges:
    """Merged ranges of several rows, by column and first row."""

    def __init__(self, most: int) -> None:
        self._ends: dict[int, dict[int, int]] = {}
        self._room = most

    @classmethod
    def of(cls, stream: BinaryIO, most: int = MAX_MERGES) -> "Merges":
        """Find the ranges of a sheet. Raises TableError if there are too many."""
        merges = cls(most)
        tail = b""
        decoder: codecs.IncrementalDecoder | None = None
        while chunk := stream.read(CHUNK_BYTES):
            if not tail and chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                decoder = codecs.getincrementaldecoder("utf-16")("replace")
            data = tail + (decoder.decode(chunk).encode() if decoder else chunk)
            for match in _MERGE.finditer(data):
                merges._add(column_of(match[1].decode()), int(match[2]), int(match[3]))
            tail = data[max(data.rfind(b"<"), len(data) - _TAG_BYTES) :]
        return merges

    def _add(self, column: int, first: int, last: int) -> None:
        if last <= first or column >= MAX_COLUMNS:
            return
        self._room -= 1
        if self._room < 0:
            raise TableError("table_too_large", "合并的单元格过多，请取消合并后重新上传")
        self._ends.setdefault(column, {})[first] = last

    def columns(self) -> dict[int, tuple[Sequence[int], Sequence[int]]]:
        """Return (first rows in order, their last rows) by column."""
        return {column: tuple(zip(*sorted(ends.items()), strict=True)) for column, ends in self._ends.items()}  # type: ignore[misc]


def filled(rows: Iterator[tuple[int, list[Cell]]], merges: Merges) -> Iterator[tuple[int, list[Cell]]]:
    """Give the cells of each row what is seen in them: what stands in the first row of their range."""
    columns = merges.columns()
    seen: dict[int, tuple[int, Cell]] = {}
    for number, cells in rows:
        for column, (firsts, lasts) in columns.items():
            at = bisect_right(firsts, number) - 1
            if at < 0 or number > lasts[at]:
                continue
            first = firsts[at]
            if number == first:
                seen[column] = (first, cells[column] if column < len(cells) else "")
                continue
            kept = seen.get(column, (0, ""))
            cells.extend([""] * (column + 1 - len(cells)))
            cells[column] = kept[1] if kept[0] == first else ""
        yield number, cells
