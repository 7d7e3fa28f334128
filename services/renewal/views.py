"""Makes of rows and results what clients see."""

from collections.abc import Iterable

from services.renewal.container import RenewalContainer
from services.renewal.domain import LABELS, Ineligibility, Post, application_number, repeated_images
from services.renewal.models import ID_NUMBER, Change, Image, Picture
from services.renewal.schemas import (
    ApplicationDetail,
    ApplicationRead,
    EligibilityRead,
    HistoryEntry,
    ImageRead,
    PersonRead,
    PostEligibility,
    PostRead,
    ReasonRead,
)
from services.renewal.service.applications import Dossier, Overview
from services.renewal.service.eligibility import Eligibility
from shared.values.idnumber import mask


def overview(container: RenewalContainer, found: Overview) -> ApplicationRead:
    application = found.application
    return ApplicationRead(
        id=application.id,
        application_number=application_number(application.sequence),
        status=application.status,
        status_label=LABELS[application.status],
        revision=application.revision,
        decision_no=application.decision_no,
        name=application.person.name,
        id_number_masked=mask(container.cipher.decrypt(application.person.id_number, ID_NUMBER)),
        post=application.post,
        post_name=found.posts[application.post].name,
        certificate_number=application.certificate_number,
        **application.reason.named(),
        numbering_failure=application.numbering_failure,
        images=[image(row) for row in found.images],
        repeated_images=repeated_images({row.kind: row.pixel_sha256 for row in found.images}),
        added_at=application.added_at,
        submitted_at=application.submitted_at,
        updated_at=application.updated_at,
    )


def detail(container: RenewalContainer, dossier: Dossier) -> ApplicationDetail:
    return ApplicationDetail(
        **dict(overview(container, dossier)),
        corrected=dossier.corrected,
        history=[_history_entry(change) for change in dossier.history],
    )


def _history_entry(change: Change) -> HistoryEntry:
    return HistoryEntry(
        change_no=change.change_no,
        at=change.at,
        action=change.action,
        actor=change.actor,
        status=change.status,
        status_label=LABELS[change.status],
        revision=change.revision,
        decision_no=change.decision_no,
        **change.reason.named(),
        certificate_number=change.certificate_number,
    )


def image(row: Image | Picture) -> ImageRead:
    return ImageRead(kind=row.kind, sha256=row.sha256, width=row.width, height=row.height, bytes=row.bytes)


def post(known: Post) -> PostRead:
    return PostRead(code=known.code, name=known.name, family=known.family)


def eligibility(checked: Eligibility) -> EligibilityRead:
    person = checked.person
    return EligibilityRead(
        eligible=checked.eligible,
        person=PersonRead(
            name=person.name,
            id_number_masked=mask(checked.id_number),
            sex=person.sex,
            birth_date=person.birth_date,
        ),
        reasons=_reasons(checked.ineligibilities),
        posts=[
            PostEligibility(code=each.code, name=each.name, eligible=not against, reasons=_reasons(against))
            for each, against in checked.posts
        ],
    )


def _reasons(against: Iterable[Ineligibility]) -> list[ReasonRead]:
    return [ReasonRead(code=each.code, rule=each.rule, message=each.message) for each in against]
