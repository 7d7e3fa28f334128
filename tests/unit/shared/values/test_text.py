"""Cleaning of pasted and typed text, by kind of field."""

import sys
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.values import text

Kind = Callable[[str], str]
KINDS: tuple[Kind, ...] = (
    text.person_name,
    text.enterprise_name,
    text.certificate_number,
    text.identifier,
    text.login_name,
    text.phone,
    text.line,
    text.paragraph,
    text.search,
    text.sought,
)
EVERY = [chr(c) for c in range(sys.maxunicode + 1)]
FORMATS = [c for c in EVERY if unicodedata.category(c) == "Cf"]
UNSEEN = [*FORMATS, "\ufe0f", "\U000e0101", "\u3164", "\uffa0", "\u2800", "\u034f"]
AWKWARD = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from([*UNSEEN, *text.DOTS, *text.DASHES, *text.OPENING, *text.CLOSING, *text.APOSTROPHES]),
        st.sampled_from("张三·. ,，〇○转+860791x#\u3000\u00a0\r\n\u0301\ue863\ue7c7ŉß"),
    )
)


@pytest.mark.parametrize("kind", KINDS)
@given(typed=AWKWARD)
@example(typed="a \u0301")
@example(typed="0791-88888888转转1")
@example(typed="0/#0")
def test_what_is_clean_stays(kind: Kind, typed: str) -> None:
    clean = kind(typed)
    assert kind(clean) == clean


@pytest.mark.parametrize("kind", KINDS)
@given(typed=AWKWARD)
def test_nothing_that_cannot_be_seen_is_left(kind: Kind, typed: str) -> None:
    assert not set(UNSEEN) & set(kind(typed))
    assert kind(typed) == kind(typed).strip()


@pytest.mark.parametrize("kind", KINDS)
@given(unseen=st.text(st.sampled_from([*UNSEEN, " ", "\u3000", "\u00a0", "\n", "\t"])))
def test_a_text_of_which_nothing_is_seen_is_empty(kind: Kind, unseen: str) -> None:
    assert kind(unseen) == ""


@pytest.mark.parametrize("kind", KINDS)
@given(parts=st.lists(st.sampled_from("张三丰0123ABC-"), min_size=2), mark=st.sampled_from(UNSEEN))
def test_what_cannot_be_seen_makes_no_difference(kind: Kind, parts: list[str], mark: str) -> None:
    assert kind(mark.join(parts)) == kind("".join(parts))


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("张　三", "张三"),
        (" 张 三\u200b", "张三"),
        ("\u202d张三\u202c", "张三"),
        ("李〇", "李〇"),
        ("李○", "李〇"),
        ("\ue863某", "䶮某"),
        ("\ue831", "𡗗"),
        ("𬭩\U000e0100", "𬭩"),
        ("\u2f9f", "辛"),
        *((f"阿卜杜拉{dot}买买提", "阿卜杜拉·买买提") for dot in text.DOTS + text.LETTER_DOTS),
        ("张三·", "张三"),
        ("SMITH •", "SMITH"),
        ("诺布·次仁.", "诺布·次仁"),
        ("诺布·次仁·.,", "诺布·次仁"),
        ("JOHN SMITH JR.", "JOHN SMITH JR."),
        ("阿卜杜拉 . 买买提", "阿卜杜拉·买买提"),
        ("阿卜杜拉．买买提", "阿卜杜拉·买买提"),
        ("阿卜杜拉。买买提", "阿卜杜拉·买买提"),
        ("阿卜杜拉··买买提 · 艾山", "阿卜杜拉·买买提·艾山"),
        ("SMITH， JOHN", "SMITH, JOHN"),
        ("SMITH,JOHN", "SMITH, JOHN"),
        ("JOSÉ  MARÍA", "JOSÉ MARÍA"),
        ("Jose\u0301", "José"),
        ("JOHN R. SMITH", "JOHN R. SMITH"),
        ("O’BRIEN", "O'BRIEN"),
        ("ＷＡＮＧ　ＷＥＩ", "WANG WEI"),
        ("李明 Michael Lee", "李明Michael Lee"),
    ],
)
def test_names_of_people(typed: str, name: str) -> None:
    assert text.person_name(typed) == name


@pytest.mark.parametrize("dot", text.LETTER_DOTS)
def test_a_name_is_found_by_the_dot_it_was_typed_with(dot: str) -> None:
    assert text.sought(f"阿卜{dot}买") == text.search(text.person_name(f"阿卜{dot}买"))


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("南昌(检索) 建设有限公司", "南昌（检索）建设有限公司"),
        ("南昌【检索】建设有限公司", "南昌（检索）建设有限公司"),
        ("南昌〔检索〕建设 有限公司", "南昌（检索）建设有限公司"),
        ("Jiangxi  （China）  Ltd.", "Jiangxi (China) Ltd."),
        ("南昌ＡＢ—１号", "南昌AB-1号"),
        ("巴斯夫・上海", "巴斯夫·上海"),
        ("\u200b\u200b", ""),
    ],
)
def test_names_of_enterprises(typed: str, name: str) -> None:
    assert text.enterprise_name(typed) == name


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("赣建安C〔2021〕0000003", "赣建安C〔2021〕0000003"),
        ("赣建安C【2021】0000004", "赣建安C【2021】0000004"),
        ("赣建安C（二○二一）0000007", "赣建安C(二〇二一)0000007"),
        ("赣建安C——0000008", "赣建安C-0000008"),
        ("赣建安C(2021)0000014\u200b", "赣建安C(2021)0000014"),
        ("\u202d00707100000001\u202c", "00707100000001"),
        ("007073 00000006", "00707300000006"),
        ("① 2021", "①2021"),
        ("证⑴第２号", "证⑴第2号"),
        ("００７０７", "00707"),
    ],
)
def test_numbers_of_certificates(typed: str, number: str) -> None:
    assert text.certificate_number(typed) == number


def test_no_mark_before_a_number_becomes_its_digit() -> None:
    marks = [c for c in EVERY if unicodedata.category(c) == "No"]
    assert [mark for mark in marks if text.certificate_number(f"{mark}2021") != f"{mark}2021"] == []


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("\u202d13800000000\u202c", "13800000000"),
        ("１３８００００００００", "13800000000"),
        ("138\u00a00000\u00a00000", "13800000000"),
        ("138-0000-0000", "13800000000"),
        ("+86 138 0000 0000", "13800000000"),
        ("（+86）13800000000", "13800000000"),
        ("8613800000000", "13800000000"),
        ("0086-138-0000-0000", "13800000000"),
        ("（0791）88888888", "0791-88888888"),
        ("0791—88888888", "0791-88888888"),
        ("079188888888", "0791-88888888"),
        ("+86 791 8888 8888", "0791-88888888"),
        ("+86-(0)791-88888888", "0791-88888888"),
        ("010 8888 8888", "010-88888888"),
        ("0791-88888888转8001", "0791-88888888转8001"),
        ("0791-88888888 转分机：8001", "0791-88888888转8001"),
        ("0791-88888888 ext. 8001", "0791-88888888转8001"),
        ("0791-88888888#8001", "0791-88888888转8001"),
        ("400 888 8888", "400-888-8888"),
        ("+852 2345 6789", "+85223456789"),
        ("88888888", "88888888"),
        ("打我电话", "打我电话"),
    ],
)
def test_phones_as_people_write_them(typed: str, number: str) -> None:
    assert text.phone(typed) == number


@pytest.mark.parametrize(
    "typed", ["91360199ma00000019", "９１３６０１９９ＭＡ００００００１９", "9136-0199 MA00—000019\ufeff"]
)
def test_identifiers(typed: str) -> None:
    assert text.identifier(typed) == "91360199MA00000019"


def test_login_names_are_one_whatever_their_width_and_case() -> None:
    assert text.login_name(" Ｌi．Na\u200b ") == text.login_name("LI.NA") == "li.na"
    assert text.login_name("STRASSE") == text.login_name("straße")
    assert text.login_name("a`b") == "a`b"


def test_a_line_is_one_and_keeps_its_punctuation() -> None:
    assert text.line("南昌市，\u3000红谷滩\r\n（高新）①区１２号—３") == "南昌市， 红谷滩 （高新）①区12号—3"


def test_a_paragraph_keeps_its_lines() -> None:
    typed = "一、照片不清；\r\n\u200b二、  签字缺失（见①）。\u202e\u2028\x85\n\n\n三\n"
    assert text.paragraph(typed) == "一、照片不清；\n二、  签字缺失（见①）。\n\n三"


@pytest.mark.parametrize(
    ("stored", "searched"),
    [
        ("阿卜杜拉·买买提", "阿卜杜拉•买买提"),
        ("阿卜杜拉·买买提", "阿卜杜拉.买买提"),
        ("张三丰", "张 三丰"),
        ("南昌（检索）建设有限公司", "南昌(检索)"),
        ("南昌（检索）建设有限公司", "南昌（检索） 建设"),
        ("南昌[检索]建设—公司", "〔检索〕 建设-"),
        ("SMITH, JOHN", "smith，john"),
    ],
)
def test_searches_find_what_is_stored_in_another_form(stored: str, searched: str) -> None:
    assert text.search(searched).lower() in text.search(stored).lower()


@given(
    parts=st.lists(st.text("张三丰〇éR（Å", min_size=1), min_size=1),
    marks=st.text(st.sampled_from([*UNSEEN, *text.DOTS, *text.DASHES, *text.OPENING, " ", "\u3000"]), min_size=1),
)
def test_a_name_is_found_as_typed_and_as_cleaned(parts: list[str], marks: str) -> None:
    typed = parts[0] + "".join(mark + part for mark, part in zip(marks, parts[1:], strict=False))
    for kind in (text.person_name, text.enterprise_name):
        assert text.search(kind(typed)) == text.search(typed)


def test_private_use_codes_of_gbk_are_what_the_codec_says() -> None:
    """Python's codec is of GB 18030-2000, which had fewer of them."""
    for code, character in text._PRIVATE_USE.items():
        if 0xE815 <= code <= 0xE864:
            trail = code - 0xE815 + 0x50
            known = bytes([0xFE, trail + (trail >= 0x7F)]).decode("gb18030")
            assert known in (character, chr(code))
    assert text.private_use(text.person_name("张\ue863")) is None
    assert text.private_use("张\ue000三") == "\ue000"


CLEANED_AT_ONCE: tuple[Kind, ...] = (
    text.person_name,
    text.certificate_number,
    text.identifier,
    text.line,
    text.search,
)


@pytest.mark.parametrize("kind", CLEANED_AT_ONCE)
@given(typed=st.text(st.sampled_from([*map(chr, range(32, 127)), *"一丿乙中华〇〔〕鿿龥赣建安"])))
@example(typed="赣建安C〔2021〕-0001")
@example(typed="a--b")
def test_what_needs_no_cleaning_comes_out_as_if_it_had_been_cleaned(kind: Kind, typed: str) -> None:
    # Nothing beside an invisible mark is taken for clean, and the mark itself goes.
    assert kind(typed) == kind(f"\u200b{typed}")
