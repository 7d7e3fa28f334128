"""Citizen identity numbers (GB 11643-1999): 6 digits area, 8 digits birth date, 3 digits sequence, 1 check character.

The area is not looked up in a table: divisions come and go, residence permits use 81/82/83 and foreign permanent
residents 9xxxxx. No message of this module contains a number.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Literal

from stdnum.iso7064 import mod_11_2

from shared.values.text import identifier

Sex = Literal["male", "female"]
Reason = Literal["length", "characters", "birth_date", "check_digit"]

_SHAPE = re.compile(r"[0-9]{17}[0-9X]")
_FIRST_GENERATION = re.compile(r"[0-9]{15}")
# Area, birth date, sequence; the first generation has neither the century nor the check character.
_MONTH_AND_DAY = "(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])"
_ALIKE = re.compile(
    f"[1-9][0-9]{{5}}((18|19|20)[0-9]{{2}}{_MONTH_AND_DAY}[0-9]{{3}}[0-9X]|[0-9]{{2}}{_MONTH_AND_DAY}[0-9]{{3}})"
)

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
    if not mod_11_2.is_valid(value):
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
