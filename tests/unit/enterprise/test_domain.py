"""Rules of enterprise accounts."""

import pytest

from deploy import synthetic
from services.enterprise.domain import INITIAL_PASSWORD, account_identity, shown_id


def test_old_and_new_forms_of_one_taxpayer_id_are_one_account() -> None:
    new = synthetic.taxpayer_id()
    old = new[2:17]
    assert account_identity(new) == account_identity(f" {new[:8]} {new[8:].lower()} ") == account_identity(old) == old


def test_accounts_of_the_self_employed_are_their_whole_number() -> None:
    person = synthetic.id_number()
    assert account_identity(f"{person}01") == f"{person}01"
    assert account_identity("36019919900101L") == "36019919900101L"


def test_an_account_older_than_a_rule_is_still_found() -> None:
    assert account_identity("36019919900101001") == "36019919900101001"


def test_a_check_character_that_is_wrong_makes_no_other_account() -> None:
    assert account_identity("91350211M0000XUF46") == "350211M0000XUF4"


@pytest.mark.parametrize("text", ["", "demo-reviewer", "9136019", synthetic.taxpayer_id()[:-1] + "I", "赣" * 18])
def test_what_cannot_be_a_taxpayer_id_is_nobodys_account(text: str) -> None:
    assert account_identity(text) is None


def test_a_credit_code_is_shown_and_an_id_number_is_not() -> None:
    code, person = synthetic.taxpayer_id(), synthetic.id_number()
    assert shown_id(code) == code
    for taxpayer_id in (person, f"{person}01", f"{person[:6]}{person[8:17]}01"):
        assert shown_id(taxpayer_id).count("*") >= 8


def test_the_initial_password_is_the_published_one() -> None:
    assert INITIAL_PASSWORD == "111111"
