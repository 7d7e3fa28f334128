"""Rows of a registry import: who is in the platform's data and which certificates they hold.

One row per held certificate; a person who holds none has the last three columns empty. No message quotes an id number.
"""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill

from services.renewal.domain import Post
from shared.values import idnumber
from shared.values.text import certificate_number, person_name, private_use, search

TEMPLATE_COLUMNS = ("id_number", "name", "post", "certificate_number", "valid_until")

MAX_NAME_CHARACTERS = 50
MAX_CERTIFICATE_NUMBER_CHARACTERS = 50

RowErrorCode = Literal[
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
]

_DATE = re.compile(r"(\d{4})(?:年(\d{1,2})月(\d{1,2})日|([-/.])(\d{1,2})\4(\d{1,2})|(\d{2})(\d{2}))", re.ASCII)
_NAME_MARKS = " ·.,'-"
_DIGITS = frozenset("0123456789")
_NUMBER_MARKS = _DIGITS | frozenset("()-/.[]〔〕【】〖〗·_")
_SCIENTIFIC = re.compile(r"\d(\.\d+)?E\+\d+", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RowError:
    column: str
    code: RowErrorCode
    message: str


@dataclass(frozen=True, slots=True)
class RegisteredCertificate:
    """`post` is a post's code; `valid_until` None means no expiry."""

    post: str
    number: str
    valid_until: date | None


@dataclass(frozen=True, slots=True)
class RegistryRow:
    person: idnumber.IdNumber
    name: str
    certificate: RegisteredCertificate | None


def codes_of(posts: Mapping[str, Post]) -> dict[str, str]:
    """Every post's code by code and by name as searched for, from the posts by code."""
    return {code: code for code in posts} | {search(post.name): code for code, post in posts.items()}


def parse_row(row: Mapping[str, str], posts: Mapping[str, str], today: date) -> RegistryRow | list[RowError]:
    """Check one row; `posts` maps every post's code and name, as searched for, to its code.

    All the row's errors come back together.
    """
    errors: list[RowError] = []
    person: idnumber.IdNumber | None = None
    try:
        person = idnumber.parse(row["id_number"], today)
    except idnumber.InvalidIdNumber as error:
        errors.append(RowError("id_number", "invalid_id_number", error.message))
    name = _name(row["name"], errors)
    certificate = _certificate(row, posts, errors)
    return errors if errors or person is None else RegistryRow(person, name, certificate)


def _name(text: str, errors: list[RowError]) -> str:
    name = person_name(text)
    if not name:
        errors.append(RowError("name", "name_missing", "请填写姓名"))
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
    row: Mapping[str, str], posts: Mapping[str, str], errors: list[RowError]
) -> RegisteredCertificate | None:
    post_text, number = search(row["post"]), certificate_number(row["certificate_number"])
    until_text = certificate_number(row["valid_until"])
    if not (post_text or number or until_text):
        return None
    post = posts.get(post_text)
    if not post_text:
        errors.append(RowError("post", "incomplete_certificate", "填写了证书编号或有效期，请同时填写岗位"))
    elif post is None:
        errors.append(RowError("post", "unknown_post", "没有这个岗位，请填写岗位代码或岗位名称"))
    _check_number(number, errors)
    valid_until = _valid_until(until_text, errors)
    return RegisteredCertificate(post, number, valid_until) if post else None


def _check_number(number: str, errors: list[RowError]) -> None:
    column = "certificate_number"
    if not number:
        errors.append(RowError(column, "certificate_number_missing", "请填写证书编号；未持证的人员请将后三列都留空"))
    elif _SCIENTIFIC.fullmatch(number):
        message = "证书编号被存为科学计数，已丢失位数，请将该列设为文本格式后重新填写"
        errors.append(RowError(column, "certificate_number_invalid", message))
    elif (
        len(number) > MAX_CERTIFICATE_NUMBER_CHARACTERS
        or _DIGITS.isdisjoint(number)
        or not all(_is_letter(character) or character in _NUMBER_MARKS for character in number)
    ):
        message = f"证书编号应为{MAX_CERTIFICATE_NUMBER_CHARACTERS}个字符以内的数字、文字、括号、斜线和横线"
        errors.append(RowError(column, "certificate_number_invalid", message))


def _valid_until(text: str, errors: list[RowError]) -> date | None:
    if not text:
        return None
    try:
        if match := _DATE.fullmatch(text):
            year, month, day = (int(part) for part in match.groups() if part and part.isdecimal())
            if 1900 <= year <= 2199:
                return date(year, month, day)
    except ValueError:
        pass
    message = "有效期应为真实日期，例如 2027-05-31；长期有效的请留空"
    errors.append(RowError("valid_until", "valid_until_invalid", message))
    return None


def _is_letter(character: str) -> bool:
    # Rare ideographs of names are newer than the interpreter's Unicode tables: take those two planes whole.
    return character.isalpha() or character == "〇" or 0x20000 <= ord(character) <= 0x3FFFD


_NOTES = (
    ("列名", "含义", "填写要求", "示例"),
    ("id_number", "身份证号", "必填，18位", idnumber.make("360199", date(1990, 1, 1), 1)),
    ("name", "姓名", "必填，与身份证一致", "张某某"),
    ("post", "岗位", "岗位代码或岗位名称；未持证的人员留空", "土建施工员"),
    ("certificate_number", "证书编号", "填写岗位时必填；请保持文本格式，以免丢失开头的0", "00707100000001"),
    ("valid_until", "有效期至", "如 2027-05-31；长期有效的留空", "2027-05-31"),
)
_NOTE_LINES = (
    "每本证书填一行；同一人持有多本证书的填多行，未持证的人员填一行并将后三列留空。",
    "请在“人员与证书”工作表中填写，不要改动第一行的列名。",
)


def template_xlsx() -> bytes:
    """The import's template: an empty sheet with the columns, formatted as text, and a second one explaining them."""
    workbook = Workbook()
    table = workbook.worksheets[0]
    table.title = "人员与证书"
    table.append(TEMPLATE_COLUMNS)
    table.freeze_panes = "A2"
    notes = workbook.create_sheet("填写说明")
    for line in _NOTES:
        notes.append(line)
    for text in _NOTE_LINES:
        notes.append((text,))
    for letter, column in zip("ABCDE", TEMPLATE_COLUMNS, strict=True):
        table.column_dimensions[letter].number_format = "@"
        table.column_dimensions[letter].width = max(18, len(column) + 4)
    for letter, width in zip("ABCD", (22, 14, 56, 24), strict=True):
        notes.column_dimensions[letter].width = width
    for sheet in (table, notes):
        for cell in sheet[1]:
            cell.number_format = "@"
            cell.font = Font(bold=True)
            cell.fill = PatternFill("solid", fgColor="DDE7F3")
            cell.alignment = Alignment(horizontal="center")
    stream = io.BytesIO()
    workbook.save(stream)
    return stream.getvalue()
