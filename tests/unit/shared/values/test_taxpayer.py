import re
from datetime import date
from itertools import product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from shared.values import idnumber, taxpayer
from shared.values.taxpayer import InvalidTaxpayerId

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)

codes = st.builds(
    taxpayer.make,
    st.integers(100_000, 999_999).map(str),
    st.text(ALPHABET, min_size=9, max_size=9),
)


def reason_of(text: str) -> str:
    with pytest.raises(InvalidTaxpayerId) as caught:
        taxpayer.validate(text)
    assert text not in caught.value.message
    assert re.search("[一-鿿]", caught.value.message)
    return caught.value.reason


def check_digit(body: str) -> str:
    """GB 32100-2015, written down anew."""
    rest = 31 - sum(ALPHABET.index(character) * weight for character, weight in zip(body, WEIGHTS, strict=True)) % 31
    return "0" if rest == 31 else ALPHABET[rest]


@pytest.mark.parametrize("value", ["91350100M000100Y43", "91110000101623741K", "911101066976941872"])
def test_samples(value: str) -> None:
    assert taxpayer.validate(value) == value


def test_authority_and_type_may_be_letters() -> None:
    body = "N2360199MA0000001"
    assert taxpayer.validate(body + check_digit(body)) == body + check_digit(body)


@given(codes)
def test_made_codes_are_valid(code: str) -> None:
    assert taxpayer.validate(code) == code
    assert code[17] == check_digit(code[:17])


def test_remainder_31_is_written_0() -> None:
    code = next(code for n in range(200) if (code := taxpayer.make("360199", f"MA{n:07d}")).endswith("0"))
    assert taxpayer.validate(code) == code


@settings(max_examples=4)
@given(codes)
def test_every_wrong_character_is_found(code: str) -> None:
    for at, character in product(range(18), ALPHABET):
        wrong = code[:at] + character + code[at + 1 :]
        if wrong != code:
            assert reason_of(wrong) == "check_digit"


@pytest.mark.parametrize(
    "text",
    [" 91350100m000100y43 ", "91350100-M000100Y4-3", "９１３５０１００Ｍ０００１００Ｙ４３", "913501 00M00 0100Y43"],
)
def test_written_forms(text: str) -> None:
    assert taxpayer.validate(text) == "91350100M000100Y43"


@pytest.mark.parametrize("value", ["360199MA0000001", "360199900101001A1", "36019990010100101"])
def test_old_lengths_have_no_check_character(value: str) -> None:
    assert taxpayer.validate(value) == value
    assert reason_of(value[:-1] + "号") == "characters"


@given(codes, st.integers(0, 17))
def test_a_credit_code_that_lost_a_character_is_no_account_of_its_own(code: str, at: int) -> None:
    lost = code[:at] + code[at + 1 :]
    assume(not idnumber.is_first_generation(lost[:15]))
    assert reason_of(lost) == "characters"


@pytest.mark.parametrize("value", ["36019990130100101", "36019990023000101", "36019919900101001", "3601999001010A1B2"])
def test_seventeen_characters_begin_with_an_id_number_of_fifteen(value: str) -> None:
    assert reason_of(value) == "characters"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("9135", "length"),
        ("91350100M000100Y4300", "characters"),
        ("91350211M0000XUF46", "check_digit"),
        ("91350100I000100Y43", "characters"),
        ("91350100M000100Y4é", "characters"),
    ],
)
def test_refusals(text: str, reason: str) -> None:
    assert reason_of(text) == reason


@pytest.mark.parametrize("text", ["91350211M0000XUF46", taxpayer.make("360199", "MA0000001")[:-1] + "U"])
def test_a_wrong_check_character_alone_may_be_let_pass(text: str) -> None:
    assert reason_of(text) == "check_digit"
    assert taxpayer.validate(f" {text.lower()} ", check_digit=False) == text
    person = idnumber.make("360199", date(1990, 1, 1), 1)
    wrong = person[:-1] + ("0" if person[-1] != "0" else "1")
    assert taxpayer.validate(wrong + "01", check_digit=False) == wrong + "01"


@pytest.mark.parametrize(
    "text", ["91350211M0000XUF4$", "91350211M0000XUF4I", "9135-0211-赣000XUF46", "36019919901301001101", "91350211M0"]
)
def test_nothing_else_is_let_pass(text: str) -> None:
    with pytest.raises(InvalidTaxpayerId) as caught:
        taxpayer.validate(text, check_digit=False)
    assert caught.value.reason != "check_digit"


def test_twenty_characters_begin_with_an_identity_number() -> None:
    number = idnumber.make("360199", date(1990, 1, 1), 1)
    assert taxpayer.validate(number + "01") == number + "01"
    wrong = number[:-1] + ("0" if number[-1] != "0" else "1")
    assert reason_of(wrong + "01") == "check_digit"
    assert reason_of("36019919901301001001") == "characters"


@given(codes)
def test_old_and_new_account_match(code: str) -> None:
    old = code[2:17]
    assert taxpayer.validate(old) == old
    assert taxpayer.identity(code) == taxpayer.identity(old) == old


def test_identity_of_a_self_employed_is_the_id_itself() -> None:
    value = idnumber.make("360199", date(1990, 1, 1), 1) + "01"
    assert taxpayer.identity(value) == value


@given(st.text(max_size=24))
def test_any_text_is_accepted_or_refused(text: str) -> None:
    try:
        value = taxpayer.validate(text)
    except InvalidTaxpayerId:
        return
    assert taxpayer.validate(value) == value


@pytest.mark.parametrize(
    ("area", "organisation"), [("36019", "MA0000001"), ("360199", "MA000001"), ("360199", "MAI000001")]
)
def test_make_refuses(area: str, organisation: str) -> None:
    with pytest.raises(ValueError, match="area must be"):
        taxpayer.make(area, organisation)
