"""Reading an uploaded table: CSV in UTF-8, or the first sheet of an XLSX workbook, told apart by content."""

import csv
import io
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, time
from itertools import islice
from typing import BinaryIO, Literal, cast
from zipfile import ZipFile

from openpyxl import load_workbook
from openpyxl.cell.read_only import EMPTY_CELL, EmptyCell, ReadOnlyCell

TableErrorCode = Literal["table_encoding", "table_type", "table_header", "table_too_large", "table_invalid"]

MAX_FILE_BYTES = 20 * 1024 * 1024
MAX_UNPACKED_BYTES = 200 * 1024 * 1024
MAX_UNPACK_RATIO = 100
# Styles, themes and the like are read whole, as objects many times their size; sheets and strings are streamed.
MAX_ATTACHED_BYTES = 10 * 1024 * 1024
MAX_ZIP_MEMBERS = 1000
MAX_COLUMNS = 32
MAX_SHEET_ROWS = 1_048_576
MAX_CELL_CHARACTERS = 500
TRUSTED_NUMBERS = 10**15  # a sheet keeps 15 digits: an identity number typed as a number has lost its last three

_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_OLE_MAGIC = b"\xd0\xcf\x11\xe0"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_STREAMED_PART = re.compile(r"xl/(worksheets/[^/]+|sharedStrings)\.xml")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_ZERO_PADDED = re.compile(r"0+")

# openpyxl quotes cells in its warnings, and a cell may hold an identity number.
warnings.filterwarnings("ignore", module=r"openpyxl\.")


class TableError(ValueError):
    """The table cannot be used; `message` is Chinese and quotes no cell, `row` is the row in the sheet if known."""

    def __init__(self, code: TableErrorCode, message: str, row: int | None = None) -> None:
        self.code = code
        self.message = f"第{row}行：{message}" if row else message
        self.row = row
        super().__init__(self.message)


def rows(file: BinaryIO, columns: Sequence[str], max_rows: int) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (row number as seen in the sheet, {column: stripped text}) of every row that is not blank.

    The first row with content is the header; it names `columns` in any order and may name others, which are ignored.
    Raises TableError, while iterating, and nothing else for whatever the (seekable) file holds.
    """
    header: dict[str, int] = {}
    count = 0
    for number, cells in _records(file):
        if not header:
            header = _header(cells, columns)
            continue
        texts = {column: _text(cells[at], column, number) if at < len(cells) else "" for column, at in header.items()}
        if not any(texts.values()):
            continue
        count += 1
        if count > max_rows:
            raise TableError("table_too_large", f"表格超过{max_rows}行，请拆分后分次导入")
        yield number, texts
    if not header:
        raise TableError("table_header", "表格是空的，第一行应为表头")


def count_rows(file: BinaryIO, columns: Sequence[str], max_rows: int) -> int | None:
    """Count the rows that `rows` will yield; None for a workbook, too slow to be read twice. Raises TableError."""
    file.seek(0)
    return None if file.read(4) in _ZIP_MAGIC else sum(1 for _ in rows(file, columns, max_rows))


# A cell as a person sees it; a number is one that has lost digits on its way into the sheet.
Cell = str | float


def _records(file: BinaryIO) -> Iterator[tuple[int, Sequence[Cell]]]:
    """Numbered rows, those without content left out."""
    if file.seek(0, io.SEEK_END) > MAX_FILE_BYTES:
        raise TableError("table_too_large", f"文件超过{MAX_FILE_BYTES // 1024 // 1024}MB，请拆分后分次导入")
    file.seek(0)
    head = file.read(4096)
    file.seek(0)
    if head.startswith(_ZIP_MAGIC):
        return _xlsx_records(file)
    if head.startswith(_OLE_MAGIC):
        raise TableError("table_type", "不支持旧版 .xls 或加密的文件，请另存为 .xlsx 或 UTF-8 编码的 CSV")
    if head.startswith(_UTF16_MARKS):
        raise _not_utf8()
    if b"\0" in head:
        raise TableError("table_type", "文件不是 CSV 或 XLSX 表格")
    return _csv_records(file)


def _csv_records(file: BinaryIO) -> Iterator[tuple[int, Sequence[Cell]]]:
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    number = width = 0
    try:
        for number, cells in enumerate(csv.reader(text, strict=True), start=1):
            if not any(cell.strip() for cell in cells):
                continue
            width = width or len(cells)
            if any(cells[width:]):  # an unquoted comma has shifted the row's cells under wrong names
                raise TableError("table_invalid", "单元格多于表头，内容中的逗号应放在英文双引号内", number)
            yield number, cells
    except UnicodeDecodeError:
        raise _not_utf8() from None
    except csv.Error:
        raise TableError("table_invalid", "CSV 格式不正确，请检查引号是否成对", number + 1) from None
    finally:
        if not file.closed:
            text.detach()  # else collecting the wrapper would close the caller's file


def _xlsx_records(file: BinaryIO) -> Iterator[tuple[int, Sequence[Cell]]]:
    try:
        _refuse_zip_bomb(file)
        workbook = load_workbook(file, read_only=True, data_only=True, keep_links=False)
        try:
            if not workbook.worksheets:
                raise TableError("table_type", "XLSX 文件中没有工作表")
            sheet = workbook.worksheets[0]
            sheet.reset_dimensions()  # the declared size is often wrong, and padded to
            # the stubs give every sheet the cells of a writable one
            lines = cast("Iterable[Sequence[ReadOnlyCell | EmptyCell]]", sheet.iter_rows(max_col=MAX_COLUMNS))
            for number, line in enumerate(islice(lines, MAX_SHEET_ROWS), start=1):
                cells = ["" if cell is EMPTY_CELL else _seen(cell) for cell in line]
                if any(cells):
                    yield number, cells
        finally:
            workbook.close()
    except TableError:
        raise
    except Exception:  # a broken workbook surfaces as almost any exception, its text may quote cells
        raise TableError("table_invalid", "XLSX 文件已损坏或格式不正确，请用 Excel 或 WPS 重新保存") from None


def _refuse_zip_bomb(file: BinaryIO) -> None:
    with ZipFile(file) as archive:
        members = archive.infolist()
    packed = file.seek(0, io.SEEK_END)
    unpacked = sum(member.file_size for member in members)
    attached = sum(member.file_size for member in members if not _STREAMED_PART.fullmatch(member.filename))
    if (
        len(members) > MAX_ZIP_MEMBERS
        or unpacked > min(MAX_UNPACKED_BYTES, packed * MAX_UNPACK_RATIO)
        or attached > MAX_ATTACHED_BYTES
    ):
        raise TableError("table_too_large", "XLSX 文件解压后过大，请只保留需要导入的数据")
    file.seek(0)


def _header(cells: Sequence[Cell], columns: Sequence[str]) -> dict[str, int]:
    names = [_text(cell, "表头", 1).lower() for cell in cells]
    if missing := [column for column in columns if column not in names]:
        raise TableError("table_header", f"表头缺少列：{'、'.join(missing)}")
    if repeated := [column for column in columns if names.count(column) > 1]:
        raise TableError("table_header", f"表头有重复的列：{'、'.join(repeated)}")
    return {column: names.index(column) for column in columns}


def _text(cell: Cell, column: str, row: int) -> str:
    if not isinstance(cell, str):
        raise TableError("table_invalid", f"{column} 被存为数字，已丢失位数，请将该列设为文本格式后重新填写", row)
    text = cell.strip()
    if len(text) > MAX_CELL_CHARACTERS:
        raise TableError("table_invalid", f"{column} 的内容超过{MAX_CELL_CHARACTERS}个字符", row)
    if _CONTROL.search(text):
        raise TableError("table_invalid", f"{column} 含有不可见的控制字符", row)
    return text


def _seen(cell: ReadOnlyCell | EmptyCell) -> Cell:
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        if not abs(value) < TRUSTED_NUMBERS:
            return value
        text = str(int(value)) if value == int(value) else str(value)
        return text.zfill(len(cell.number_format)) if _ZERO_PADDED.fullmatch(cell.number_format or "") else text
    if isinstance(value, datetime) and value.time() == time.min:
        return value.date().isoformat()
    return str(value)


def _not_utf8() -> TableError:
    return TableError("table_encoding", "文件不是 UTF-8 编码，请另存为 UTF-8 编码的 CSV 或 .xlsx 后重新上传")
