"""What a captcha is made of, and how an answer is compared."""

from datetime import timedelta

from shared.auth.captcha import LENGTH, LIFETIME
from shared.auth.passwords import UNMISTAKABLE, random_text
from shared.values.text import identifier


def test_length_and_life() -> None:
    assert (5, timedelta(minutes=2)) == (LENGTH, LIFETIME)


def test_text_has_no_look_alikes_and_survives_its_own_comparison() -> None:
    assert not set(UNMISTAKABLE) & set("0O1IL2Z5S8BUV")
    text = random_text(200)
    assert set(text) <= set(UNMISTAKABLE)
    assert len(set(text)) > 10
    assert identifier(f" {text.lower()} ") == text
    assert identifier("ａ3Ｃ") == "A3C"
    assert random_text(12) != random_text(12)
