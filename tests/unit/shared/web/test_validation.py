"""What people read about the fields of a request that are wrong."""

from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, Field, ValidationError

from shared.errors import InvalidField, together
from shared.web.validation import (
    CHOSEN,
    MESSAGES,
    CertificateNumber,
    Identifier,
    PersonName,
    Phone,
    RequestModel,
    Text,
    field_errors,
    refused,
)


class NumberInvalid(InvalidField):
    code = "invalid_number"


def odd(value: int) -> int:
    if value % 2:
        return value
    raise refused(NumberInvalid, "应为奇数")


class Form(RequestModel):
    name: Text = Field(title="姓名", max_length=5)
    account: Identifier = Field(title="账号", max_length=5)
    password: str = Field(title="密码", min_length=1)
    code: str = Field(default="abc", min_length=3)
    phone: Phone = Field(default="0791-88888888", title="电话", examples=["0791-88888888"])
    post: Text = Field(title="岗位", json_schema_extra=CHOSEN)
    posts: list[str] = Field(title="岗位", json_schema_extra=CHOSEN, min_length=1, max_length=2)
    count: Annotated[int, Field(ge=1, le=9)] = 1
    number: Annotated[int, AfterValidator(odd)] = 1
    untitled: str | None = Field(default=None, min_length=1)
    person: PersonName | None = Field(default=None, max_length=5)
    held: CertificateNumber | None = Field(default=None, max_length=5)
    pair: frozenset[str] = Field(default=frozenset("ab"), min_length=2)


GOOD = {"name": "甲", "account": "a", "password": "b", "post": "10", "posts": ["10"]}


def told(**given: Any) -> dict[str, tuple[str, str]]:
    """Code and message by field, of what is wrong with a form."""
    with pytest.raises(ValidationError) as raised:
        Form.model_validate(given)
    found = field_errors(raised.value.errors(), Form.model_fields)
    return {error["field"]: (error["code"], error["message"]) for error in found}


def test_every_field_that_is_missing_says_what_to_enter() -> None:
    assert told() == {
        "name": ("missing", "请填写姓名"),
        "account": ("missing", "请填写账号"),
        "password": ("missing", "请填写密码"),
        "post": ("missing", "请选择岗位"),
        "posts": ("missing", "请选择岗位"),
    }


@pytest.mark.parametrize("empty", ["", " ", "\u200b"])
def test_what_is_empty_is_missing_and_never_too_short(empty: str) -> None:
    found = told(name=empty, account=empty, password="", post=empty, posts=[])
    assert [message for _, message in found.values()] == [
        "请填写姓名",
        "请填写账号",
        "请填写密码",
        "请选择岗位",
        "请选择岗位",
    ]


@pytest.mark.parametrize(
    ("field", "value", "code", "message"),
    [
        ("name", "甲乙丙丁戊己", "string_too_long", "最多 5 个字符"),
        ("person", "张三\n李四", "two_names", "姓名中有换行：只填一人，请删去其中的换行"),
        ("code", "ab", "string_too_short", "至少 3 个字符"),
        ("phone", "88", "string_pattern_mismatch", "格式不正确，例如 0791-88888888"),
        ("posts", ["1", "2", "3"], "too_long", "最多 2 项"),
        ("pair", ["1", "1"], "too_short", "至少 2 项，且不能重复"),
        ("count", 0, "greater_than_equal", "不能小于 1"),
        ("count", 10, "less_than_equal", "不能大于 9"),
        ("number", 2, "invalid_number", "应为奇数"),
        ("untitled", "", "string_too_short", "必填"),
        ("other", 1, "extra_forbidden", "不支持的字段"),
    ],
)
def test_a_limit_says_what_it_is(field: str, value: object, code: str, message: str) -> None:
    assert told(**{**GOOD, field: value}) == {field: (code, message)}


@pytest.mark.parametrize("field", ["person", "held"])
def test_the_length_of_a_text_is_told_in_characters(field: str) -> None:
    assert [message for _, message in told(**{**GOOD, field: "甲乙丙丁戊己"}).values()] == ["最多 5 个字符"]
    # What Pydantic says where it looks at the length after a validator.
    error = {"loc": (field,), "type": "too_long", "ctx": {"max_length": 5}, "input": "甲乙丙丁戊己"}
    assert field_errors([error]) == [{"field": field, "code": "too_long", "message": "最多 5 个字符"}]


@pytest.mark.parametrize(
    "number",
    ["1380000000", "12012345678", "138000000001", "+86 12012345678", "012012345678", "138-000-0000", "10012345678转1"],
)
def test_a_mobile_number_of_a_wrong_length_or_prefix_is_refused(number: str) -> None:
    assert told(**{**GOOD, "phone": number}) == {"phone": ("string_pattern_mismatch", "格式不正确，例如 0791-88888888")}


@pytest.mark.parametrize(
    "number",
    [
        "13800000000",
        "+86 138 0000 0000",
        "13800000000转1",
        "010-88888888",
        "01088888888",
        "8888888",
        "400-888-8888",
        "+1 800 555 0100",
        "10101010",
    ],
)
def test_other_numbers_may_begin_like_a_mobile(number: str) -> None:
    assert Form.model_validate({**GOOD, "post": "10", "phone": number})


def test_what_a_rule_refuses_is_told_with_all_else() -> None:
    assert told(**{**GOOD, "number": 2, "name": ""}).keys() == {"number", "name"}


def test_messages_need_nothing_that_is_not_given() -> None:
    for code, words in MESSAGES.items():
        given = {"min_length": 1, "max_length": 2, "ge": 3, "le": 4, "words": "x"}
        assert words.format(**given), code


def test_refusals_of_several_fields_are_one() -> None:
    one, other = NumberInvalid("a", "甲"), NumberInvalid("b", "乙")
    assert together([one]) is one
    both = together([one, other])
    assert (both.code, [error["field"] for error in both.members["errors"]]) == ("invalid_request", ["a", "b"])
