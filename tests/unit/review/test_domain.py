"""Rules of the review desk."""

import re
from datetime import date
from typing import get_args

import pytest

from services.review.audit import AUDIT_LABELS, AuditAction
from services.review.domain import (
    DUPLICATE,
    INITIAL_PASSWORD_LENGTH,
    NOT_FOUND,
    REASONS,
    ROLES,
    STALE,
    STATUS_LABELS,
    WAITING_DAYS,
    Action,
    LastDecision,
    Refusal,
    Stage,
    Submission,
    age_on,
    application_number,
    changed_parts,
    check_decision,
    is_withdrawn,
    possible_actions,
)
from shared.contracts.review import ReviewDecision

TODAY = date(2026, 3, 2)


def last(action: str = "approve", revision: int = 1, decision_no: int = 0, asked: bool = False) -> LastDecision:
    return LastDecision(revision, decision_no, action, "王芳", asked)


class TestPossibleActions:
    @pytest.mark.parametrize("status", STATUS_LABELS)
    def test_is_what_is_not_refused(self, status: str) -> None:
        def not_refused(newest: LastDecision | None) -> list[Action]:
            state = Stage(1, 0, status)
            return [action for action in get_args(Action) if check_decision(action, 1, 0, state, newest) is None]

        assert possible_actions(status, False) == not_refused(None)
        assert possible_actions(status, True) == not_refused(last(asked=True)) == []


class TestCheckDecision:
    @pytest.mark.parametrize(
        ("action", "status"),
        [
            ("approve", "pending_review"),
            ("reject", "pending_review"),
            ("withdraw", "approved"),
            ("withdraw", "certified"),
        ],
    )
    def test_possible(self, action: Action, status: str) -> None:
        assert check_decision(action, 1, 0, Stage(1, 0, status), None) is None
        assert check_decision(action, 1, None, Stage(1, 7, status), last(asked=False)) is None

    @pytest.mark.parametrize(
        ("action", "status", "newest", "detail"),
        [
            ("approve", "approved", last("approve"), "已由王芳通过"),
            ("approve", "certified", None, "已由他人通过"),
            ("approve", "approved", last("withdraw", asked=True), "已由他人通过"),
            ("reject", "rejected", last("reject"), "已由王芳驳回"),
            ("withdraw", "pending_review", None, "该申请尚未审核通过，不能撤回"),
            ("withdraw", "rejected", None, "已由他人驳回"),
            ("approve", "cancelled", None, "企业已撤销该申请"),
            ("approve", "rejected", last("approve"), "已由他人驳回"),
            ("approve", "approved", last("reject"), "已由他人通过"),
        ],
    )
    def test_wrong_state_says_what_happened(
        self, action: Action, status: str, newest: LastDecision | None, detail: str
    ) -> None:
        refusal = check_decision(action, 1, None, Stage(1, 1, status), newest)
        assert refusal is not None
        assert (refusal.code, refusal.detail) == ("wrong_state", detail)

    @pytest.mark.parametrize(("revision", "decision_no"), [(1, None), (3, None), (2, 0), (2, 2)])
    def test_stale(self, revision: int, decision_no: int | None) -> None:
        refusal = check_decision("approve", revision, decision_no, Stage(2, 1, "pending_review"), None)
        assert refusal == STALE == Refusal("stale_revision", "该申请已有更新，请刷新后重新审核")

    def test_a_state_seen_before_another_revision_is_stale_whatever_it_is(self) -> None:
        assert check_decision("withdraw", 1, None, Stage(2, 1, "cancelled"), None) == STALE

    def test_already_decided_only_while_asked_on_this_state(self) -> None:
        stage = Stage(2, 1, "pending_review")
        refusal = check_decision("reject", 2, 1, stage, last("approve", 2, 1, asked=True))
        assert refusal is not None
        assert (refusal.code, refusal.detail) == ("already_decided", "王芳已提交审核决定，正在处理")
        assert check_decision("reject", 2, None, stage, last("approve", 2, 1, asked=True)) == refusal
        assert check_decision("reject", 2, 1, stage, last("approve", 2, 0, asked=True)) is None
        assert check_decision("reject", 2, 1, stage, last("approve", 1, 1, asked=True)) is None
        assert check_decision("reject", 2, 1, stage, last("approve", 2, 1, asked=False)) is None


@pytest.mark.parametrize("status", STATUS_LABELS)
def test_only_what_waits_for_a_reason_was_withdrawn(status: str) -> None:
    assert is_withdrawn(status, "approved_in_error") == (status == "pending_review")
    assert is_withdrawn(status, "number_taken") == (status == "pending_review")
    assert not is_withdrawn(status, None)


def test_changed_parts_names_what_differs() -> None:
    images = {"id-front": "a", "id-back": "b", "commitment-letter": "c"}
    before = Submission("10", images)
    assert changed_parts(None, before) == []
    assert changed_parts(before, before) == []
    assert changed_parts(before, Submission("11", images)) == ["post"]
    assert changed_parts(before, Submission("10", images | {"id-back": "x"})) == ["id-back"]
    assert changed_parts(before, Submission("11", {})) == ["post", "commitment-letter", "id-back", "id-front"]
    assert changed_parts(Submission("10", {"id-back": "b"}), before) == ["commitment-letter", "id-front"]


def test_every_reason_serves_an_action_and_every_audit_action_has_a_label() -> None:
    assert all(reason.actions for reason in REASONS.values())
    assert {action for reason in REASONS.values() for action in reason.actions} == {"reject", "withdraw"}
    assert AUDIT_LABELS.keys() == set(AuditAction)


REJECT, WITHDRAW, BOTH = ("reject",), ("withdraw",), ("reject", "withdraw")


def test_reasons_are_those_agreed() -> None:
    assert {code: (reason.actions, reason.field, reason.needs_comment) for code, reason in REASONS.items()} == {
        "id_front_unclear": (REJECT, "id-front", False),
        "id_back_unclear": (REJECT, "id-back", False),
        "id_expired": (REJECT, "id-back", False),
        "letter_unclear": (REJECT, "commitment-letter", False),
        "letter_unsigned": (REJECT, "commitment-letter", False),
        "letter_unsealed": (REJECT, "commitment-letter", False),
        "letter_outdated": (REJECT, "commitment-letter", False),
        "person_mismatch": (BOTH, "id-front", False),
        "post_mismatch": (BOTH, "post", False),
        "information_false": (BOTH, None, False),
        "approved_in_error": (WITHDRAW, None, False),
        "qualification_changed": (WITHDRAW, None, False),
        "other": (BOTH, None, True),
    }
    assert all(re.fullmatch("[一-鿿]{4,20}", reason.label) for reason in REASONS.values())


def test_the_limits_are_those_published() -> None:
    assert ROLES == ("reviewer", "registrar", "admin")
    assert WAITING_DAYS == (0, 1, 3, 7, 15)
    assert INITIAL_PASSWORD_LENGTH == 16


def test_rows_that_are_no_decision_say_so() -> None:
    assert Refusal("item_not_found", "未找到该申请") == NOT_FOUND
    assert Refusal("duplicate_item", "同一申请在本次提交中重复出现") == DUPLICATE


@pytest.mark.parametrize(
    ("birth", "day", "age"),
    [
        (date(1966, 11, 22), date(2026, 11, 21), 59),
        (date(1966, 11, 22), date(2026, 11, 22), 60),
        (date(1968, 2, 29), date(2026, 2, 28), 57),
        (date(1968, 2, 29), date(2026, 3, 1), 58),
        (date(1968, 2, 29), date(2028, 2, 29), 60),
        (date(1966, 11, 22), date(2026, 10, 30), 59),
        (date(1966, 11, 22), date(2026, 12, 1), 60),
    ],
)
def test_age_in_full_years(birth: date, day: date, age: int) -> None:
    assert age_on(birth, day) == age


def test_a_reason_is_told_by_the_names_of_the_events() -> None:
    told = REASONS["letter_unsigned"].named()
    assert told == {
        "reason_code": "letter_unsigned",
        "reason_label": "承诺书未签字",
        "reason_field": "commitment-letter",
    }
    assert told.keys() <= ReviewDecision.model_fields.keys()


def test_an_application_number_is_written_out() -> None:
    assert [application_number(typed) for typed in ("HZ00000012", "12", "123456789")] == [
        "HZ00000012",
        "HZ00000012",
        "HZ123456789",
    ]
