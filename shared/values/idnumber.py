"""Citizen identity numbers (GB 11643-1999): 6 digits area, 8 digits birth date, 3 digits sequence, 1 check character.

The area is not looked up in a table: divisions come and go, residence permits use 81/82/83 and foreign permanent
residents 9xxxxx. No message of this module contains a number.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from itertools import pairwise
from operator import mul
from typing import Literal

from stdnum.iso7064 import mod_11_2

from shared.values.text import INVISIBLE, ZEROS, identifier

Sex = Literal["male", "female"]
Reason = Literal["length", "characters", "birth_date", "check_digit"]

_SHAPE = re.compile(r"[0-9]{17}[0-9X]")
_FIRST_GENERATION = re.compile(r"[0-9]{15}")
# Area, birth date, sequence; the first generation has neither the century nor the check character.
_MONTH_AND_DAY = "(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])"
_ALIKE = re.compile(
    f"[1-9][0-9]{{5}}((18|19|20)[0-9]{{2}}{_MONTH_AND_DAY}[0-9]{{3}}[0-9X]|[0-9]{{2}}{_MONTH_AND_DAY}[0-9]{{3}})"
)
# As they hide in other text: the second generation with its check character, the first with a province before it.
_SECOND_IN_TEXT = re.compile("(?=([1-9][0-9]{5}(?:18|19|20)[0-9]{9}[0-9X]))")
_PROVINCES = "(?:1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3])"
_FIRST_IN_TEXT = re.compile(f"{_PROVINCES}[0-9]{{4}}[0-9]{{2}}{_MONTH_AND_DAY}[0-9]{{3}}")
_MOBILE = re.compile("1[3-9][0-9]{9}")
_INVISIBLE = re.compile(f"[{INVISIBLE}]")
# Letters and signs that stand for a digit; Unicode knows the value of 一, 壹, 幺, 〡 and their like.
_DIGITS = dict.fromkeys(f"{ZEROS}oOоОοΟ", "0") | dict.fromkeys("lI", "1") | {"两": "2"}
_X = frozenset("xX×✕✖χΧхХ")

# ISO 7064 MOD 11-2: what each digit but the last weighs, all of them as characters "0", and what the sum asks for.
_WEIGHTS = tuple(2 ** (17 - place) % 11 for place in range(17))
_OF_ZEROS = ord("0") * sum(_WEIGHTS)
_CHECK_CHARACTERS = "10X98765432"

_MESSAGES: dict[Reason, str] = {
    "length": "身份证号应为18位",
    "characters": "身份证号前17位应为数字，末位应为数字或X",
    "birth_date": "身份证号中的出生日期不正确",
    "check_digit": "身份证号校验码不正确，请核对是否有误",
}
_FIRST_GENERATION_MESSAGE = "15位的第一代身份证号已于2013年1月1日停止使用，请填写18位身份证号"


class InvalidIdNumber(ValueError):
    """`reason` says which check failed; `message` is a Chinese sentence without the number."""

    def __init__(self, reason: Reason, message: str | None = None) -> None:
        self.reason = reason
        self.message = message or _MESSAGES[reason]
        super().__init__(self.message)


@dataclass(frozen=True, slots=True)
class IdNumber:
    value: str
    sex: Sex
    birth_date: date

    def __repr__(self) -> str:
        return f"IdNumber({mask(self.value)})"


def normalise(text: str) -> str:
    """Bring a number into the form in which it is stored and compared; not checked."""
    return identifier(text)


def looks_like_id_number(text: str) -> bool:
    """Tell whether somebody may have meant an id number of either generation, also if mistyped."""
    return bool(_ALIKE.fullmatch(normalise(text)))


def is_first_generation(text: str) -> bool:
    """Tell whether this is a number of fifteen digits with a day of birth in the 20th century."""
    return bool(_FIRST_GENERATION.fullmatch(text)) and _is_born(f"19{text[6:12]}")


@dataclass
class _Run:
    """Digits with little else between: the text's positions of each, where groups of one script begin without anything
    between their digits, and before which of them a letter stands."""

    digits: str = ""
    positions: list[int] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    lettered: set[int] = field(default_factory=set)

    def add(self, digit: str, position: int, *, apart: bool, lettered: bool) -> None:
        if apart:
            self.groups.append(len(self.digits))
        if lettered:
            self.lettered.add(len(self.digits))
        self.digits += digit
        self.positions.append(position)

    def numbers(self) -> Iterator[list[int]]:
        """Find the positions of each id number in the run."""
        for found in _SECOND_IN_TEXT.finditer(self.digits):
            if _is_born(found[1][6:14]) and _has_right_check_character(found[1]):
                yield self.positions[found.start() : found.start() + 18]
        # Without a check character a number counts only where it stands for itself, in one group or several: else every
        # 27th number of that length or longer would be one, and every other telephone number with an extension.
        bounds = [*self.groups, len(self.digits)]
        for start in self.groups:
            end = start + 15
            if end in bounds and _FIRST_IN_TEXT.fullmatch(self.digits, start, end):
                within = [bound for bound in bounds if start <= bound <= end]
                mobile = any(_MOBILE.fullmatch(self.digits, a, b) for a, b in pairwise(within))
                one_word = self.lettered.isdisjoint(range(start + 1, end))
                if one_word and not mobile and _is_born(f"19{self.digits[start + 6 : start + 12]}"):
                    yield self.positions[start:end]


def appears_in(text: str) -> bool:
    """Tell whether an id number of either generation stands in a text, whatever separates or surrounds its digits."""
    return any(True for _ in _numbers_in(text))


def masked(text: str) -> str:
    """Hide the id numbers in a text as `mask` does; the rest of it stays."""
    while found := next(_numbers_in(text), None):
        characters = list(text)
        for position in found[4:-4]:
            characters[position] = "*"
        text = "".join(characters)
    return text


def _numbers_in(text: str) -> Iterator[list[int]]:
    if (
        len(text) >= 15
        and sum(_digit(character) is not None for character in unicodedata.normalize("NFKC", text)) >= 15
    ):
        for run in _runs(text):
            yield from run.numbers()


def _runs(text: str) -> Iterator[_Run]:
    run, script, letters = _Run(), "", 0
    for position, typed in enumerate(text):
        if _INVISIBLE.match(typed):
            continue
        for character in unicodedata.normalize("NFKC", typed):
            digit = _digit(character)
            if digit is not None:
                # 张三 and JX before a number are no part of it: where the script changes, a group begins.
                written = _script(character)
                run.add(digit, position, apart=written != script, lettered=letters > 0)
                script, letters = written, 0
            else:
                script = ""
                if unicodedata.category(character)[0] in "LN":
                    letters += 1
                    # 年, 月 and 日 may stand within a number.
                    if letters > 1:
                        yield run
                        run, letters = _Run(), 0
    yield run


@lru_cache(4096)
def _digit(character: str) -> str | None:
    if (digit := unicodedata.digit(character, None)) is not None:
        return str(digit)
    if character in _X or character in _DIGITS:
        return _DIGITS.get(character, "X")
    value = unicodedata.numeric(character, -1.0)
    return str(int(value)) if value in range(10) else None


def _script(character: str) -> str:
    return "decimal" if unicodedata.digit(character, None) is not None else "X" if character in _X else "word"


def _has_right_check_character(number: str) -> bool:
    """Tell it of eighteen characters in their form, as `mod_11_2.is_valid` does, at a fifth of its cost."""
    return _CHECK_CHARACTERS[(sum(map(mul, number.encode(), _WEIGHTS)) - _OF_ZEROS) % 11] == number[17]


def _is_born(day: str) -> bool:
    try:
        date(int(day[:4]), int(day[4:6]), int(day[6:8]))
    except ValueError:
        return False
    return True


def parse(text: str, today: date) -> IdNumber:
    """Normalise and check a number as of `today`; raises InvalidIdNumber."""
    value = normalise(text)
    if _FIRST_GENERATION.fullmatch(value):
        raise InvalidIdNumber("length", _FIRST_GENERATION_MESSAGE)
    if len(value) != 18:
        raise InvalidIdNumber("length")
    if not _SHAPE.fullmatch(value):
        raise InvalidIdNumber("characters")
    try:
        birth_date = date(int(value[6:10]), int(value[10:12]), int(value[12:14]))
    except ValueError:
        raise InvalidIdNumber("birth_date") from None
    if birth_date > today:
        raise InvalidIdNumber("birth_date")
    if not _has_right_check_character(value):
        raise InvalidIdNumber("check_digit")
    return IdNumber(value, "male" if int(value[16]) % 2 else "female", birth_date)


def make(area: str, birth: date, sequence: int) -> str:
    """Make a synthetic valid number; `area` is six digits, `sequence` 0..999 (odd = male)."""
    if not re.fullmatch(r"[0-9]{6}", area) or not 0 <= sequence <= 999:
        raise ValueError("area must be six digits and sequence within 0..999")
    body = f"{area}{birth:%Y%m%d}{sequence:03d}"
    return body + mod_11_2.calc_check_digit(body)


def mask(value: str) -> str:
    """Show the first and last four characters, an asterisk for each between; a short value is wholly hidden."""
    if len(value) <= 8:
        return "*" * len(value)
    return value[:4] + "*" * (len(value) - 8) + value[-4:]


def mask_name(name: str) -> str:
    """Show the first character, an asterisk for each other (张三丰 -> 张**); a single one is wholly hidden."""
    return name[:1] + "*" * (len(name) - 1) if len(name) > 1 else "*" * len(name)
