"""Whether two series can print one number: decided as trying all numbers would."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.certnumber.domain import Layout, SeriesRule, lookup_key, sought_key
from services.certnumber.overlap import POSTS, Output, common_number, outputs, posts_of
from tests.unit.certnumber.test_domain import layouts

# Few and alike, so that two layouts meet often; "２" and "½" have another key than they are written, "¨" begins one
# with a space that does not count; "a", "〔", "—" and a space are found as others.
LITERALS = st.text(st.sampled_from("012１２½Aa（(〔¨ㄅ-— "), max_size=2)
ALIKE = ["10", "11", "20"]
YEARS = ["2010", "2011", "2110"]


@st.composite
def small_outputs(draw: st.DrawFn) -> Output:
    """An output of so few numbers that all can be tried."""
    tokens = draw(st.lists(st.sampled_from(["{post}", "{year}", "{year:02}"]), max_size=2))
    tokens.append(f"{{serial:0{draw(st.integers(1, 2))}}}")
    text = "".join(draw(LITERALS) + token for token in draw(st.permutations(tokens)))
    text += draw(st.sampled_from(["", "{check}"])) or draw(LITERALS)
    layout = Layout.parse(text, yearly=False)
    posts, years = draw(st.sets(st.sampled_from(ALIKE))), draw(st.sets(st.sampled_from(YEARS)))
    return Output(layout, frozenset(posts), frozenset(years), draw(st.integers(0, layout.capacity)))


def all_numbers(output: Output) -> Iterator[str]:
    """Print every number, by the way numbers are really made."""
    for post in output.posts:
        for year in output.years:
            for serial in range(output.last + 1, output.layout.capacity + 1):
                yield output.layout.render(post, int(year), serial)


def output(
    text: str, *, posts: frozenset[str] = POSTS, years: frozenset[str] = frozenset(YEARS), last: int = 0
) -> Output:
    return Output(Layout.parse(text, yearly=False), posts, years, last)


@pytest.mark.parametrize("number", ["A1", "1", "10", "0A", "00"])
def test_no_character_stands_where_it_cannot(number: str) -> None:
    one = output("1{serial:01}", last=2)
    assert one.prints("13")
    assert not one.prints(number)
    assert not one.prints("1A")


@given(small_outputs(), small_outputs())
def test_finds_the_lowest_common_number_as_trying_all_would(first: Output, second: Output) -> None:
    common = {sought_key(number) for number in all_numbers(first)} & {
        sought_key(number) for number in all_numbers(second)
    }
    for one, other in ((first, second), (second, first)):
        found = common_number(one, other)
        assert (found and sought_key(found)) == min(common, default=None)
        assert found is None or one.prints(found)


@given(small_outputs(), st.integers(0, 20), st.integers(0, 20))
def test_two_of_one_layout_meet_where_their_serials_do(one: Output, first: int, second: int) -> None:
    """As random layouts seldom do."""
    assume(not one.is_empty)
    mine, theirs = (Output(one.layout, one.posts, one.years, last) for last in (first, second))
    common = {lookup_key(number) for number in all_numbers(mine)} & {
        lookup_key(number) for number in all_numbers(theirs)
    }
    assert common_number(mine, theirs) == min(common, default=None)
    assert all(mine.prints(number) and theirs.prints(number) for number in common)


@given(small_outputs(), st.data())
def test_knows_its_own_numbers_and_no_others(output: Output, data: st.DataObject) -> None:
    numbers = list(all_numbers(output))
    assert all(output.prints(number) for number in numbers)
    keys = {lookup_key(number) for number in numbers}
    other = data.draw(st.text("012３A(", max_size=8))
    assert output.prints(other) == (lookup_key(other) in keys)
    if numbers:
        key = lookup_key(data.draw(st.sampled_from(numbers)))
        at = data.draw(st.integers(0, len(key) - 1))
        changed = key[:at] + data.draw(st.sampled_from("0123456789A")) + key[at + 1 :]
        assert output.prints(changed) == (changed in keys)


def test_the_places_of_what_a_number_shows() -> None:
    posts, years = frozenset({"10", "20"}), frozenset({"2010"})
    one = output("A{post}{year:02}{year}-{serial:03}", posts=posts, years=years, last=41)
    assert one.texts == [(1, posts), (3, frozenset({"10"})), (5, years)]
    assert (one.serial_at, one.lowest) == (10, "042")


@given(layouts(), st.sampled_from(sorted(POSTS)), st.integers(2000, 2099), st.data())
def test_a_slot_stands_for_each_character_of_the_key(layout: Layout, post: str, year: int, data: st.DataObject) -> None:
    serial = data.draw(st.integers(1, layout.capacity))
    key = lookup_key(layout.render(post, year, serial))
    assert len(layout.slots) == len(key)
    written = output(layout.text, posts=frozenset({post}), years=frozenset({str(year)}), last=serial - 1)
    assert key[written.serial_at :].startswith(written.lowest)
    for at, (text,) in written.texts:
        assert key[at:].startswith(text)
    assert len(written.texts) == layout.text.count("{post}") + layout.text.count("{year")
    assert written.prints(key)


@pytest.mark.parametrize(
    ("first", "second", "number"),
    [
        ("00707{post}{serial:07}", "00707{post}{serial:07}", "00707000000001"),
        ("00707{post}{serial:07}", "0070720{serial:07}", "00707200000001"),
        ("00707{post}{serial:07}", "007{serial:011}", "00707000000001"),
        ("A{serial:03}", "A{serial:04}", None),
        ("A{serial:03}", "A0{serial:02}", "A001"),
        ("A{serial:03}", "A{serial:02}{check}", "A012"),
        ("赣（{year}）{serial:02}", "赣(2011){serial:02}", "赣(2011)01"),
        ("赣（{year}）{serial:02}", "赣(1999){serial:02}", None),
        ("{year}{serial:04}", "{serial:04}{year}", "20102010"),
        ("{post}{serial:03}A", "{post}{serial:03}B", None),
        ("Z2026-{serial:03}", "z2026-{serial:03}", "Z2026-001"),
        ("z2026—{serial:03}", "Z2026-{serial:03}", "z2026—001"),
        ("赣〔{year}〕{serial:02}", "赣(2011){serial:02}", "赣〔2011〕01"),
        ("赣A {serial:02}", "赣a{serial:02}", "赣A 01"),
        ("A {serial:02}", "a{serial:03}", None),
        ("Z{serial:03}{check}", "z{serial:03}{check}", "Z0016"),
        ("{post}{serial:03}", "{serial:02}AB1", None),
    ],
)
def test_literals_widths_and_years(first: str, second: str, number: str | None) -> None:
    assert common_number(output(first), output(second)) == number


def test_what_has_been_printed_is_not_printed_again() -> None:
    first, second = output("A{serial:03}", last=10), output("A00{serial:01}")
    assert common_number(first, second) is None
    assert common_number(output("A{serial:03}", last=8), second) == "A009"
    used_up = output("A{serial:01}", last=9)
    assert used_up.is_empty
    assert common_number(used_up, output("A{serial:01}")) is None
    assert common_number(output("A{serial:01}"), used_up) is None


@pytest.mark.parametrize("end", ["", "{check}"])
def test_values_shown_twice_and_long_serials_are_no_more_work(end: str) -> None:
    """A hundred times ten to the twelfth numbers each: whoever tried them would not come to an end."""
    years = frozenset(str(year) for year in range(2026, 2126))
    first = output("{post}{year}{serial:012}{post}{year}x" + end, years=years)
    second = output("{serial:012}{post}{year}{post}{year}y" + end, years=years)
    assert common_number(first, second) is None
    last = output("{serial:012}{post}{year}{post}{year}x" + end, years=years)
    found = common_number(first, last)
    assert found is not None
    assert first.prints(found)
    assert last.prints(found)


def test_a_series_prints_by_its_counters() -> None:
    def parts(rule: SeriesRule) -> set[tuple[frozenset[str], int]]:
        return {(part.years, part.last) for part in outputs(rule, ["10"], {0: 5, 2026: 7}, (2026, 2027, 2028))}

    yearly = SeriesRule(uuid4(), Layout.parse("{year}{serial:02}", yearly=True), None, yearly=True)
    assert parts(yearly) == {(frozenset({"2026"}), 7), (frozenset({"2027", "2028"}), 0)}
    lasting = SeriesRule(uuid4(), Layout.parse("{year}{serial:02}", yearly=False), None, yearly=False)
    assert parts(lasting) == {(frozenset({"2026", "2027", "2028"}), 5)}


def test_the_default_series_numbers_what_no_other_names() -> None:
    default, named = (
        SeriesRule(uuid4(), Layout("{serial:02}"), posts, yearly=False) for posts in (None, frozenset({"20", "21"}))
    )
    assert posts_of(named, [default, named]) == {"20", "21"}
    assert posts_of(default, [default, named]) == POSTS - {"20", "21"}
    assert len(posts_of(default, [default])) == 100
