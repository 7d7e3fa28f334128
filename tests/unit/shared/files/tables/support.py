"""A table of three columns and how tests read it."""

import io
import re
from typing import Any

import pytest
from openpyxl import Workbook

from shared.files.tables import table
from shared.files.tables.cells import Kind
from shared.files.tables.columns import Column
from shared.files.tables.errors import TableError
from shared.files.tables.table import Row

COLUMNS = (
    Column("id_number", "身份证号", ("公民身份号码", "证件号码", "身份证号码"), Kind.CODE),
    Column("name", "姓名"),
    Column("valid_until", "有效期至", ("有效期",), Kind.DAY),
)
HEADER = tuple(column.label for column in COLUMNS)
ID = "11010519491231002X"


def read(content: bytes, max_rows: int = 100) -> list[Row]:
    return list(table.rows(io.BytesIO(content), COLUMNS, max_rows))


def texts(content: bytes) -> list[tuple[int, tuple[str, ...]]]:
    """The rows' texts in the order of COLUMNS, by number."""
    return [(row.number, tuple(row.texts[column.name] for column in COLUMNS)) for row in read(content)]


def faults(content: bytes) -> dict[int, dict[str, str]]:
    """The codes of what is wrong, by row number and column; each says in Chinese what it is."""
    found = {row.number: row.faults for row in read(content) if row.faults}
    assert all(re.search("[一-鿿]", fault.message) for each in found.values() for fault in each.values())
    return {number: {name: fault.code for name, fault in each.items()} for number, each in found.items()}


def refusal(content: bytes, max_rows: int = 100) -> TableError:
    with pytest.raises(TableError) as caught:
        read(content, max_rows)
    assert re.search("[一-鿿]", caught.value.message)
    return caught.value


def xlsx(*lines: tuple[Any, ...], number_format: str = "General") -> bytes:
    """The lines below the header in a workbook of openpyxl, their numbers in this format."""
    workbook = Workbook()
    sheet = workbook.worksheets[0]
    for line in (HEADER, *lines):
        sheet.append(line)
    for cells in sheet.iter_rows(min_row=2):
        for cell in cells:
            if isinstance(cell.value, int | float):
                cell.number_format = number_format
    stream = io.BytesIO()
    workbook.save(stream)
    return stream.getvalue()
