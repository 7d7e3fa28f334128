import re
from collections.abc import Callable
from datetime import date, timedelta
from itertools import product
from operator import add

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.iso7064 import mod_11_2

from shared.values import idnumber
from shared.values.idnumber import InvalidIdNumber

TODAY = date(2026, 11, 22)

areas = st.integers(100_000, 999_999).map(str)
births = st.dates(date(1900, 1, 1), TODAY)
numbers = st.builds(idnumber.make, areas, births, st.integers(0, 999))


def reason_of(text: str) -> str:
    with pytest.raises(InvalidIdNumber) as caught:
        idnumber.parse(text, TODAY)
    assert text not in str(caught.value)
    assert re.search("[一-鿿]", caught.value.message)
    return caught.value.reason


@pytest.mark.parametrize(
    ("value", "sex", "birth_date"),
    [
        ("11010519491231002X", "female", date(1949, 12, 31)),  # the standard's samples
        ("440524188001010014", "male", date(1880, 1, 1)),
        ("34052419800101001X", "male", date(1980, 1, 1)),
    ],
)
def test_samples(value: str, sex: str, birth_date: date) -> None:
    parsed = idnumber.parse(value, TODAY)
    assert (parsed.value, parsed.sex, parsed.birth_date) == (value, sex, birth_date)


def test_widely_printed_wrong_sample_fails() -> None:
    assert reason_of("110105194912310022") == "check_digit"


@pytest.mark.parametrize(
    "text",
    [
        "11010519491231002x",
        "１１０１０５１９４９１２３１００２Ｘ",
        " 110105 19491231 002X\n",
        "110105-19491231－002x",
        "\ufeff11010519491231002X\u200b",
        "110105　19491231–002Ⅹ",
    ],
)
def test_written_forms(text: str) -> None:
    assert idnumber.parse(text, TODAY).value == "11010519491231002X"


@pytest.mark.parametrize("area", ["810000", "820000", "830000", "911100", "999999"])
def test_any_area(area: str) -> None:
    number = idnumber.make(area, date(1990, 5, 6), 123)
    assert idnumber.parse(number, TODAY).value == number


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (" ", "length"),
        ("11010519491231002", "length"),
        ("11010519491231002X0", "length"),
        ("11010519491231X02X", "characters"),
        ("11010519491231002A", "characters"),
        ("١١٠١٠٥١٩٤٩١٢٣١٠٠٢٢", "characters"),
        ("110105194913310020", "birth_date"),
        ("110105202302290020", "birth_date"),
        ("110105000001010020", "birth_date"),
    ],
)
def test_refusals(text: str, reason: str) -> None:
    assert reason_of(text) == reason


def test_birth_in_the_future() -> None:
    assert idnumber.parse(idnumber.make("360199", TODAY, 1), TODAY)
    assert reason_of(idnumber.make("360199", TODAY + timedelta(days=1), 1)) == "birth_date"


def test_first_generation_gets_its_own_hint() -> None:
    with pytest.raises(InvalidIdNumber, match="第一代") as caught:
        idnumber.parse("110105491231002", TODAY)
    assert caught.value.reason == "length"


@given(numbers)
def test_made_numbers_are_valid(number: str) -> None:
    parsed = idnumber.parse(number, TODAY)
    assert parsed.value == number
    assert number not in repr(parsed)
    assert (parsed.sex == "male") == (int(number[16]) % 2 == 1)
    assert idnumber.normalise(number) == number


@settings(max_examples=8)
@given(numbers)
def test_every_wrong_character_is_found(number: str) -> None:
    for at, character in product(range(18), "0123456789X"):
        wrong = number[:at] + character + number[at + 1 :]
        if wrong != number:
            reason_of(wrong)


@settings(max_examples=40)
@given(numbers)
def test_all_swapped_neighbours_are_found(number: str) -> None:
    for at in range(17):
        swapped = number[:at] + number[at + 1] + number[at] + number[at + 2 :]
        if swapped != number:
            reason_of(swapped)


@given(st.text(max_size=30))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with pytest.raises(InvalidIdNumber):
        idnumber.parse(text + "?", TODAY)


@given(numbers)
def test_a_mistyped_number_is_alike(number: str) -> None:
    for typed in (number, number[:17] + "0", f" {number[:6]} {number[6:]}".lower(), number[:6] + number[8:17]):
        assert idnumber.looks_like_id_number(typed)


@pytest.mark.parametrize(
    "number", ["00707100019207", "赣建安C（2026）0000001", "360199199013010011", "360199901301001", "0" * 18, ""]
)
def test_the_number_of_a_certificate_is_not_alike(number: str) -> None:
    assert not idnumber.looks_like_id_number(number)


@pytest.mark.parametrize(("area", "sequence"), [("36019", 1), ("3601990", 1), ("360199", 1000), ("360199", -1)])
def test_make_refuses(area: str, sequence: int) -> None:
    with pytest.raises(ValueError, match="area must be"):
        idnumber.make(area, date(1990, 1, 1), sequence)


SEPARATORS = [*" -./_,:;|*—·、／．－", "\u3000", "\u200b", "\u202e", "\n", " - ", "）（"]
WIDE = str.maketrans("0123456789X", "０１２３４５６７８９Ｘ")
WRAPPINGS = ["{}", "张三 {}", "证件号：{}。", "T{}", "{}号", "1{}", "{}0", "电话13800000000，{}", "2026-11-28 {}"]


@given(
    numbers,
    st.lists(st.sampled_from(["", *SEPARATORS]), min_size=18, max_size=18),
    st.sampled_from(WRAPPINGS),
    st.sampled_from([str.upper, str.lower, lambda number: str.translate(number, WIDE)]),
)
def test_finds_a_number_in_a_text_whatever_separates_and_surrounds_it(
    number: str, separators: list[str], wrapping: str, form: Callable[[str], str]
) -> None:
    text = wrapping.format("".join(map(add, form(number), separators)))
    assert idnumber.appears_in(text)
    hidden = idnumber.masked(text)
    assert not idnumber.appears_in(hidden)
    assert len(hidden) == len(text)
    assert hidden.count("*") >= text.count("*") + 10


@pytest.mark.parametrize(
    "text",
    [
        "三六〇一九九一九九〇〇一〇一〇〇〇九",
        "３６０１９９１９９００１０１０００９",
        "3601.9919.9001.0100.09",
        "360199/19900101/0009",
        "11010519491231002×",
        "360199900101001",
        "证件360199 900101 001号",
        "3601-9990-0101-001",
        "3 6 0 1 9 9 9 0 0 1 0 1 0 0 1",
        "360199\u200b900101001",
        # Whatever is written before and after in another script is no part of it.
        "张三360199900101001建筑队",
        "JX360199900101001",
        "第三360199900101001号",
        "赣安二360199900101001",
        "360199900101001X",
        "360199 900101001",
        "3601999001 01001",
        "360199900101 001",
        "3 60199900101001",
        "36○199199○○1○1○○○9",
        "3601991990O1O1OOO9",
        "❸❻⓪①⑨⑨①⑨⑨⓪⓪①⓪①⓪⓪⓪⑨",
        "叁陸零壹玖玖壹玖玖零零壹零壹零零零玖",
        "360199年1990年01月01日0009",
        # As it is spoken, as it was read from a picture, and with numerals of other kinds.
        "三六零幺九九幺九九零零幺零幺零零零九",
        "360l99l9900l0l0009",
        "360I99I9900I0I0009",
        "36OⅠ99Ⅰ9900Ⅰ0Ⅰ0009",
        "〣〦〇〡〩〩〡〩〩〇〇〡〇〡〇〇〇〩",
        "叁陆零弌玖玖弌玖玖零零弌零弌零零零玖",
    ],
)
def test_finds_a_number_of_either_generation(text: str) -> None:
    assert idnumber.appears_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00707100019207",
        "00707100000001、00707100000002",
        "赣建安C(2021)0000014",
        "HZ00000123 13800000000",
        "0791-88888888 / 13800000000",
        "13912345012 2026年",
        "13912340512-8001",
        "13912340512转8001",
        "360199年900101年001",
        "91360199MA00000019",
        "36019919900101",
        "360199199013010011",
        "360199901301001",
        "1360199900101001",
        "2026-11-28 2026-11-29 2026-11-30 2026-12-01",
        "11010519491231002" + "0",
        "江西一建第三分公司二十二项目部六标段五区",
        "Illinois Oil Ltd. lot II, III, IIII 0000",
    ],
)
def test_other_numbers_are_none(text: str) -> None:
    assert not idnumber.appears_in(text)
    assert idnumber.masked(text) == text


@given(st.integers(0, 10**14 - 1))
def test_a_certificate_number_of_fourteen_digits_is_none(number: int) -> None:
    assert not idnumber.appears_in(f"{number:014d}")


@given(st.text(st.sampled_from("0123456789Xx三〇⑮ -.号"), max_size=60))
def test_what_is_masked_holds_none(text: str) -> None:
    hidden = idnumber.masked(text)
    assert not idnumber.appears_in(hidden)
    assert idnumber.masked(hidden) == hidden
    assert (hidden == text) == (not idnumber.appears_in(text))


def test_masks_in_text() -> None:
    assert idnumber.masked("张三 110105 19491231 002X，长期") == "张三 1101** ******** 002X，长期"


def test_masks() -> None:
    assert idnumber.mask("11010519491231002X") == "1101**********002X"
    assert idnumber.mask("12345678") == "********"
    assert idnumber.mask_name("张三丰") == "张**"
    assert idnumber.mask_name("张") == "*"
    assert idnumber.mask_name("") == ""


@given(st.from_regex(r"[0-9]{17}[0-9X]", fullmatch=True))
def test_the_check_character_is_the_standard_s(number: str) -> None:
    assert idnumber._has_right_check_character(number) == mod_11_2.is_valid(number)
    right = number[:17] + mod_11_2.calc_check_digit(number[:17])
    assert idnumber._has_right_check_character(right)
