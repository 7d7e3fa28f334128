"""From rows to what clients see."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from services.review.domain import REASONS, STATUS_LABELS, WAITING_DAYS, Submission, age_on, changed, possible
from services.review.models import Decision, Item, ItemPerson, ItemRevision, Reviewer
from services.review.schemas import (
    DayRead,
    DecisionRead,
    HeldCertificate,
    ImageRead,
    ItemDetail,
    Note,
    ReasonCount,
    ReviewerAccount,
    RevisionRead,
    StatisticsRead,
    WaitingRead,
)
from services.review.service.desk import Dossier, Statistics
from shared.values import idnumber
from shared.values.clock import business_day

IMAGE_URL = "/api/renewal/v1/applications/{application_id}/images/{kind}"


def overview(item: Item, pending: bool, person: ItemPerson) -> dict[str, Any]:
    """The fields of ItemRead."""
    return {
        "application_id": item.application_id,
        "application_number": item.application_number,
        "revision": item.revision,
        "decision_no": item.decision_no,
        "name": item.name,
        "id_number_masked": idnumber.mask(person.id_number),
        "enterprise": item.enterprise_name,
        "post": item.post,
        "post_name": item.post_name,
        "certificate_number": item.certificate_number,
        "status": item.status,
        "status_label": STATUS_LABELS[item.status],
        "added_at": item.added_at,
        "submitted_at": item.submitted_at,
        "reason_code": item.reason_code,
        "comment": item.comment,
        "decision_pending": pending,
        "actions": possible(item.status, pending),
        "refusal": _refusal(item),
        "numbering_failure": _numbering_failure(item),
    }


def _refusal(item: Item) -> Note | None:
    # Shown until anything newer is known.
    if item.refusal_change_no is None or item.refusal_change_no < item.change_no:
        return None
    return Note(code=item.refusal_code or "", detail=item.refusal_detail or "")


def _numbering_failure(item: Item) -> Note | None:
    # Shown while the approval it concerns still waits for its number.
    if item.status != "approved" or item.numbering_decision_no != item.decision_no:
        return None
    return Note(code=item.numbering_code or "", detail=item.numbering_detail or "")


def detail(dossier: Dossier, person: ItemPerson) -> ItemDetail:
    item = dossier.item
    return ItemDetail(
        **overview(item, dossier.pending, person),
        id_number=person.id_number,
        sex=person.sex,
        birth_date=person.birth_date,
        age=age_on(person.birth_date, business_day(item.submitted_at or item.added_at)),
        held=[HeldCertificate.model_validate(held, from_attributes=True) for held in person.held],
        images=_images(item.application_id, item.images),
        decisions=[_decision(decision) for decision in dossier.decisions],
        revisions=_revisions(dossier.revisions),
    )


def _images(application_id: UUID, images: Sequence[Mapping[str, Any]], revision: int | None = None) -> list[ImageRead]:
    query = "" if revision is None else f"?revision={revision}"
    return [
        ImageRead(url=IMAGE_URL.format(application_id=application_id, kind=image["kind"]) + query, **image)
        for image in images
    ]


def _decision(decision: Decision) -> DecisionRead:
    reason = REASONS.get(decision.reason_code or "")
    return DecisionRead.model_validate(
        {
            "id": decision.id,
            "action": decision.action,
            "revision": decision.revision,
            "reviewer": decision.reviewer_name,
            "reason_code": decision.reason_code,
            "reason_label": reason.label if reason else None,
            "comment": decision.comment,
            "decided_at": decision.decided_at,
            "outcome": decision.outcome,
            "outcome_code": decision.outcome_code,
            "outcome_detail": decision.outcome_detail,
            "outcome_at": decision.outcome_at,
        }
    )


def _revisions(revisions: Sequence[ItemRevision]) -> list[RevisionRead]:
    result: list[RevisionRead] = []
    before: Submission | None = None
    for revision in revisions:
        after = Submission(revision.post, {image["kind"]: image["sha256"] for image in revision.images})
        result.append(
            RevisionRead(
                revision=revision.revision,
                submitted_at=revision.submitted_at,
                post=revision.post,
                post_name=revision.post_name,
                images=_images(revision.application_id, revision.images, revision.revision),
                changed=changed(before, after),
            )
        )
        before = after
    return result[::-1]


_TALLIES: Mapping[str, str] = {"approve": "approved", "reject": "rejected", "withdraw": "withdrawn"}


def statistics(figures: Statistics) -> StatisticsRead:
    tallies: Counter[tuple[date, str]] = Counter()
    reasons: Counter[str] = Counter()
    for row in figures.decided:
        tallies[row.day, _TALLIES[row.action]] += row.number
        if row.action == "reject" and row.reason_code:
            reasons[row.reason_code] += row.number
    return StatisticsRead(
        waiting=[
            WaitingRead(from_days=start, to_days=end, count=count)
            for start, end, count in zip(WAITING_DAYS, (*WAITING_DAYS[1:], None), figures.waiting, strict=True)
        ],
        waiting_total=sum(figures.waiting),
        oldest_waiting_at=figures.oldest_waiting_at,
        decided=[DayRead(day=day, **{name: tallies[day, name] for name in _TALLIES.values()}) for day in figures.days],
        reasons=[
            ReasonCount(code=code, label=REASONS[code].label if code in REASONS else code, count=count)
            for code, count in sorted(reasons.items(), key=lambda reason: (-reason[1], reason[0]))
        ],
    )


def reviewer_fields(reviewer: Reviewer) -> dict[str, Any]:
    """The fields of ReviewerAccount."""
    return {
        "id": reviewer.id,
        "username": reviewer.username,
        "name": reviewer.name,
        "roles": reviewer.roles,
        "must_change_password": reviewer.must_change_password,
        "disabled": not reviewer.is_active,
        "created_at": reviewer.created_at,
    }


def account(reviewer: Reviewer) -> ReviewerAccount:
    return ReviewerAccount(**reviewer_fields(reviewer))
