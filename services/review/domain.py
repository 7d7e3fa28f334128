"""Pure rules of the review desk: who a reviewer is, which reasons there are, which decision is possible when."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal, get_args

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

INITIAL_PASSWORD_LENGTH = 16


@dataclass(frozen=True)
class DecisionReason:
    """Why an application is rejected or its approval withdrawn.

    `field` names the part of the application at fault: "post" or a kind of image.
    """

    code: str
    label: str
    actions: tuple[Action, ...]
    field: str | None = None
    needs_comment: bool = False

    def named(self) -> dict[str, str | None]:
        """What is told of the reason, by the names it has in events."""
        return {"reason_code": self.code, "reason_label": self.label, "reason_field": self.field}


_REJECT: tuple[Action, ...] = ("reject",)
_WITHDRAW: tuple[Action, ...] = ("withdraw",)
_BOTH: tuple[Action, ...] = ("reject", "withdraw")

REASONS: Mapping[str, DecisionReason] = {
    reason.code: reason
    for reason in (
        DecisionReason("id_front_unclear", "身份证正面照片不清晰", _REJECT, "id-front"),
        DecisionReason("id_back_unclear", "身份证反面照片不清晰", _REJECT, "id-back"),
        DecisionReason("id_expired", "身份证已过有效期", _REJECT, "id-back"),
        DecisionReason("letter_unclear", "承诺书照片不清晰", _REJECT, "commitment-letter"),
        DecisionReason("letter_unsigned", "承诺书未签字", _REJECT, "commitment-letter"),
        DecisionReason("letter_unsealed", "承诺书未加盖换证公章", _REJECT, "commitment-letter"),
        DecisionReason("letter_outdated", "承诺书不是当前版本", _REJECT, "commitment-letter"),
        DecisionReason("person_mismatch", "证件与申请人信息不一致", _BOTH, "id-front"),
        DecisionReason("post_mismatch", "申请岗位与所持证书不符", _BOTH, "post"),
        DecisionReason("information_false", "申请材料不真实", _BOTH),
        DecisionReason("approved_in_error", "审核有误", _WITHDRAW),
        DecisionReason("qualification_changed", "申请人资质发生变化", _WITHDRAW),
        DecisionReason("other", "其他原因", _BOTH, needs_comment=True),
    )
}


@dataclass(frozen=True)
class Stage:
    """How far an application has come: what a decision is about."""

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
    """Why a decision cannot be asked for."""

    code: str
    detail: str


NOT_FOUND = Refusal("item_not_found", "未找到该申请")
DUPLICATE = Refusal("duplicate_item", "同一申请在本次提交中重复出现")
STALE = Refusal("stale_revision", "该申请已有更新，请刷新后重新审核")


def check_decision(
    action: Action, revision: int, decision_no: int | None, stage: Stage, last: LastDecision | None
) -> Refusal | None:
    """Say why a decision cannot be asked for, if so.

    `revision` (and `decision_no`, if the client sent it) is the stage that the reviewer saw.
    """
    if revision != stage.revision:
        return STALE
    if stage.status not in ACTS_ON[action]:
        return Refusal("wrong_state", _wrong_state_detail(stage.status, last))
    if decision_no not in (None, stage.decision_no):
        return STALE
    if last and last.asked and (last.revision, last.decision_no) == (stage.revision, stage.decision_no):
        return Refusal("already_decided", f"{last.reviewer}已提交审核决定，正在处理")
    return None


def possible_actions(status: str, decision_pending: bool) -> list[Action]:
    """List what can be asked for in a state; nothing while a decision on it is unanswered."""
    return [] if decision_pending else [action for action, states in ACTS_ON.items() if status in states]


def is_withdrawn(status: str, reason_code: str | None) -> bool:
    """Tell whether an application waits because its approval was withdrawn: a submission carries no reason."""
    return status == "pending_review" and reason_code is not None


def _wrong_state_detail(status: str, last: LastDecision | None) -> str:
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


def changed_parts(before: Submission | None, after: Submission) -> list[str]:
    """List which of "post" and the kinds of image differ; nothing for a first revision."""
    if before is None:
        return []
    kinds = sorted(before.images.keys() | after.images.keys())
    posts = ["post"] if before.post != after.post else []
    return posts + [kind for kind in kinds if before.images.get(kind) != after.images.get(kind)]


def age_on(birth_date: date, day: date) -> int:
    """Count the full years of age; who is born on 29 February has the birthday on 1 March of a common year."""
    return day.year - birth_date.year - ((day.month, day.day) < (birth_date.month, birth_date.day))


def application_number(typed: str) -> str:
    """Write out the number of an application of which only digits may have been typed: 12 -> HZ00000012."""
    return f"HZ{int(typed.removeprefix('HZ')):08d}"
