"""Pure rules of renewal: the life of an application, who is eligible, and which certificates count.

The owner's rules are in docs/rules.md, sections 3 and 4.
"""

from calendar import monthrange
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Literal, Protocol, Self, TypeVar
from uuid import UUID

Sex = Literal["male", "female"]
ImageKind = Literal["id-front", "id-back", "commitment-letter"]
IMAGE_KINDS: tuple[ImageKind, ...] = ("id-front", "id-back", "commitment-letter")
IMAGE_LABELS: dict[ImageKind, str] = {
    "id-front": "身份证正面照片",
    "id-back": "身份证反面照片",
    "commitment-letter": "承诺书照片",
}

CONSTRUCTOR, QUALITY = "施工员", "质量员"
MAX_CERTIFICATES = 3
# Of the platform's own numbers, as long as it has given none: docs/rules.md, section 6.
NUMBER_DIGITS = 14
# What two writings of one certificate number may differ in: capitals, Chinese digits of years; and marks, left out.
FOLDED = ("abcdefghijklmnopqrstuvwxyz〇零一二三四五六七八九", "ABCDEFGHIJKLMNOPQRSTUVWXYZ00123456789")
MARKS = "()（）[]〔〕【】〖〗-—/._· "
_FOLDING = str.maketrans(*FOLDED, MARKS)


class Status(StrEnum):
    draft = "draft"
    pending_review = "pending_review"
    approved = "approved"
    certified = "certified"
    rejected = "rejected"
    cancelled = "cancelled"


LABELS = {
    Status.draft: "草稿",
    Status.pending_review: "待审核",
    Status.approved: "通过（编号中）",
    Status.certified: "通过",
    Status.rejected: "驳回",
    Status.cancelled: "已撤销",
}
# A live application occupies its post (and its family) for the person.
LIVE = (Status.pending_review, Status.approved)
EDITABLE = (Status.draft, Status.rejected)


class Action(StrEnum):
    """What moves an application from one status to another; its history calls it by this name too."""

    submit = "submit"
    approve = "approve"
    reject = "reject"
    withdraw = "withdraw"
    certify = "certify"
    cancel = "cancel"


# What others are told of; an application's history has other entries too.
ANNOUNCED: tuple[str, ...] = (*Action, "numbering_failed", "decision_refused", "restate")

TRANSITIONS: dict[tuple[Status, Action], Status] = {
    (Status.draft, Action.submit): Status.pending_review,
    (Status.draft, Action.cancel): Status.cancelled,
    (Status.pending_review, Action.approve): Status.approved,
    (Status.pending_review, Action.reject): Status.rejected,
    (Status.pending_review, Action.cancel): Status.cancelled,
    (Status.approved, Action.certify): Status.certified,
    (Status.approved, Action.withdraw): Status.pending_review,
    (Status.certified, Action.withdraw): Status.pending_review,
    (Status.rejected, Action.submit): Status.pending_review,
    (Status.rejected, Action.cancel): Status.cancelled,
}


def next_status(status: Status, action: Action) -> Status | None:
    """Where `action` leads from `status`, or None if it is not possible there."""
    return TRANSITIONS.get((status, action))


def repeated_images(pixels: Mapping[ImageKind, str]) -> list[ImageKind]:
    """The kinds, in their order, that share one picture, given what each shows (docs/rules.md, section 4)."""
    shown = Counter(pixels.values())
    return [kind for kind in IMAGE_KINDS if shown[pixels.get(kind, "")] > 1]


@dataclass(frozen=True, slots=True)
class Post:
    """A post (岗位). The exclusion of 施工员 and 质量员 is by `family`, not by the post itself."""

    code: str
    name: str
    family: str
    validity_years: int


@dataclass(frozen=True, slots=True)
class AgeLimit:
    """A person of `sex` may renew up to and including the birthday of `months`, from `effective_from` on."""

    sex: Sex
    effective_from: date
    months: int


@dataclass(frozen=True, slots=True)
class Ineligibility:
    """Why a person may not renew: stable code, letter of the owner's rule, and a sentence for people."""

    code: str
    rule: str
    message: str


@dataclass(frozen=True, slots=True)
class Standing:
    """A person's posts: of valid certificates held, and of live applications other than the one in question."""

    sex: Sex
    birth_date: date
    held: Collection[Post]
    live: Sequence[Post]


def month_anniversary(birth_date: date, months: int) -> date:
    """The day on which `months` are completed; where the month has no such day, its last one (民法典 art. 202)."""
    years, month = divmod(birth_date.month - 1 + months, 12)
    year, month = birth_date.year + years, month + 1
    return date(year, month, min(birth_date.day, monthrange(year, month)[1]))


def limit_on(limits: Iterable[AgeLimit], sex: Sex, day: date) -> AgeLimit | None:
    """The limit in force on `day`."""
    in_force = [limit for limit in limits if limit.sex == sex and limit.effective_from <= day]
    return max(in_force, key=lambda limit: limit.effective_from, default=None)


def ineligibilities(
    standing: Standing, requested: Post | None, submission_day: date, limits: Iterable[AgeLimit]
) -> list[Ineligibility]:
    """Every rule that forbids the renewal, in the owner's order; an empty list means eligible.

    See docs/rules.md, section 3. Without `requested` only what holds for every post counts.
    `submission_day` is a calendar day in Asia/Shanghai; the birthday itself is still allowed.
    """
    found = []
    if len(standing.held) + len(standing.live) >= MAX_CERTIFICATES:
        counts = f"已持有{len(standing.held)}本有效证书，另有{len(standing.live)}项换证正在办理"
        message = f"该人员{counts}，合计达到三本，不允许换证"
        found.append(Ineligibility("three_certificates", "A", message))
    families = {post.family for post in (*standing.held, *standing.live)}
    if {CONSTRUCTOR, QUALITY} <= families | ({requested.family} if requested else set()):
        message = "同一人员不允许同时存在施工员与质量员（含已持证书和正在办理的换证）"
        found.append(Ineligibility("constructor_and_quality", "B", message))
    limit = limit_on(limits, standing.sex, submission_day)
    if limit is not None and submission_day > month_anniversary(standing.birth_date, limit.months):
        female = standing.sex == "female"
        age = f"{limit.months // 12}岁" + (f"{limit.months % 12}个月" if limit.months % 12 else "")
        message = f"{'女' if female else '男'}性年龄大于{age}不允许换证"
        found.append(Ineligibility("over_age_female" if female else "over_age_male", "C" if female else "D", message))
    if requested is not None and requested.code in {post.code for post in standing.live}:
        message = f"该人员的{requested.name}换证申请正在办理（可能由其他企业提交），不能重复申请"
        found.append(Ineligibility("already_applied", "T", message))
    return found


def conflicting_post(post: Post, live: Iterable[Post]) -> Post | None:
    """The first of `live` beside which an application for `post` cannot be live: the same, or 施工员 beside 质量员."""
    exclusive = {CONSTRUCTOR, QUALITY}
    return next((other for other in live if other == post or {other.family, post.family} == exclusive), None)


class Decided(Protocol):
    """The part of a reviewer's decision that says why, by the names it has on the wire."""

    @property
    def reason_code(self) -> str | None: ...
    @property
    def reason_label(self) -> str | None: ...
    @property
    def reason_field(self) -> str | None: ...
    @property
    def comment(self) -> str | None: ...


@dataclass(frozen=True)
class DecisionReason:
    """Why an application was rejected, or its approval withdrawn; all None where nobody said anything.

    `field` is the part of the application that the reason is about: "post" or a kind of image.
    """

    code: str | None = None
    label: str | None = None
    field: str | None = None
    comment: str | None = None

    @classmethod
    def of(cls, decision: Decided) -> Self:
        return cls(
            code=decision.reason_code,
            label=decision.reason_label,
            field=decision.reason_field,
            comment=decision.comment,
        )

    def named(self) -> dict[str, str | None]:
        """The fields by the names that clients know."""
        return {
            "reason_code": self.code,
            "reason_label": self.label,
            "reason_field": self.field,
            "comment": self.comment,
        }


class Certificate(Protocol):
    """A certificate somebody holds, as far as the rules look at it; `application_id` where the platform gave it."""

    @property
    def post(self) -> str: ...
    @property
    def certificate_number(self) -> str: ...
    @property
    def valid_until(self) -> date | None: ...
    @property
    def application_id(self) -> UUID | None: ...
    @property
    def replaced_by(self) -> UUID | None: ...
    @property
    def voided_at(self) -> datetime | None: ...


C = TypeVar("C", bound=Certificate)


def is_valid(certificate: Certificate, day: date) -> bool:
    """Whether the certificate is neither void nor replaced nor expired; its last day still counts."""
    unexpired = certificate.valid_until is None or certificate.valid_until >= day
    return certificate.voided_at is None and certificate.replaced_by is None and unexpired


def replaceable(certificates: Iterable[C], post: str) -> list[C]:
    """Those that a new certificate for `post` takes the place of, expired ones too; the platform's own first."""
    found = [c for c in certificates if c.post == post and c.voided_at is None and c.replaced_by is None]
    return sorted(found, key=lambda c: (c.application_id is None, c.certificate_number))


def number_key(number: str) -> str:
    """What is left of a certificate number that lost its leading zeros or is written with other marks.

    models.NUMBER_KEY is the same in SQL.
    """
    return number.translate(_FOLDING).lstrip("0")


def application_number(sequence: int) -> str:
    """The number people quote, as printed on the 承诺书."""
    return f"HZ{sequence:08d}"


def sequence_of(typed: str) -> int:
    """Read the number people quote, of which only the digits may have been typed."""
    return int(typed.removeprefix("HZ"))
