"""Taxpayer ids (纳税人识别号), the accounts of enterprises.

18 characters: unified social credit code (GB 32100-2015). 15: the old number, area and organisation code. 17 and 20:
early and present self-employed persons, an identity number and two more characters. No message contains an id.
"""

import re
from datetime import date
from typing import Literal

from stdnum.cn import uscc

from shared.values import idnumber
from shared.values.text import identifier

Reason = Literal["length", "characters", "check_digit"]

CREDIT_CODE_LENGTH = 18
_LENGTHS = (15, 17, CREDIT_CODE_LENGTH, 20)
_CHARACTERS = re.compile(r"[A-Z0-9]+")
_CREDIT_CODE = re.compile(r"[0-9A-HJ-NP-RTUWXY]{18}")

_MESSAGES: dict[Reason, str] = {
    "length": "纳税人识别号应为15、17、18或20位",
    "characters": "纳税人识别号只能由数字和大写英文字母组成",
    "check_digit": "纳税人识别号校验码不正确，请核对是否有误",
}
_CREDIT_CODE_MESSAGE = "统一社会信用代码不使用字母I、O、S、V、Z，请核对是否有误"
_SELF_EMPLOYED_MESSAGE = "20位纳税人识别号应以18位身份证号开头，请核对是否有误"
_EARLY_SELF_EMPLOYED_MESSAGE = (
    "17位纳税人识别号应以15位身份证号开头，请核对是否有误；统一社会信用代码为18位，请核对是否少了一位"
)


class InvalidTaxpayerId(ValueError):
    """`reason` says which check failed; `message` is a Chinese sentence without the id."""

    def __init__(self, reason: Reason, message: str | None = None) -> None:
        self.reason = reason
        self.message = message or _MESSAGES[reason]
        super().__init__(self.message)


def normalise(text: str) -> str:
    """Bring an id into the form in which it is stored and compared; not checked."""
    return identifier(text)


def shaped(text: str) -> str:
    """Normalise an id and check what every account's has: length and characters. Raises InvalidTaxpayerId."""
    value = normalise(text)
    if len(value) not in _LENGTHS:
        raise InvalidTaxpayerId("length")
    if not _CHARACTERS.fullmatch(value):
        raise InvalidTaxpayerId("characters")
    if len(value) == CREDIT_CODE_LENGTH and not _CREDIT_CODE.fullmatch(value):
        raise InvalidTaxpayerId("characters", _CREDIT_CODE_MESSAGE)
    return value


def validate(text: str, *, check_digit: bool = True) -> str:
    """Normalise and check an id. Raises InvalidTaxpayerId.

    Some ids were given out with a check character that is not theirs; `check_digit` False lets that pass, and nothing
    else.
    """
    value = shaped(text)
    if len(value) == CREDIT_CODE_LENGTH:
        # Not uscc.validate: it wants eight leading digits, but authorities and entity types may be letters (A1, N2).
        if check_digit and uscc.calc_check_digit(value[:17]) != value[17]:
            raise InvalidTaxpayerId("check_digit")
    elif len(value) == 20:
        _check_self_employed(value, check_digit)
    elif len(value) == 17 and not idnumber.is_first_generation(value[:15]):
        # What has lost one of its characters is no account of its own.
        raise InvalidTaxpayerId("characters", _EARLY_SELF_EMPLOYED_MESSAGE)
    return value


def identity(value: str) -> str:
    """Find the key on which an enterprise's old and new ids match: characters 3-17 of a credit code are the old id."""
    return value[2:17] if len(value) == CREDIT_CODE_LENGTH else value


def make(area: str, organisation: str) -> str:
    """Make a synthetic valid credit code of an enterprise; six digits of area, nine characters of organisation code."""
    body = f"91{area}{organisation}"
    if not re.fullmatch(r"[0-9]{8}[0-9A-HJ-NP-RTUWXY]{9}", body):
        raise ValueError("area must be six digits and organisation nine characters of the credit code's alphabet")
    return body + uscc.calc_check_digit(body)


def _check_self_employed(value: str, check_digit: bool) -> None:
    try:
        idnumber.parse(value[:18], today=date.max)  # whether a birth date is still to come is not this rule's concern
    except idnumber.InvalidIdNumber as error:
        if error.reason != "check_digit":
            raise InvalidTaxpayerId("characters", _SELF_EMPLOYED_MESSAGE) from None
        if check_digit:
            raise InvalidTaxpayerId("check_digit", _SELF_EMPLOYED_MESSAGE) from None
