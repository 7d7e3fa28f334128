"""A cell as its file holds it, and the text that a person sees in it."""

import math
import re
from collections.abc import Sequence
from datetime import date
from enum import Enum, auto
from typing import NamedTuple

from shared.files.tables.errors import (
    BROKEN,
    CONTROL,
    DAMAGED,
    MAX_CELL_CHARACTERS,
    NUMBER,
    PLAIN_DAY,
    TOO_LONG,
    Fault,
)


class Kind(Enum):
    """What a column holds: a code is text of which every digit counts, such as an identity number."""

    TEXT = auto()
    CODE = auto()
    DAY = auto()


class Number(NamedTuple):
    """A number; `zeros` is the width to which the cell shows it padded with zeros, `day` the date it may stand for."""

    value: float
    zeros: int = 0
    day: date | None = None


Cell = str | date | Number | Fault

TRUSTED_NUMBERS = 10**15  # a sheet keeps 15 digits: an identity number typed as a number has lost its last three

# \ufffd stands where a file's bytes could not be decoded.
_ODD = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd]")
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
# ="00707" keeps digits from a program that opens a CSV file, as does an apostrophe in front.
# Quotes around a text are left where a blank other than the space stood before them.
_KEPT_AS_TEXT = re.compile(r"""=?"(.*)"$|['‘’＇`](?=.)""", re.DOTALL)
_MARKS = frozenset("=\"'‘’＇`")
_LOOK_TWICE = (*sorted(_MARKS), "_x", "\ufffd")
_COMPACT_DAY = re.compile(r"(19|20|21|99)\d{6}")


def seen(cell: Cell, kind: Kind) -> str | Fault:
    """Return the stripped text that a person sees in a cell of a column of this kind, or what is wrong with it."""
    if isinstance(cell, str):
        return _text(cell)
    if isinstance(cell, Fault):
        return cell
    if isinstance(cell, Number):
        return _number(cell, kind)
    return NUMBER if kind is Kind.CODE else cell.isoformat()


def plain_texts(cells: Sequence[Cell]) -> list[str] | None:
    """Return `seen` of all cells of a row at once, if they are text with nothing about it to look at twice."""
    try:
        texts = [cell.strip() for cell in cells]  # type: ignore[union-attr]
    except AttributeError:
        return None
    text = "".join(texts)
    is_plain = text.isprintable() and len(text) <= MAX_CELL_CHARACTERS and not any(odd in text for odd in _LOOK_TWICE)
    return texts if is_plain else None


def _text(cell: str) -> str | Fault:
    text = cell.strip()
    if text[:1] in _MARKS and (match := _KEPT_AS_TEXT.match(text)):
        text = (match[1].replace('""', '"') if match[1] is not None else text[1:]).strip()
    if "_x" in text:
        text = _ESCAPE.sub(_unescaped, text).strip()
    if odd := _ODD.search(text):
        return DAMAGED if odd[0] == "\ufffd" else CONTROL
    return text if len(text) <= MAX_CELL_CHARACTERS else TOO_LONG


def _unescaped(match: re.Match[str]) -> str:
    """`_x000D_` as workbooks write what XML cannot; half of a pair stays damaged."""
    character = chr(int(match[1], 16))
    return "\ufffd" if "\ud800" <= character <= "\udfff" else character


def _number(number: Number, kind: Kind) -> str | Fault:
    value = number.value
    if kind is Kind.DAY and number.day:
        return number.day.isoformat()
    if not abs(value) < TRUSTED_NUMBERS:
        return BROKEN if math.isnan(value) else NUMBER
    if value != int(value):
        return str(value) if kind is Kind.TEXT else NUMBER
    digits = str(int(value))
    if number.zeros >= len(digits) and value >= 0:
        return digits.zfill(number.zeros)
    if kind is Kind.DAY:
        return digits if _COMPACT_DAY.fullmatch(digits) else PLAIN_DAY
    return NUMBER if kind is Kind.CODE else digits
