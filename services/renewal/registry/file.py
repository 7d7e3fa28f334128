"""Rows of a registry import: who is in the platform's data and which certificates they hold.

One row per held certificate; a person who holds none has the last three columns empty. No message quotes an id number.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Literal

from services.renewal.domain import Post
from services.renewal.registry.expiry import InvalidExpiry, parse_expiry
from shared.files.tables.cells import Kind
from shared.files.tables.columns import Column
from shared.files.tables.errors import BLANK_FORMULA, TOO_SHORT, Fault, FaultCode
from shared.files.tables.table import WHOLE_ROW
from shared.values import idnumber
from shared.values.text import HAN, certificate_number, has_two_names, line, person_name, private_use, search

# What offices call the columns. In a table with several of these names the first counts. 编号 alone is none of them: it
# mostly heads running numbers.
_ALIASES = {
    "id_number": "身份证号码 身分证号 身分证号码 身分证 公民身份号码 公民身份证号码 居民身份证号码"
    " 身份证件号码 身份证 证件号码 证件号",
    "name": "人员姓名 学员姓名 持证人姓名 持证人 名字",
    "post": "岗位名称 岗位类别 岗位工种 工种岗位 工种 工种名称 工种类别 培训工种 证书岗位 岗位代码",
    "certificate_number": "证书号码 证书号 证书编码 岗位证书编号 资格证书编号 原证书编号 证号",
    "valid_until": "有效期截止日期 有效期截止 有效期截至 有效期止 有效期到 有效期结束日期 证书有效期至 证书有效期"
    " 有效期限 有效日期 有效期 到期日期 到期时间 到期日 截止日期 失效日期 失效时间 有效截止日期"
    " 证书有效期止 证书有效期截止日期 证书到期日期 证书到期日 证书失效日期",
}
COLUMNS = tuple(
    Column(name, label, tuple(_ALIASES[name].split()), kind)
    for name, label, kind in (
        ("id_number", "身份证号", Kind.CODE),
        ("name", "姓名", Kind.TEXT),
        ("post", "岗位", Kind.TEXT),
        ("certificate_number", "证书编号", Kind.CODE),
        ("valid_until", "有效期至", Kind.DAY),
    )
)
FIELDS = tuple(column.name for column in COLUMNS)
CERTIFICATE_FIELDS = FIELDS[2:]

MAX_NAME_CHARACTERS = 50
MAX_CERTIFICATE_NUMBER_CHARACTERS = 50

RowErrorCode = (
    Literal[
        "invalid_id_number",
        "name_missing",
        "name_invalid",
        "unknown_post",
        "certificate_number_missing",
        "certificate_number_invalid",
        "valid_until_invalid",
        "incomplete_certificate",
        "certificate_taken",
        "certificate_duplicate",
        "certificate_removed",
        "certificate_corrected",
        "name_corrected",
        "certificate_number_similar",
        "certificate_number_short",
        "certificate_repeated",
        "being_numbered",
    ]
    | FaultCode
)

_NAME_MARKS = " ·.,'-"
_DIGITS = frozenset("0123456789")
_NUMBER_MARKS = _DIGITS | frozenset("()-/.[]〔〕【】〖〗·_")
# Of what most are made, told without a look at each character.
_USUAL_NAME = re.compile("[\u4e00-\u9fa5]{1,50}")
_USUAL_NUMBER = re.compile("[0-9A-Za-z\u4e00-\u9fa5()/.-]+")
_SCIENTIFIC = re.compile(r"\d(\.\d+)?E\+\d+", re.ASCII | re.IGNORECASE)
_COMMA_BETWEEN_HAN = re.compile(f"[{HAN}], [{HAN}]")
# What spreadsheets make of 5-1, and what stands in this column when cells have moved.
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_YEAR = r"(?:(?:19|20)?\d\d)"
_DATE = re.compile(
    rf"(?:19|20)\d\d(?:[-/.]\d{{1,2}}[-/.]\d{{1,2}}|年\d{{1,2}}月(?:\d{{1,2}}日)?)|\d{{1,2}}月\d{{1,2}}日"
    rf"|\d{{1,2}}-(?:{_MONTHS})(?:-{_YEAR})?|(?:{_MONTHS})-{_YEAR}",
    re.ASCII | re.IGNORECASE,
)
_EXPIRY_ABSENT = Fault(TOO_SHORT.code, "该行的单元格少于表头，缺少有效期至；长期有效的请填写“长期”")
_NO_FAULTS: Mapping[str, Fault] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class RowError:
    column: str
    code: RowErrorCode
    message: str


@dataclass(frozen=True, slots=True)
class RegisteredCertificate:
    """`post` is a post's code; `valid_until` None means no expiry.

    Where an id number stands in the number, that is `private`, and `number` its blind index.
    """

    post: str
    number: str
    valid_until: date | None
    private: str | None = field(default=None, compare=False)

    @property
    def shown(self) -> str:
        """Give the number as messages quote it."""
        return idnumber.masked(self.private) if self.private else self.number


@dataclass(frozen=True, slots=True)
class RegistryRow:
    person: idnumber.IdNumber
    name: str
    certificate: RegisteredCertificate | None


def codes_of(posts: Mapping[str, Post]) -> dict[str, str]:
    """Every post's code by code and by name as searched for, from the posts by code."""
    return {code: code for code in posts} | {search(post.name): code for code, post in posts.items()}


def parse_row(
    row: Mapping[str, str], posts: Mapping[str, str], today: date, faults: Mapping[str, Fault] = _NO_FAULTS
) -> RegistryRow | list[RowError]:
    """Check one row; `posts` maps every post's code and name, as searched for, to its code; `faults` say
    what could not be read.

    All the row's errors come back together, in the order of the columns.
    """
    if WHOLE_ROW in faults:
        return [_unreadable(WHOLE_ROW, faults[WHOLE_ROW])]
    if TOO_SHORT in faults.values():
        faults = _without_absent(row, faults)
    if faults and not any(
        row[field] or faults.get(field, BLANK_FORMULA) is not BLANK_FORMULA for field in CERTIFICATE_FIELDS
    ):
        # Formulas that give nothing in all three: of a person without certificate.
        faults = {field: fault for field, fault in faults.items() if field not in CERTIFICATE_FIELDS}
    errors = [_unreadable(field, fault) for field, fault in faults.items()]
    person = None if "id_number" in faults else _person(row["id_number"], today, errors)
    name = "" if "name" in faults else _name(row["name"], errors)
    certificate = _certificate(row, posts, faults, errors)
    if errors or person is None:
        return sorted(errors, key=lambda error: FIELDS.index(error.column))
    return RegistryRow(person, name, certificate)


def _without_absent(row: Mapping[str, str], faults: Mapping[str, Fault]) -> Mapping[str, Fault]:
    """Take absent cells for blank ones, but for the last day of a certificate: blank, it would be valid for ever."""
    told = {field: fault for field, fault in faults.items() if fault is not TOO_SHORT}
    if faults.get("valid_until") is TOO_SHORT and certificate_number(row["certificate_number"]):
        told["valid_until"] = _EXPIRY_ABSENT
    return told


def _unreadable(field: str, fault: Fault) -> RowError:
    return RowError(field, fault.code, fault.message)


def _person(number: str, today: date, errors: list[RowError]) -> idnumber.IdNumber | None:
    try:
        return idnumber.parse(number, today)
    except idnumber.InvalidIdNumber as error:
        errors.append(RowError("id_number", "invalid_id_number", error.message))
        return None


def _name(text: str, errors: list[RowError]) -> str:
    if _USUAL_NAME.fullmatch(text):
        return text
    name = person_name(text)
    if not name:
        errors.append(RowError("name", "name_missing", "请填写姓名"))
    elif has_two_names(text) or _COMMA_BETWEEN_HAN.search(name):
        message = "姓名中有换行或逗号：一行只填一人，两个人请分成两行；同一人的姓名请删去其中的换行或逗号"
        errors.append(RowError("name", "name_invalid", message))
    elif unknown := private_use(name):
        place = name.index(unknown) + 1
        message = f"姓名的第{place}个字是只在原电脑上显示的自造字，请用输入法的生僻字或手写输入重新录入"
        errors.append(RowError("name", "name_invalid", message))
    elif (
        len(name) > MAX_NAME_CHARACTERS
        or not _is_letter(name[0])
        or not all(_is_letter(character) or character in _NAME_MARKS for character in name)
    ):
        errors.append(RowError("name", "name_invalid", f"姓名应为{MAX_NAME_CHARACTERS}个字以内的文字，不含数字和符号"))
    return name


def _certificate(
    row: Mapping[str, str], posts: Mapping[str, str], faults: Mapping[str, Fault], errors: list[RowError]
) -> RegisteredCertificate | None:
    post_text, number, expiry = (
        search(row["post"]),
        certificate_number(row["certificate_number"]),
        line(row["valid_until"]),
    )
    if not (post_text or number or expiry or faults.keys() & CERTIFICATE_FIELDS):
        return None
    post = posts.get(post_text)
    if not post_text and "post" not in faults:
        errors.append(RowError("post", "incomplete_certificate", "填写了证书编号或有效期，请同时填写岗位"))
    elif post is None and "post" not in faults:
        errors.append(RowError("post", "unknown_post", "没有这个岗位，请填写岗位代码或岗位名称"))
    if "certificate_number" not in faults:
        _check_number(number, errors)
    try:
        valid_until = parse_expiry(expiry)
    except InvalidExpiry as error:
        errors.append(RowError("valid_until", "valid_until_invalid", error.message))
        return None
    return RegisteredCertificate(post, number, valid_until) if post else None


def _check_number(number: str, errors: list[RowError]) -> None:
    column = "certificate_number"
    if not number:
        errors.append(RowError(column, "certificate_number_missing", "请填写证书编号；未持证的人员请将后三列都留空"))
    elif _SCIENTIFIC.fullmatch(number):
        message = "证书编号被存为科学计数，已丢失位数，请将该列设为文本格式后重新填写"
        errors.append(RowError(column, "certificate_number_invalid", message))
    elif _DATE.fullmatch(number):
        message = "证书编号一列是日期：编号被存为日期，或该行的单元格错位，请将该列设为文本格式后按证书重新填写"
        errors.append(RowError(column, "certificate_number_invalid", message))
    elif (
        len(number) > MAX_CERTIFICATE_NUMBER_CHARACTERS
        or _DIGITS.isdisjoint(number)
        or not (
            _USUAL_NUMBER.fullmatch(number)
            or all(_is_letter(character) or character in _NUMBER_MARKS for character in number)
        )
    ):
        message = f"证书编号应为{MAX_CERTIFICATE_NUMBER_CHARACTERS}个字符以内的数字、文字、括号、斜线和横线"
        errors.append(RowError(column, "certificate_number_invalid", message))


def _is_letter(character: str) -> bool:
    # Rare ideographs of names are newer than the interpreter's Unicode tables: take those two planes whole.
    return character.isalpha() or character == "〇" or 0x20000 <= ord(character) <= 0x3FFFD
