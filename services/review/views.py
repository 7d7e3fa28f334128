"""Makes of rows what clients see; answers are built nowhere else."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from pydantic_core import to_json

from services.review.domain import (
    REASONS,
    STATUS_LABELS,
    WAITING_DAYS,
    Refusal,
    Submission,
    age_on,
    changed_parts,
    is_withdrawn,
    possible_actions,
)
from services.review.models import Decision, Item, ItemRevision, ListedItem, Neighbour, Reviewer, open_number
from services.review.schemas import (
    DayRead,
    DecisionRead,
    DecisionRequest,
    DecisionResult,
    DecisionResults,
    HeldCertificate,
    ImageRead,
    InitialPassword,
    ItemDetail,
    NeighbourRead,
    NeighboursRead,
    ReasonCount,
    ReasonRead,
    ReviewerAccount,
    ReviewerCreated,
    ReviewerRead,
    RevisionRead,
    StatisticsRead,
    WaitingRead,
)
from services.review.service.desk import Dossier, Statistics
from shared.persistence.cipher import FieldCipher
from shared.values import idnumber
from shared.values.clock import business_day

IMAGE_URL = "/api/renewal/v1/applications/{application_id}/images/{kind}"


# --- accounts


def reviewer(row: Reviewer) -> ReviewerRead:
    return ReviewerRead.model_validate(row, from_attributes=True)


def account(row: Reviewer) -> ReviewerAccount:
    return ReviewerAccount(**dict(reviewer(row)), disabled=not row.is_active, created_at=row.created_at)


def new_account(row: Reviewer, initial_password: str) -> ReviewerCreated:
    return ReviewerCreated(**dict(account(row)), initial_password=initial_password)


def initial_password(password: str) -> InitialPassword:
    return InitialPassword(initial_password=password)


# --- items


def page_of_items(cipher: FieldCipher, rows: Sequence[ListedItem], next_cursor: str | None) -> bytes:
    """Write a Page[ItemRead] as JSON, without a model for each row. Raises DecryptionFailed."""
    items = [_item(row, open_number(row.person, cipher), row.decision_pending) for row in rows]
    return to_json({"items": items, "next_cursor": next_cursor})


def _item(row: Item | ListedItem, id_number: str, decision_pending: bool) -> dict[str, Any]:
    """Write an ItemRead, its members in its order."""
    return {
        "application_id": row.application_id,
        "application_number": row.application_number,
        "revision": row.revision,
        "decision_no": row.decision_no,
        "name": row.name,
        "id_number_masked": idnumber.mask(id_number),
        "enterprise": row.enterprise_name,
        "post": row.post,
        "post_name": row.post_name,
        "certificate_number": row.certificate_number,
        "status": row.status,
        "status_label": STATUS_LABELS[row.status],
        "added_at": row.added_at,
        "submitted_at": row.submitted_at,
        "reason_code": row.reason_code,
        "comment": row.comment,
        "decision_pending": decision_pending,
        "actions": possible_actions(row.status, decision_pending),
        "refusal": _refusal(row),
        "numbering_failure": _numbering_failure(row),
        "withdrawal": _withdrawal(row),
    }


def _refusal(row: Item | ListedItem) -> dict[str, str] | None:
    # Shown until anything newer is known.
    if row.refusal_change_no is None or row.refusal_change_no < row.change_no:
        return None
    return _note(row.refusal_code, row.refusal_detail)


def _numbering_failure(row: Item | ListedItem) -> dict[str, str] | None:
    # Shown while the approval it concerns still waits for its number.
    if row.status != "approved" or row.numbering_decision_no != row.decision_no:
        return None
    return _note(row.numbering_code, row.numbering_detail)


def _withdrawal(row: Item | ListedItem) -> dict[str, str] | None:
    if not is_withdrawn(row.status, row.reason_code):
        return None
    # The platform's own withdrawal has a reason that is in no list, and says why in its comment.
    reason = REASONS.get(row.reason_code or "")
    told = "：".join(filter(None, (reason.label if reason else None, row.comment)))
    return _note(row.reason_code, told)


def _note(code: str | None, detail: str | None) -> dict[str, str]:
    return {"code": code or "", "detail": detail or ""}


def detail(cipher: FieldCipher, dossier: Dossier) -> ItemDetail:
    """Raises DecryptionFailed."""
    row = dossier.found.item
    person = row.open_person(cipher)
    return ItemDetail(
        **_item(row, person.id_number, dossier.found.decision_pending),
        id_number=person.id_number,
        sex=person.sex,
        birth_date=person.birth_date,
        age=age_on(person.birth_date, business_day(row.submitted_at or row.added_at)),
        held=[HeldCertificate.model_validate(held, from_attributes=True) for held in person.held],
        images=_images(row.application_id, row.images),
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
                changed=changed_parts(before, after),
            )
        )
        before = after
    return result[::-1]


def neighbours(previous: Neighbour | None, following: Neighbour | None) -> NeighboursRead:
    return NeighboursRead(previous=_neighbour(previous), next=_neighbour(following))


def _neighbour(row: Neighbour | None) -> NeighbourRead | None:
    return row and NeighbourRead.model_validate(row, from_attributes=True)


# --- statistics

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


# --- decisions


def reasons() -> list[ReasonRead]:
    return [ReasonRead.model_validate(reason, from_attributes=True) for reason in REASONS.values()]


def decision_results(request: DecisionRequest, refusals: Sequence[Refusal | None]) -> DecisionResults:
    """`refusals` are the request's rows' in order, None where the decision is on its way."""
    return DecisionResults(
        results=[
            DecisionResult(application_id=row.application_id, outcome="accepted")
            if refusal is None
            else DecisionResult(
                application_id=row.application_id, outcome="refused", code=refusal.code, detail=refusal.detail
            )
            for row, refusal in zip(request.items, refusals, strict=True)
        ]
    )
