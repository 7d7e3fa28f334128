from datetime import UTC, datetime
from itertools import product
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.iso7064 import mod_11_10

from services.certnumber.domain import (
    MAX_NUMBER,
    Failure,
    Layout,
    LayoutError,
    Number,
    SeriesRule,
    allocate,
    lookup_key,
    period_of,
    rule_for,
)

LITERALS = st.text("0123456789赣建安CNo.-（）()第号 ", max_size=8)
POSTS = st.integers(0, 99).map("{:02d}".format)


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
            ("00707{post}", "恰好有一个流水号"),
            ("{serial:03}{serial:03}", "恰好有一个流水号"),
            ("{serial:00}", "位数应为 1 至 12"),
            ("{serial:013}", "位数应为 1 至 12"),
            ("{serial:7}", "不认识的占位符"),
            ("{serial}", "不认识的占位符"),
            ("{month}{serial:07}", "不认识的占位符"),
            ("{}{serial:07}", "不认识的占位符"),
            ("{post{serial:07}", "花括号"),
            ("}{serial:07}", "花括号"),
            ("{check}{serial:07}", "末尾"),
            ("{serial:07}{check}{check}", "末尾"),
            ("a\n{serial:07}", "不可打印"),
            ("a\u200b{serial:07}", "不可打印"),
            ("a/{serial:07}", "斜杠"),
            ("x" * 44 + "{serial:07}", "不能超过 50"),
            ("x" * 42 + "{serial:07}{post}", "不能超过 50"),
        ],
    )
    def test_refuses(self, text: str, reason: str) -> None:
        with pytest.raises(LayoutError, match=reason):
            Layout.parse(text, yearly=False)

    def test_a_yearly_series_must_show_the_year(self) -> None:
        with pytest.raises(LayoutError, match="year"):
            Layout.parse("{serial:07}", yearly=True)
        assert Layout.parse("{year:02}{serial:07}", yearly=True).capacity == 9_999_999

    @pytest.mark.parametrize("serial", [0, -1, 1000])
    def test_never_renders_a_serial_that_does_not_fit(self, serial: int) -> None:
        with pytest.raises(ValueError, match="not within"):
            Layout.parse("{serial:03}", yearly=False).render("10", 2026, serial)

    @given(layouts(), POSTS, st.integers(2000, 2099), st.data())
    def test_different_serials_give_different_numbers_of_one_length(
        self, layout: Layout, post: str, year: int, data: st.DataObject
    ) -> None:
        serials = st.integers(1, layout.capacity)
        first, second = data.draw(serials), data.draw(serials)
        numbers = layout.render(post, year, first), layout.render(post, year, second)
        assert (numbers[0] == numbers[1]) == (first == second)
        assert len(numbers[0]) == len(numbers[1]) <= MAX_NUMBER

    @settings(max_examples=10)
    @given(POSTS, st.integers(1, 9_999_999))
    def test_the_check_digit_finds_every_wrong_digit(self, post: str, serial: int) -> None:
        number = Layout.parse("00707{post}{serial:07}{check}", yearly=False).render(post, 2026, serial)
        assert mod_11_10.is_valid(number)
        for place, other in product(range(len(number)), "0123456789"):
            if other != number[place]:
                assert not mod_11_10.is_valid(number[:place] + other + number[place + 1 :])

    @given(st.text(max_size=60), st.booleans())
    def test_any_text_is_parsed_or_refused(self, text: str, yearly: bool) -> None:
        try:
            layout = Layout.parse(text, yearly=yearly)
        except LayoutError:
            return
        assert len(layout.render("10", 2026, layout.capacity)) <= MAX_NUMBER


def test_width_of_characters_does_not_matter_for_lookup() -> None:
    assert lookup_key("赣建安C(2026)0000042") == lookup_key(" 赣建安Ｃ（２０２６）0000042")
    assert lookup_key("0070710") != lookup_key("0070711")


class TestPeriod:
    def test_the_year_ends_in_shanghai(self) -> None:
        before = datetime(2026, 12, 31, 15, 59, 59, tzinfo=UTC)
        after = datetime(2026, 12, 31, 16, 0, 0, tzinfo=UTC)
        assert [period_of(moment, yearly=True) for moment in (before, after)] == [2026, 2027]
        assert period_of(after, yearly=False) == 0


class TestRuleFor:
    def test_prefers_the_series_that_names_the_post(self) -> None:
        default, named = (
            SeriesRule(uuid4(), Layout(""), posts, yearly=False) for posts in (None, frozenset({"20", "21"}))
        )
        for rules in ([default, named], [named, default]):
            assert rule_for("20", rules) is named
            assert rule_for("10", rules) is default
        assert rule_for("10", [named]) is None


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

    def test_every_failure_has_a_sentence(self) -> None:
        assert all(failure.detail.endswith(("添加", "规则")) for failure in Failure)
