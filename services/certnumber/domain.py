"""Pure rules of certificate numbers: how a layout is written, checked and filled in (docs/rules.md, section 6).

No public rule explains the known numbers, so a layout is data: literal text with `{post}` (the two-digit post code),
`{year}` (four digits) or `{year:02}`, exactly one `{serial:07}` (a fixed width of 1 to 12 digits) and, as its end,
optionally `{check}` (ISO 7064 MOD 11,10 over all digits before it).
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Literal
from uuid import UUID

from stdnum.iso7064 import mod_11_10

from shared.values.clock import business_day
from shared.values.text import search

MAX_NUMBER = 50
MAX_SERIAL_WIDTH = 12
NOT_YEARLY = 0

_SERIAL = re.compile(r"\{serial:0(\d{1,2})\}")
_WIDTHS = {"{post}": 2, "{year}": 4, "{year:02}": 2, "{check}": 1}


class ApprovalStatus(StrEnum):
    waiting = "waiting"
    numbered = "numbered"
    withdrawn = "withdrawn"
    failed = "failed"


class NumberState(StrEnum):
    valid = "valid"
    void = "void"


class Failure(StrEnum):
    """Why an approval could not be numbered; the wire's stable codes."""

    no_series = "no_series"
    series_exhausted = "series_exhausted"
    number_taken = "number_taken"

    @property
    def detail(self) -> str:
        return _FAILURES[self]


_FAILURES = {
    Failure.no_series: "该岗位没有启用的编号规则，请管理员在编号规则中添加",
    Failure.series_exhausted: "编号规则的流水号已用完，请管理员修改编号规则",
    Failure.number_taken: "按编号规则生成的证书编号已被占用，请管理员检查编号规则",
}


@dataclass(frozen=True, slots=True)
class Slot:
    """One character of a number's key: of a literal, or the digit `index` of a value.

    `digits` are those of the literal that count for the check digit, all with its first character.
    """

    kind: Literal["literal", "post", "year", "serial", "check"]
    index: int = 0
    character: str = ""
    digits: str = ""


class LayoutError(ValueError):
    """The layout cannot be used; the message says why, in Chinese."""


@dataclass(frozen=True)
class Layout:
    """A checked layout. Make one with `parse`."""

    text: str

    @classmethod
    def parse(cls, text: str, *, yearly: bool) -> "Layout":
        """Raises LayoutError."""
        layout = cls(text)
        layout._check(yearly)
        return layout

    @cached_property
    def _parts(self) -> list[str]:
        """Tokens with their braces, and the literals between them."""
        return [part for part in re.split(r"(\{[^{}]*\})", self.text) if part]

    @cached_property
    def serial_width(self) -> int:
        return next(int(found[1]) for part in self._parts if (found := _SERIAL.fullmatch(part)))

    @property
    def capacity(self) -> int:
        """Give the highest serial that fits."""
        return int(10**self.serial_width - 1)

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """Give what stands at each place of `lookup_key(render(…))`, which all have the same length."""
        return self._slots(lambda text: unicodedata.normalize("NFKC", text))

    @cached_property
    def sought_slots(self) -> tuple[Slot, ...]:
        """As `slots`, of `sought_key(render(…))`."""
        return self._slots(sought_key)

    def _slots(self, fold: Callable[[str], str]) -> tuple[Slot, ...]:
        slots: list[Slot] = []
        for number, part in enumerate(self._parts):
            if _SERIAL.fullmatch(part):
                slots += (Slot("serial", index) for index in range(self.serial_width))
            elif part == "{post}":
                slots += (Slot("post", index) for index in range(2))
            elif part in {"{year}", "{year:02}"}:
                slots += (Slot("year", index) for index in range(4 - _WIDTHS[part], 4))
            elif part == "{check}":
                slots.append(Slot("check"))
            else:
                key = fold(part)
                key = key.lstrip() if number == 0 else key
                key = key.rstrip() if number == len(self._parts) - 1 else key
                digits = re.sub("[^0-9]", "", part)
                slots += (Slot("literal", character=each, digits="" if at else digits) for at, each in enumerate(key))
        return tuple(slots)

    def render(self, post: str, year: int, serial: int) -> str:
        """Raises ValueError for a serial that does not fit: a number must never silently grow."""
        if not 1 <= serial <= self.capacity:
            raise ValueError(f"serial {serial} is not within 1..{self.capacity}")
        filled = {
            "{post}": post,
            "{year}": f"{year:04d}",
            "{year:02}": f"{year % 100:02d}",
            "{check}": "",
        }
        serial_text = f"{serial:0{self.serial_width}d}"
        number = "".join(serial_text if _SERIAL.fullmatch(part) else filled.get(part, part) for part in self._parts)
        if self._parts[-1] == "{check}":
            number += str(mod_11_10.calc_check_digit(re.sub("[^0-9]", "", number)))
        return number

    def _check(self, yearly: bool) -> None:
        tokens = [part for part in self._parts if part.startswith("{") and part.endswith("}")]
        serials = [found for token in tokens if (found := _SERIAL.fullmatch(token))]
        for token in tokens:
            if token not in _WIDTHS and not _SERIAL.fullmatch(token):
                raise LayoutError(
                    f"不认识的占位符 {token}，可用 {{post}}、{{year}}、{{year:02}}、{{serial:07}}、{{check}}"
                )
        literals = "".join(part for part in self._parts if part not in tokens)
        if "{" in literals or "}" in literals:
            raise LayoutError("花括号没有成对出现")
        if not literals.isprintable() or "/" in literals:
            raise LayoutError("不能含有不可打印的字符或斜杠")
        if len(serials) != 1:
            raise LayoutError("必须恰好有一个流水号占位符，例如 {serial:07}")
        if not 1 <= int(serials[0][1]) <= MAX_SERIAL_WIDTH:
            raise LayoutError(f"流水号的位数应为 1 至 {MAX_SERIAL_WIDTH}")
        if "{check}" in self._parts[:-1]:
            raise LayoutError("校验码 {check} 只能放在末尾，且只能有一个")
        if yearly and not {"{year}", "{year:02}"} & set(tokens):
            raise LayoutError("按年重新编号的规则必须含有 {year} 或 {year:02}，否则各年的编号会重复")
        if len(literals) + sum(_WIDTHS.get(token, 0) for token in tokens) + self.serial_width > MAX_NUMBER:
            raise LayoutError(f"生成的编号不能超过 {MAX_NUMBER} 个字符")


def lookup_key(number: str) -> str:
    """Give the form under which a number is found: full-width and half-width forms of a character are equal (NFKC)."""
    return unicodedata.normalize("NFKC", number).strip()


def sought_key(number: str) -> str:
    """Give the form by which anyone finds a number: case, kinds of dash, dot and bracket and spaces do not count."""
    return search(number).lower()


def approval_year(approved_at: datetime) -> int:
    """Give the year of the approval's day in Asia/Shanghai."""
    return business_day(approved_at).year


def period_of(approved_at: datetime, *, yearly: bool) -> int:
    """Name the counter an approval belongs to, decided by its own day in Asia/Shanghai, whenever it is numbered."""
    return approval_year(approved_at) if yearly else NOT_YEARLY


@dataclass(frozen=True)
class SeriesRule:
    """A series as far as numbering needs it. `posts` None: the default for posts that no other series names."""

    id: UUID
    layout: Layout
    posts: frozenset[str] | None
    yearly: bool


def rule_for(post: str, rules: Iterable[SeriesRule]) -> SeriesRule | None:
    """Choose the series that numbers this post: the one that names it, else the default."""
    named = {rule.posts is None: rule for rule in rules if rule.posts is None or post in rule.posts}
    return named.get(False) or named.get(True)


@dataclass(frozen=True)
class Number:
    """A certificate's number, and its serial in the series."""

    serial: int
    text: str


def allocate(
    layout: Layout, wanted: Iterable[tuple[str, int]], serials: range, taken: Collection[str]
) -> list[Number | Failure]:
    """Give a number, or say why there is none, for each (post, year) wanted, in order and without skipping a serial.

    `taken` holds lookup keys of numbers the ledger already has. The serial of a taken number stays free for another
    post; if all posts need it the series stops there, because going round it would leave a gap.
    """
    allocated: list[Number | Failure] = []
    serial = serials.start
    for post, year in wanted:
        if serial >= serials.stop:
            allocated.append(Failure.series_exhausted)
            continue
        number = layout.render(post, year, serial)
        if lookup_key(number) in taken:
            allocated.append(Failure.number_taken)
        else:
            allocated.append(Number(serial, number))
            serial += 1
    return allocated


def conflicting_posts(posts: Collection[str] | None, others: Collection[str] | None) -> list[str] | None:
    """List the posts that two active series both name.

    Empty if both are the default series, None if the two can stand together.
    """
    if posts is None or others is None:
        return [] if posts is others else None
    return sorted(set(posts) & set(others)) or None


def void_reason(reason_code: str | None, comment: str | None) -> str | None:
    """Say in one text why an approval was withdrawn."""
    return "：".join(filter(None, (reason_code, comment))) or None


def is_gapless(gaps: int, duplicates: int, highest: int, counter: int) -> bool:
    """Tell whether a series is 1..N, N being the last serial its counter gave."""
    return gaps == 0 and duplicates == 0 and highest == counter
