"""Tables as text: CSV and its relatives, in the encodings and with the separators of Chinese offices."""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Literal

from shared.files.tables.columns import MAX_ROWS_ABOVE, Column, HeaderSearch
from shared.files.tables.errors import QUOTES, Fault, TableError
from shared.files.tables.filetypes import HEAD_BYTES, unmarked_utf16

DELIMITERS = (",", "\t", ";", "，", "；", "|")
SAMPLE_CHARACTERS = 64 * 1024
CHUNK_BYTES = 1024 * 1024
MAX_LINES_OF_ROW = 20  # a quoted cell may hold line breaks; a quote that never ends must not swallow the table
MAX_LINE_CHARACTERS = 100_000

_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[\s,;]*', re.IGNORECASE | re.DOTALL)
_BLANK_AFTER_QUOTE = re.compile(r'(?<=")[ \t\u3000]+(?=[,;|，；\t\r\n]|$)')
_BLANK_BEFORE_QUOTE = re.compile(r'(?:(?<=[,;|，；\t])|^)[ \t\u3000]+(?=")')
_WIDE = re.compile("[\u0800-\U0010ffff]")
_DOS_END = re.compile(r"\x1a+(?=\s*\Z)")


def records(file: BinaryIO, columns: Sequence[Column]) -> Iterator[tuple[int, Sequence[str] | Fault]]:
    """Yield the numbered rows, those without content left out; one that cannot be read is a Fault, harming no other."""
    encoding, errors = _encoding(file)
    file.seek(0)
    text = io.TextIOWrapper(file, encoding=encoding, errors=errors, newline="")
    try:
        lines = _Lines(text)
        yield from _rows(lines, _delimiter(lines, columns))
    finally:
        if not file.closed:
            text.detach()  # else collecting the wrapper would close the caller's file


class _Lines:
    """Lines of a text, without the marks that files begin and end with; those of a row can be given back."""

    def __init__(self, text: Iterator[str]) -> None:
        self._text = text
        self._again: list[str] = []
        self.taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.pop() if self._again else next(self._text)
        taken = self.taken
        taken.append(line)
        if len(line) > MAX_LINE_CHARACTERS or len(taken) > MAX_LINES_OF_ROW:
            raise csv.Error("too long")
        # A second mark, or that of a second file, or DOS's end of a file.
        if line[0] == "\ufeff":
            line = line.lstrip("\ufeff")
        return _DOS_END.sub("", line) if "\x1a" in line else line

    def give_back(self, kept: int) -> None:
        """Let the lines taken be read again, but for the first `kept`."""
        self._again += reversed(self.taken[kept:])
        self.taken.clear()


def _rows(lines: _Lines, delimiter: str) -> Iterator[tuple[int, Sequence[str] | Fault]]:
    reader = _reader(lines, delimiter)
    number = 0
    while True:
        lines.taken.clear()
        number += 1
        cells: Sequence[str] | Fault
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            cells = _repaired(lines.taken[0], delimiter) or QUOTES
            lines.give_back(1)
        if isinstance(cells, Fault) or any(map(str.strip, cells)):
            yield number, cells


def _reader(lines: Iterator[str], delimiter: str) -> Iterator[list[str]]:
    return csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=delimiter != "\t")


def _repaired(line: str, delimiter: str) -> Sequence[str] | None:
    """The cells of a line with blanks around its quotes, None if that is not what is wrong."""
    tidy = _BLANK_BEFORE_QUOTE.sub("", _BLANK_AFTER_QUOTE.sub("", line))
    try:
        return next(_reader(iter([tidy]), delimiter)) if tidy != line else None
    except csv.Error:
        return None


def _delimiter(lines: _Lines, columns: Sequence[Column]) -> str:
    """Return the separator by which the header is found, and leave the lines at its first row."""
    size = 0
    try:
        for line in lines:
            if (size := size + len(line)) > SAMPLE_CHARACTERS or len(lines.taken) == MAX_LINES_OF_ROW:
                break
    except csv.Error:
        pass  # told where the row is read
    sample = [line.strip("\ufeff") for line in lines.taken]
    stated = _SEPARATOR_LINE.fullmatch(sample[0]) if sample else None
    lines.give_back(1 if stated else 0)
    order = (stated[1], *DELIMITERS) if stated else DELIMITERS
    return next((each for each in order if _has_header(sample, each, columns)), order[0])


def _has_header(sample: Sequence[str], delimiter: str, columns: Sequence[Column]) -> bool:
    search = HeaderSearch(columns)
    try:
        return any(search.read(row) for row in _reader(iter(sample[:MAX_ROWS_ABOVE]), delimiter))
    except TableError:
        return True  # the columns are there, twice
    except csv.Error:
        return False


def _encoding(file: BinaryIO) -> tuple[str, Literal["strict", "replace"]]:
    """Tell the encoding, and whether bytes that do not fit it are to be shown as U+FFFD, for their rows to be refused.

    Raises TableError if the bytes may be read in two ways: a name must never be stored as other characters.
    """
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", "replace"
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig", "replace"
    if b"\0" in head and (encoding := unmarked_utf16(head)):
        return encoding, "replace"
    if _is_utf8(file):
        return "utf-8", "strict"
    wide, damaged = _census(file, "utf-8")
    if 0 < damaged <= wide:  # some rows of it are damaged
        return "utf-8", "replace"
    chinese, undecodable = _census(file, "gb18030")
    if wide * 4 < damaged and undecodable < chinese:
        return "gb18030", "replace"
    raise TableError("table_encoding", "无法确定文件的编码，请另存为 .xlsx 或“CSV UTF-8（逗号分隔）”后重新上传")


def _is_utf8(file: BinaryIO) -> bool:
    """Whether the file is UTF-8 for certain: two bytes of it that make é are a Chinese character in GB 18030."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_ascii, has_wide = True, False
    file.seek(0)
    try:
        while chunk := file.read(CHUNK_BYTES):
            text = decoder.decode(chunk)
            is_ascii = is_ascii and text.isascii()
            has_wide = has_wide or _WIDE.search(text) is not None
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return is_ascii or has_wide


def _census(file: BinaryIO, encoding: str) -> tuple[int, int]:
    """Count the characters from U+0800 on, and the places that cannot be decoded."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    wide = damaged = 0
    file.seek(0)
    while True:
        chunk = file.read(CHUNK_BYTES)
        text = decoder.decode(chunk, final=not chunk)
        bad = text.count("\ufffd")
        wide, damaged = wide + len(_WIDE.findall(text)) - bad, damaged + bad
        if not chunk:
            return wide, damaged
