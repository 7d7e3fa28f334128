"""When a password is not even looked at, by what has failed before, from where."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.auth.errors import AccountLocked, CaptchaRequired, LoginDelayed
from shared.auth.guard import Failures, delay_after, network_of, refusal_of
from tests.support.clock import START


@dataclass(frozen=True)
class Policy:
    lockout_failures: int = 5
    lockout_failures_of_strangers: int = 100
    lockout_minutes: int = 15


def _refusal(own: int = 0, strangers: int = 0, *, ago: float = 0, human: bool = False) -> str | None:
    last = START - timedelta(seconds=ago)
    failures = Failures(own, last if own else None, strangers, last if strangers else None)
    refusal = refusal_of(failures, human=human, now=START, policy=Policy())
    return None if refusal is None else refusal.code


LOCKED, DELAYED, CAPTCHA = AccountLocked.code, LoginDelayed.code, CaptchaRequired.code


@pytest.mark.parametrize("own", range(8))
def test_a_source_meets_a_captcha_then_growing_delays_then_the_lock(own: int) -> None:
    at_once = [None, None, None, DELAYED, DELAYED, LOCKED, LOCKED, LOCKED][own]
    later = [None, None, None, CAPTCHA, CAPTCHA, LOCKED, LOCKED, LOCKED][own]
    with_captcha = [None, None, None, None, None, LOCKED, LOCKED, LOCKED][own]
    assert _refusal(own) == at_once
    assert _refusal(own, ago=60) == later
    assert _refusal(own, ago=60, human=True) == with_captcha


@pytest.mark.parametrize(
    ("strangers", "expected"), [(0, None), (2, None), (3, CAPTCHA), (99, CAPTCHA), (100, LOCKED), (1000, LOCKED)]
)
def test_what_others_tried_asks_for_a_captcha_and_only_in_masses_locks(strangers: int, expected: str | None) -> None:
    assert _refusal(strangers=strangers) == expected
    assert _refusal(strangers=strangers, human=True) == (LOCKED if expected == LOCKED else None)


def test_the_delay_doubles_and_ends_somewhere() -> None:
    assert [delay_after(n).total_seconds() for n in range(7)] == [0, 0, 0, 2, 4, 8, 16]
    assert delay_after(10**9) < timedelta(hours=2)


@given(st.integers(0, 200), st.integers(0, 200), st.floats(0, 900), st.booleans())
def test_more_failures_never_open_what_fewer_kept_shut(own: int, strangers: int, ago: float, human: bool) -> None:
    if _refusal(own, strangers, ago=ago, human=human) is not None:
        assert _refusal(own + 1, strangers, ago=ago, human=human) is not None
        assert _refusal(own, strangers + 1, ago=ago, human=human) is not None
        # To be a person, or to wait, never makes it worse.
    else:
        assert _refusal(own, strangers, ago=ago, human=True) is None


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_one_party_is_one_network(address: str, network: str) -> None:
    assert network_of(address) == network
