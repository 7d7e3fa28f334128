"""What hostile workbooks cost: each is refused, or read, within little memory."""

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.files.tables import table
from tests.support.workbooks import MAIN, packed, parts, row, sheet
from tests.unit.shared.files.tables.support import HEADER, ID

ALLOWED_MIB = 64
CHANCE = random.Random(9)

# In a process of its own, whose peak is its own: what is imported and read before is not counted.
PROGRAM = """
import re, sys
from pathlib import Path
from shared.files.tables import table
from tests.unit.shared.files.tables.support import COLUMNS

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024

before = peak()
try:
    with open(sys.argv[1], "rb") as file:
        outcome = str(sum(1 for _ in table.rows(file, COLUMNS, 100_000)))
except table.TableError as error:
    outcome = error.code
print(outcome, peak() - before)
"""

Parts = dict[str, str | bytes]


def noise(length: int) -> str:
    """Text that does not pack to nothing, which alone would be a reason to refuse."""
    return CHANCE.randbytes(length // 2).hex()


def strings(count: int) -> str:
    letters = noise(6 * count)
    return "".join(f"<si><t>{letters[6 * at : 6 * at + 6]}</t></si>" for at in range(count))


def cells(count: int) -> str:
    letters = noise(4 * count)
    return "".join(f"<c><v>{letters[4 * at : 4 * at + 4]}</v></c>" for at in range(count))


GOOD = row(*HEADER) + row(ID, "张三", "2027-05-31")


def one_sheet(rows: str, before: str = "") -> Parts:
    return parts(sheet(GOOD + rows).replace("<sheetData>", f"{before}<sheetData>"))


def many_names() -> Parts:
    names = noise(4_800_000)
    return one_sheet("".join(f"<a{names[at : at + 8]}/>" for at in range(0, len(names), 8)))


def many_formats() -> Parts:
    codes = "".join(f"<numFmt numFmtId='{at}' formatCode='{noise(8)}'/>" for at in range(90_000))
    return parts(sheet(GOOD), style=f'<styleSheet xmlns="{MAIN}"><numFmts>{codes}</numFmts></styleSheet>')


HOSTILE: dict[str, tuple[Callable[[], Parts], str]] = {
    "a row of a million cells": (lambda: one_sheet(f"<row>{cells(1_000_000)}</row>"), "table_too_large"),
    "two million strings": (lambda: parts(sheet(GOOD), strings=strings(2_000_000)), "table_too_large"),
    "a string of 30 million characters": (
        lambda: parts(sheet(GOOD), strings=f"<si><t>{noise(30_000_000)}</t></si>"),
        "1",
    ),
    "a cell of 30 million characters": (lambda: one_sheet(row(ID, noise(30_000_000), "")), "2"),
    "an attribute of 20 million characters": (
        lambda: one_sheet(f'<row spans="{noise(20_000_000)}"/>'),
        "table_invalid",
    ),
    "a comment of 20 million characters": (lambda: one_sheet("", f"<!--{noise(20_000_000)}-->"), "table_invalid"),
    "600,000 names of elements": (many_names, "table_invalid"),
    "half a million elements in each other": (
        lambda: one_sheet("".join(f"<r><!--{noise(8)}-->" for _ in range(500_000))),
        "table_invalid",
    ),
    "formats without end": (many_formats, "1"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_workbooks_cost_little_memory(tmp_path: Path, what: str) -> None:
    make, outcome = HOSTILE[what]
    path = tmp_path / "table.xlsx"
    path.write_bytes(packed(make()))
    root = Path(table.__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)], cwd=root, capture_output=True, text=True, check=True
    )
    found, mebibytes = done.stdout.split()
    assert found == outcome
    assert int(mebibytes) < ALLOWED_MIB
    assert done.stderr == ""
