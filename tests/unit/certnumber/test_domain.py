"""Rules of certificate numbers: layouts, periods, who numbers what, allocation, proof."""

from datetime import UTC, datetime
from itertools import product
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.iso7064 import mod_11_10

from services.certnumber.domain import (
    MAX_NUMBER,
    NOT_YEARLY,
    ApprovalStatus,
    Failure,
    Layout,
    LayoutError,
    Number,
    NumberState,
    SeriesRule,
    Slot,
    allocate,
    approval_year,
    conflicting_posts,
    is_gapless,
    lookup_key,
    period_of,
    rule_for,
    sought_key,
    void_reason,
)

LITERALS = st.text("0123456789赣建安CNo.-（）()第号 ", max_size=8)
POSTS = st.integers(0, 99).map("{:02d}".format)

ONE_SERIAL = "必须恰好有一个流水号占位符，例如 {serial:07}"
WIDTH = "流水号的位数应为 1 至 12"
BRACES = "花括号没有成对出现"
CHECK = "校验码 {check} 只能放在末尾，且只能有一个"
CHARACTERS = "不能含有不可打印的字符或斜杠"


def unknown(token: str) -> str:
    return f"不认识的占位符 {token}，可用 {{post}}、{{year}}、{{year:02}}、{{serial:07}}、{{check}}"


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    tokens = draw(st.lists(st.sampled_from(["{post}", "{year}", "{year:02}"]), max_size=4))
    tokens.append(f"{{serial:0{draw(st.integers(1, 12))}}}")
    tokens = draw(st.permutations(tokens))
    text = "".join(draw(LITERALS) + token for token in tokens)[:180] + draw(st.sampled_from(["", "{check}"]))
    try:
        return Layout.parse(text, yearly=False)
    except LayoutError:
        # Some are too long; the same tokens without literals never are.
        return Layout.parse("".join(tokens), yearly=False)


class TestLayout:
    def test_writes_the_known_number(self) -> None:
        assert Layout.parse("00707{post}{serial:07}", yearly=False).render("10", 2021, 19207) == "00707100019207"

    @pytest.mark.parametrize(
        ("text", "number"),
        [
            ("赣建安C（{year}）{serial:07}", "赣建安C（2026）0000042"),
            ("{year:02}{post}-{serial:04}", "2610-0042"),
            ("{serial:012}", "000000000042"),
            ("A{serial:03}{check}", "A042" + mod_11_10.calc_check_digit("042")),
        ],
    )
    def test_fills_in(self, text: str, number: str) -> None:
        assert Layout.parse(text, yearly=False).render("10", 2026, 42) == number

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("00707{post}", ONE_SERIAL),
            ("{serial:03}{serial:03}", ONE_SERIAL),
            ("{serial:00}", WIDTH),
            ("{serial:013}", WIDTH),
            ("{serial:7}", unknown("{serial:7}")),
            ("{serial}", unknown("{serial}")),
            ("{month}{serial:07}", unknown("{month}")),
            ("{}{serial:07}", unknown("{}")),
            ("{post{serial:07}", BRACES),
            ("}{serial:07}", BRACES),
            ("{check}{serial:07}", CHECK),
            ("{serial:07}{check}{check}", CHECK),
            ("a\n{serial:07}", CHARACTERS),
            ("a\u200b{serial:07}", CHARACTERS),
            ("a/{serial:07}", CHARACTERS),
        ],
    )
    def test_refuses(self, text: str, reason: str) -> None:
        with pytest.raises(LayoutError) as refusal:
            Layout.parse(text, yearly=False)
        assert str(refusal.value) == reason

    @pytest.mark.parametrize(
        ("token", "width"), [("", 0), ("{post}", 2), ("{year:02}", 2), ("{year}", 4), ("{check}", 1)]
    )
    def test_a_number_has_fifty_characters_at_most(self, token: str, width: int) -> None:
        literal = "x" * (MAX_NUMBER - 7 - width)
        layout = Layout.parse(f"-{{serial:07}}{literal[1:]}{token}", yearly=False)
        assert len(layout.render("10", 2026, 1)) == MAX_NUMBER == 50
        with pytest.raises(LayoutError) as refusal:
            Layout.parse(f"x{layout.text}", yearly=False)
        assert str(refusal.value) == "生成的编号不能超过 50 个字符"

    @pytest.mark.parametrize("token", ["{year}", "{year:02}"])
    def test_a_yearly_series_must_show_the_year(self, token: str) -> None:
        with pytest.raises(LayoutError) as refusal:
            Layout.parse("{post}{serial:07}{check}", yearly=True)
        assert str(refusal.value) == "按年重新编号的规则必须含有 {year} 或 {year:02}，否则各年的编号会重复"
        assert Layout.parse(f"{token}{{serial:07}}", yearly=True).text == f"{token}{{serial:07}}"

    @pytest.mark.parametrize(("width", "capacity"), [("01", 9), ("03", 999), ("012", 999_999_999_999)])
    def test_holds_as_many_serials_as_its_width_has_numbers(self, width: str, capacity: int) -> None:
        layout = Layout.parse(f"{{serial:{width}}}", yearly=False)
        assert (layout.serial_width, layout.capacity) == (int(width), capacity)
        assert layout.render("10", 2026, capacity) == str(capacity)
        assert layout.render("10", 2026, 1) == "1".zfill(int(width))
        for serial in (0, -1, capacity + 1):
            with pytest.raises(ValueError, match=f"^serial {serial} is not within 1..{capacity}$"):
                layout.render("10", 2026, serial)

    def test_fills_years_to_their_width(self) -> None:
        layout = Layout.parse("{year}/{year:02}/{serial:01}".replace("/", "-"), yearly=True)
        assert layout.render("10", 2005, 3) == "2005-05-3"
        assert layout.render("10", 987, 3) == "0987-87-3"

    def test_the_check_digit_is_of_the_digits_alone(self) -> None:
        layout = Layout.parse("赣{post}-{serial:03}{check}", yearly=False)
        assert layout.render("10", 2026, 42) == "赣10-042" + mod_11_10.calc_check_digit("10042")


# Functions, because a method of a class must not run twice in one process, as mutants make it.
@given(layouts(), POSTS, st.integers(2000, 2099), st.data())
def test_different_serials_give_different_numbers_of_one_length(
    layout: Layout, post: str, year: int, data: st.DataObject
) -> None:
    serials = st.integers(1, layout.capacity)
    first, second = data.draw(serials), data.draw(serials)
    numbers = layout.render(post, year, first), layout.render(post, year, second)
    assert (numbers[0] == numbers[1]) == (first == second)
    assert len(numbers[0]) == len(numbers[1]) <= MAX_NUMBER


@settings(max_examples=10)
@given(POSTS, st.integers(1, 9_999_999))
def test_the_check_digit_finds_every_wrong_digit(post: str, serial: int) -> None:
    number = Layout.parse("00707{post}{serial:07}{check}", yearly=False).render(post, 2026, serial)
    assert mod_11_10.is_valid(number)
    for place, other in product(range(len(number)), "0123456789"):
        if other != number[place]:
            assert not mod_11_10.is_valid(number[:place] + other + number[place + 1 :])


@given(st.text(max_size=60), st.booleans())
def test_any_text_is_parsed_or_refused(text: str, yearly: bool) -> None:
    try:
        layout = Layout.parse(text, yearly=yearly)
    except LayoutError:
        return
    assert len(layout.render("10", 2026, layout.capacity)) <= MAX_NUMBER


def test_width_of_characters_does_not_matter_for_lookup() -> None:
    assert lookup_key("赣建安C(2026)0000042") == lookup_key(" 赣建安Ｃ（２０２６）0000042")
    assert lookup_key("0070710") != lookup_key("0070711")
    assert lookup_key(" Ａ1 ") == "A1"


def test_case_and_marks_do_not_matter_for_who_looks_a_number_up() -> None:
    assert sought_key("赣建安Ｃ（2026）—42") == sought_key("赣建安c(2026) -42") == "赣建安c(2026)-42"


@given(layouts(), POSTS, st.integers(2000, 2099), st.data())
def test_slots_spell_the_key_of_every_number(layout: Layout, post: str, year: int, data: st.DataObject) -> None:
    serial = data.draw(st.integers(1, layout.capacity))
    number = layout.render(post, year, serial)
    values = {"post": post, "year": f"{year}", "serial": f"{serial:0{layout.serial_width}d}", "check": number[-1]}
    for slots, key in ((layout.slots, lookup_key(number)), (layout.sought_slots, sought_key(number))):
        assert "".join(slot.character or values[slot.kind][slot.index] for slot in slots) == key


def test_slots_say_what_stands_at_each_place() -> None:
    layout = Layout.parse(" Ａ½{year:02}B７6—{post} 8{serial:02}{check}", yearly=False)
    written = [Slot("literal", character=each) for each in "A1⁄2"]
    assert layout.slots == (
        *written,
        Slot("year", 2),
        Slot("year", 3),
        Slot("literal", character="B", digits="6"),
        *(Slot("literal", character=each) for each in "76—"),
        Slot("post"),
        Slot("post", 1),
        Slot("literal", character=" ", digits="8"),
        Slot("literal", character="8"),
        Slot("serial"),
        Slot("serial", 1),
        Slot("check"),
    )
    assert "".join(slot.character for slot in layout.sought_slots) == "a1⁄2b76-8"
    years = [slot for slot in Layout.parse("{year}{serial:01} ", yearly=True).slots if slot.kind != "serial"]
    assert years == [Slot("year", index) for index in range(4)]


class TestPeriod:
    def test_the_year_ends_in_shanghai(self) -> None:
        before = datetime(2026, 12, 31, 15, 59, 59, tzinfo=UTC)
        after = datetime(2026, 12, 31, 16, 0, 0, tzinfo=UTC)
        assert [period_of(moment, yearly=True) for moment in (before, after)] == [2026, 2027]
        assert [approval_year(moment) for moment in (before, after)] == [2026, 2027]
        assert period_of(after, yearly=False) == NOT_YEARLY == 0


class TestRuleFor:
    def test_prefers_the_series_that_names_the_post(self) -> None:
        default, named = (
            SeriesRule(uuid4(), Layout(""), posts, yearly=False) for posts in (None, frozenset({"20", "21"}))
        )
        for rules in ([default, named], [named, default]):
            assert rule_for("20", rules) is named
            assert rule_for("10", rules) is default
        assert rule_for("10", [named]) is None
        assert rule_for("20", []) is None


class TestAllocate:
    LAYOUT = Layout("{post}{serial:02}")

    def test_gives_numbers_in_order(self) -> None:
        allocated = allocate(self.LAYOUT, [("10", 2026), ("20", 2026)], range(5, 7), set())
        assert allocated == [Number(5, "1005"), Number(6, "2006")]

    def test_says_what_no_longer_fits(self) -> None:
        allocated = allocate(self.LAYOUT, [("10", 2026), ("20", 2026)], range(99, 100), set())
        assert allocated == [Number(99, "1099"), Failure.series_exhausted]

    def test_a_taken_number_costs_no_serial(self) -> None:
        wanted = [("10", 2026), ("10", 2026), ("20", 2026), ("10", 2026)]
        taken = {"1001"}
        assert allocate(self.LAYOUT, wanted, range(1, 5), taken) == [
            Failure.number_taken,
            Failure.number_taken,
            Number(1, "2001"),
            Number(2, "1002"),
        ]

    def test_a_series_stops_at_a_number_all_its_posts_need(self) -> None:
        allocated = allocate(self.LAYOUT, [("10", 2026)] * 20, range(1, 21), {"1007"})
        given_out = [number.serial for number in allocated if isinstance(number, Number)]
        assert given_out == [1, 2, 3, 4, 5, 6]
        assert allocated[6:] == [Failure.number_taken] * 14

    def test_each_number_shows_the_year_of_its_own_approval(self) -> None:
        allocated = allocate(Layout("{year}{serial:02}"), [("10", 2026), ("10", 2027)], range(1, 3), set())
        assert allocated == [Number(1, "202601"), Number(2, "202702")]

    def test_a_number_is_taken_whatever_its_width(self) -> None:
        assert allocate(Layout("Ｃ{serial:02}"), [("10", 2026)], range(1, 2), {"C01"}) == [Failure.number_taken]

    def test_what_finds_no_serial_left_does_not_stop_the_count(self) -> None:
        wanted = [("10", 2026)] * 3
        assert allocate(self.LAYOUT, wanted, range(1, 1), set()) == [Failure.series_exhausted] * 3


def test_failures_are_the_codes_on_the_wire() -> None:
    assert {failure.value: failure.detail for failure in Failure} == {
        "no_series": "该岗位没有启用的编号规则，请管理员在编号规则中添加",
        "series_exhausted": "编号规则的流水号已用完，请管理员修改编号规则",
        "number_taken": "按编号规则生成的证书编号已被占用，请管理员检查编号规则",
    }


def test_states_are_those_the_tables_allow() -> None:
    assert [status.value for status in ApprovalStatus] == ["waiting", "numbered", "withdrawn", "failed"]
    assert [state.value for state in NumberState] == ["valid", "void"]


@pytest.mark.parametrize(
    ("posts", "others", "conflict"),
    [
        (None, None, []),
        (None, ["10"], None),
        (["10"], None, None),
        (["10"], ["20"], None),
        (["30", "20", "10"], ["30", "10", "11"], ["10", "30"]),
    ],
)
def test_two_series_never_number_one_post(
    posts: list[str] | None, others: list[str] | None, conflict: list[str] | None
) -> None:
    assert conflicting_posts(posts, others) == conflict


@pytest.mark.parametrize(
    ("code", "comment", "text"),
    [
        ("approved_in_error", "误审", "approved_in_error：误审"),
        ("other", None, "other"),
        (None, "误审", "误审"),
        (None, None, None),
        ("", "", None),
    ],
)
def test_a_void_number_says_why(code: str | None, comment: str | None, text: str | None) -> None:
    assert void_reason(code, comment) == text


@pytest.mark.parametrize(
    ("gaps", "duplicates", "highest", "counter", "gapless"),
    [
        (0, 0, 7, 7, True),
        (0, 0, 0, 0, True),
        (1, 0, 7, 7, False),
        (0, 1, 7, 7, False),
        (0, 0, 6, 7, False),
        (0, 0, 8, 7, False),
    ],
)
def test_gapless_is_one_to_the_counter(gaps: int, duplicates: int, highest: int, counter: int, gapless: bool) -> None:
    assert is_gapless(gaps, duplicates, highest, counter) is gapless
