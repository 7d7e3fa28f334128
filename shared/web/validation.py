"""Types for request fields that keep the database and people safe, and Chinese words for what is wrong with a field."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from shared.errors import InvalidField
from shared.values import idnumber, text
from shared.values.clock import end_of_business_day, start_of_business_day

PRINTABLE = "^[^\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u2028\\u2029]*$"
MAX_REVISION = 2**31 - 1
YEARS = (1900, 2999)

_PHONE = "^\\+?[0-9][0-9-]{4,18}[0-9](转[0-9]{1,8})?$"
# What begins like a mobile number of the mainland, and those that are one (text.phone has taken the prefix from them).
_LIKE_A_MOBILE = re.compile(r"(?:\+?86|0086|0(?!10))?-?1[0-9-]{8,}")
_MOBILE = re.compile("1[3-9][0-9]{9}(?:转.*)?")
_SEEN = StringConstraints(min_length=1, pattern=PRINTABLE)


def cleaned(clean: Callable[[str], str]) -> BeforeValidator:
    """Clean a string before its constraints are looked at; one of which nothing is left is missing."""

    def validate(value: object) -> object:
        if not isinstance(value, str):
            return value
        if seen := clean(value):
            return seen
        raise PydanticCustomError("missing", "nothing that can be seen")

    return BeforeValidator(validate)


def _known_characters(value: str) -> str:
    if text.private_use(value):
        raise PydanticCustomError("private_use", "a character of private use")
    return value


def _no_id_number(value: str) -> str:
    if idnumber.appears_in(value):
        raise PydanticCustomError("id_number", "an id number in text that is shown")
    return value


def _no_wrong_mobile(value: str) -> str:
    if _LIKE_A_MOBILE.match(value) and not _MOBILE.fullmatch(value):
        raise PydanticCustomError("string_pattern_mismatch", "a mobile number of a wrong length or prefix")
    return value


def _one_name(value: object) -> object:
    if isinstance(value, str) and text.has_two_names(value):
        raise PydanticCustomError("two_names", "a line break between two names")
    return value


# Looked at before a name is cleaned.
ONE_NAME = BeforeValidator(_one_name)
_KNOWN, SHOWN = AfterValidator(_known_characters), AfterValidator(_no_id_number)

# Non-empty strings without control characters, cleaned as their kind of field is (shared.values.text); the field adds
# its max_length. What others are shown must not hold an id number; `Line` and `Paragraph` may: they are for queries,
# and for what has a check of its own.
Line = Annotated[str, _SEEN, cleaned(text.line)]
Paragraph = Annotated[str, _SEEN, cleaned(text.paragraph)]
Text = Annotated[Line, SHOWN]
PersonName = Annotated[str, _SEEN, SHOWN, _KNOWN, cleaned(text.person_name), ONE_NAME]
EnterpriseName = Annotated[str, _SEEN, SHOWN, _KNOWN, cleaned(text.enterprise_name)]
CertificateNumber = Annotated[str, _SEEN, cleaned(text.certificate_number)]
# Of an id number or a taxpayer id.
Identifier = Annotated[str, _SEEN, cleaned(text.identifier)]
LoginName = Annotated[str, _SEEN, cleaned(text.login_name)]
Phone = Annotated[str, StringConstraints(pattern=_PHONE), AfterValidator(_no_wrong_mobile), SHOWN, cleaned(text.phone)]
# Part of a stored name; compared by shared.persistence.search.
Sought = Annotated[str, _SEEN, cleaned(text.sought)]
Revision = Annotated[int, Field(ge=0, le=MAX_REVISION, strict=True)]


def _instant(value: object, end: bool) -> datetime:
    text = value if isinstance(value, str) else ""
    try:
        day = date.fromisoformat(text) if len(text) == len("2026-01-31") else None
        moment = None if day else datetime.fromisoformat(text)
    except ValueError:
        day = moment = None
    if day is not None and YEARS[0] <= day.year <= YEARS[1]:
        return end_of_business_day(day) if end else start_of_business_day(day)
    if moment is not None and moment.tzinfo is not None and YEARS[0] <= moment.year <= YEARS[1]:
        return moment.astimezone(UTC)
    raise PydanticCustomError("instant", "a date or an RFC 3339 date-time with offset")


_MOMENT = WithJsonSchema({"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}]})

# A date means its first (last) instant in Asia/Shanghai. The validated value is an aware datetime in UTC.
FromMoment = Annotated[datetime, PlainValidator(lambda value: _instant(value, end=False)), _MOMENT]
ToMoment = Annotated[datetime, PlainValidator(lambda value: _instant(value, end=True)), _MOMENT]


def _listed(values: list[str]) -> list[str]:
    return [part.strip() for value in values for part in value.split(",")]


# Of a query: the parameter repeated, or ids with commas between.
Ids = Annotated[list[UUID], BeforeValidator(_listed), Field(min_length=1, max_length=100)]


class RequestModel(BaseModel):
    """Base of request bodies: unknown fields are refused, so that a typo is not silently dropped."""

    model_config = ConfigDict(extra="forbid")


# For a field of which one is chosen rather than typed.
CHOSEN: dict[str, Any] = {"x-chosen": True}

# By the kind of fault; with what the field's own limits are, where they are part of the words.
MESSAGES = {
    "missing": "必填",
    "extra_forbidden": "不支持的字段",
    "string_too_short": "至少 {min_length} 个字符",
    "string_too_long": "最多 {max_length} 个字符",
    "string_pattern_mismatch": "含有不允许的字符或格式不正确",
    "id_number": "不能含有身份证号，请删去后再提交",
    "two_names": "姓名中有换行：只填一人，请删去其中的换行",
    "private_use": "含有只在本机显示的自造字，请用输入法的生僻字或手写输入重新录入该字",
    "instant": "应为日期（2026-01-31）或带时区的时间",
    "too_short": "至少 {min_length} 项，且不能重复",
    "too_long": "最多 {max_length} 项",
    "enum": "取值不在允许范围内",
    "literal_error": "取值不在允许范围内",
    "json_invalid": "不是有效的 JSON",
    "uuid_parsing": "编号格式不正确",
    "int_parsing": "应为整数",
    "int_type": "应为整数",
    "greater_than_equal": "不能小于 {ge}",
    "less_than_equal": "不能大于 {le}",
    "refused": "{words}",
}


def refused(problem: type[InvalidField], words: str) -> PydanticCustomError:
    """Make what a validator raises where a rule refuses a field, so that it is told with what else is wrong."""
    return PydanticCustomError("refused", "refused by a rule", {"problem": problem, "words": words})


def field_errors(errors: Sequence[Any], asked: Mapping[str, FieldInfo] | None = None) -> list[dict[str, str]]:
    """Write Pydantic's errors as [{field, code, message}]; the rejected value itself is never repeated.

    `asked` are the fields of the request: their titles say what is missing, their examples what would do.
    """
    result = []
    for error in errors[:50]:
        path = [str(part) for part in error["loc"]]
        if path and path[0] in {"body", "query", "path", "header"}:
            path = path[1:] or path
        code = str(error["type"])
        if code == "json_invalid":
            # Its location is an offset in the text, not a field.
            path = ["body"]
        given = error.get("ctx") or {}
        # Of a length that is looked at after the text was cleaned, Pydantic says what it says of lists.
        length = f"string_{code}" if code in {"too_short", "too_long"} and isinstance(error.get("input"), str) else code
        message = _message(length, given, (asked or {}).get(".".join(path)))
        own = given["problem"].code if code == "refused" else code
        result.append({"field": ".".join(path)[:200], "code": own, "message": message})
    return result


def _message(code: str, given: Mapping[str, Any], field: FieldInfo | None) -> str:
    title, extra = (field.title, field.json_schema_extra) if field else (None, None)
    if code in {"string_too_short", "too_short"} and given.get("min_length") == 1:
        code = "missing"
    if code == "missing" and title:
        return f"请选择{title}" if extra == CHOSEN else f"请填写{title}"
    if code == "string_pattern_mismatch" and field and field.examples:
        return f"格式不正确，例如 {field.examples[0]}"
    return MESSAGES.get(code, "格式不正确").format(**given)
