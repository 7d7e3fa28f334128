"""How the styles of a workbook show numbers: as a date, padded with zeros, or plainly."""

import re
from datetime import date, timedelta
from typing import BinaryIO

from shared.files.tables.markup import Attributes, Flat, attribute, read

# The width to which a format of zeros pads, 0 for any other format; DAY for a date or time.
Format = int
PLAIN, DAY = 0, -1

MAX_FORMATS = 100_000
# ECMA-376, 18.8.30, with the ids that Chinese programs use for their own dates without writing them down.
_BUILT_IN_DAYS = frozenset((*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)))
_ZEROS = re.compile(r"0+")
_NOT_SHOWN_BY_VALUE = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.|_.|\*.')
_DAY_PARTS = re.compile(r"[ymd]", re.IGNORECASE)
_LAST_DAY = 2_958_465  # 9999-12-31
# Excel shows what is nearer than this to the next midnight as the next day.
_DRIFT = 1e-9


def formats(stream: BinaryIO) -> list[Format]:
    """Return the format of each cell style, in their order. Raises MarkupError."""
    codes: dict[int, str] = {}
    styles: list[int] = []
    in_cells = False

    def note(element: str, attributes: Attributes) -> None:
        nonlocal in_cells
        if element == "numFmt":
            codes[int(attribute(attributes, "numFmtId"))] = attribute(attributes, "formatCode")
        elif element in ("cellXfs", "cellStyleXfs", "cellStyles", "dxfs"):
            in_cells = element == "cellXfs"
        elif element == "xf" and in_cells and len(styles) < MAX_FORMATS:
            styles.append(int(attribute(attributes, "numFmtId") or 0))

    read(stream, Flat(note))
    return [of_code(codes[style]) if style in codes else DAY if style in _BUILT_IN_DAYS else PLAIN for style in styles]


def of_code(code: str) -> Format:
    """Tell what a format code, such as `yyyy"年"m"月"d"日"`, shows."""
    if _ZEROS.fullmatch(code):
        return len(code)
    shown = _NOT_SHOWN_BY_VALUE.sub("", code.partition(";")[0])
    return DAY if _DAY_PARTS.search(shown) else PLAIN


def day(serial: float, *, is_1904: bool) -> date | None:
    """Return the day that a cell with this number shows as a date, None if it shows none."""
    if is_1904:
        serial += 1462
    if not 1 <= serial < _LAST_DAY + 1:
        return None
    days = int(serial + _DRIFT)
    # Excel believes that 1900 was a leap year.
    return date(1899, 12, 30 if days > 59 else 31) + timedelta(days=min(days, _LAST_DAY))
