"""Pure rules of the review desk: who a reviewer is, which reasons there are, which decision is possible when."""

import re
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Literal, get_args

from shared.values import idnumber

Role = Literal["reviewer", "registrar", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)

Action = Literal["approve", "reject", "withdraw"]
ItemStatus = Literal["pending_review", "approved", "certified", "rejected", "cancelled"]
STATUS_LABELS: Mapping[str, str] = {
    "pending_review": "待审核",
    "approved": "通过（编号中）",
    "certified": "通过",
    "rejected": "驳回",
    "cancelled": "已撤销",
}
# The states from which each action is possible (docs/rules.md, section 5).
ACTS_ON: Mapping[Action, tuple[str, ...]] = {
    "approve": ("pending_review",),
    "reject": ("pending_review",),
    "withdraw": ("approved", "certified"),
}

# Where the dashboard divides the waiting by age, in days since submission.
WAITING_DAYS = (0, 1, 3, 7, 15)

# Without the look-alikes 0 O, 1 I L, 2 Z, 5 S, 8 B, U V.
UNMISTAKABLE = "34679ACDEFGHJKMNPQRTWXY"
CAPTCHA_LENGTH = 5
CAPTCHA_LIFETIME = timedelta(seconds=120)
INITIAL_PASSWORD_LENGTH = 16


class AuditAction(StrEnum):
    log_in = "log_in"
    log_in_failed = "log_in_failed"
    log_out = "log_out"
    password_changed = "password_changed"  # noqa: S105 - a name, not a password
    password_change_failed = "password_change_failed"  # noqa: S105
    id_number_revealed = "id_number_revealed"
    approve = "approve"
    reject = "reject"
    withdraw = "withdraw"
    reviewer_added = "reviewer_added"
    reviewer_changed = "reviewer_changed"
    password_reset = "password_reset"  # noqa: S105


AUDIT_LABELS: Mapping[AuditAction, str] = {
    AuditAction.log_in: "登录",
    AuditAction.log_in_failed: "登录失败",
    AuditAction.log_out: "退出登录",
    AuditAction.password_changed: "修改密码",
    AuditAction.password_change_failed: "修改密码失败",
    AuditAction.id_number_revealed: "查看完整身份证号",
    AuditAction.approve: "审核通过",
    AuditAction.reject: "审核驳回",
    AuditAction.withdraw: "撤回资质审核",
    AuditAction.reviewer_added: "新增审核人员",
    AuditAction.reviewer_changed: "修改审核人员",
    AuditAction.password_reset: "重置密码",
}


@dataclass(frozen=True)
class Reason:
    """`field` names the part of the application at fault: "post" or a kind of image."""

    code: str
    label: str
    actions: tuple[Action, ...]
    field: str | None = None
    needs_comment: bool = False


_REJECT: tuple[Action, ...] = ("reject",)
_WITHDRAW: tuple[Action, ...] = ("withdraw",)
_BOTH: tuple[Action, ...] = ("reject", "withdraw")

REASONS: Mapping[str, Reason] = {
    reason.code: reason
    for reason in (
        Reason("id_front_unclear", "身份证正面照片不清晰", _REJECT, "id-front"),
        Reason("id_back_unclear", "身份证反面照片不清晰", _REJECT, "id-back"),
        Reason("id_expired", "身份证已过有效期", _REJECT, "id-back"),
        Reason("letter_unclear", "承诺书照片不清晰", _REJECT, "commitment-letter"),
        Reason("letter_unsigned", "承诺书未签字", _REJECT, "commitment-letter"),
        Reason("letter_unsealed", "承诺书未加盖换证公章", _REJECT, "commitment-letter"),
        Reason("letter_outdated", "承诺书不是当前版本", _REJECT, "commitment-letter"),
        Reason("person_mismatch", "证件与申请人信息不一致", _BOTH, "id-front"),
        Reason("post_mismatch", "申请岗位与所持证书不符", _BOTH, "post"),
        Reason("information_false", "申请材料不真实", _BOTH),
        Reason("approved_in_error", "审核有误", _WITHDRAW),
        Reason("qualification_changed", "申请人资质发生变化", _WITHDRAW),
        Reason("other", "其他原因", _BOTH, needs_comment=True),
    )
}


@dataclass(frozen=True)
class State:
    """What the desk knows of an application."""

    revision: int
    decision_no: int
    status: str


@dataclass(frozen=True)
class LastDecision:
    """The newest decision on an application that was not refused; `asked` while `renewal` has not answered."""

    revision: int
    decision_no: int
    action: str
    reviewer: str
    asked: bool


@dataclass(frozen=True)
class Refusal:
    code: str
    detail: str


NOT_FOUND = Refusal("item_not_found", "未找到该申请")
DUPLICATE = Refusal("duplicate_item", "同一申请在本次提交中重复出现")
STALE = Refusal("stale_revision", "该申请已有更新，请刷新后重新审核")


def judge(
    action: Action, revision: int, decision_no: int | None, state: State, last: LastDecision | None
) -> Refusal | None:
    """Why a decision cannot be asked for; `revision` (and `decision_no`, if the client sent it) is what was seen."""
    if revision != state.revision:
        return STALE
    if state.status not in ACTS_ON[action]:
        return Refusal("wrong_state", _wrong_state(state.status, last))
    if decision_no not in (None, state.decision_no):
        return STALE
    if last and last.asked and (last.revision, last.decision_no) == (state.revision, state.decision_no):
        return Refusal("already_decided", f"{last.reviewer}已提交审核决定，正在处理")
    return None


def possible(status: str, pending: bool) -> list[Action]:
    """What can be asked for in a state; nothing while a decision on it is unanswered."""
    return [] if pending else [action for action, states in ACTS_ON.items() if status in states]


def _wrong_state(status: str, last: LastDecision | None) -> str:
    if status == "pending_review":
        return "该申请尚未审核通过，不能撤回"
    if status == "cancelled":
        return "企业已撤销该申请"
    action, done = ("reject", "驳回") if status == "rejected" else ("approve", "通过")
    who = last.reviewer if last and last.action == action else "他人"
    return f"已由{who}{done}"


@dataclass(frozen=True)
class Submission:
    """What a revision consisted of; `images` maps the kind to the SHA-256 of its bytes."""

    post: str
    images: Mapping[str, str]


def changed(before: Submission | None, after: Submission) -> list[str]:
    """Which of "post" and the kinds of image differ; nothing for a first revision."""
    if before is None:
        return []
    kinds = sorted(before.images.keys() | after.images.keys())
    posts = ["post"] if before.post != after.post else []
    return posts + [kind for kind in kinds if before.images.get(kind) != after.images.get(kind)]


def age_on(birth_date: date, day: date) -> int:
    """Full years of age; who is born on 29 February has the birthday on 1 March of a common year."""
    return day.year - birth_date.year - ((day.month, day.day) < (birth_date.month, birth_date.day))


def normalise_username(text: str) -> str:
    """The form under which a login name is unique: full-width forms and capitals make no difference."""
    return unicodedata.normalize("NFKC", text).casefold().strip()


def random_text(length: int) -> str:
    """Random characters that people do not confuse."""
    return "".join(secrets.choice(UNMISTAKABLE) for _ in range(length))


def captcha_answer(typed: str) -> str:
    """The form in which answers are compared: case, width and surrounding spaces make no difference."""
    return unicodedata.normalize("NFKC", typed).strip().upper()


def contains_id_number(text: str, today: date) -> bool:
    """Whether a valid identity number hides in free text, which travels in events in the clear."""
    for match in re.finditer(r"(?=([0-9]{17}[0-9X]))", idnumber.compact(text)):
        try:
            idnumber.parse(match[1], today)
        except idnumber.InvalidIdNumber:
            continue
        return True
    return False
