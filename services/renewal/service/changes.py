"""What every change of an application leaves behind: a history row, and the state that events carry."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal.container import RenewalContainer
from services.renewal.domain import Post, application_number
from services.renewal.models import Application, HeldCertificate, HistoryRow, ImageRow
from shared.contracts import renewal as contract
from shared.contracts.renewal import PERSON_BLOCK, ImageReference, PersonBlock

ID_NUMBER = "renewal.id_number"


def record(
    session: AsyncSession, application: Application, action: str, actor: str, at: datetime, comment: str | None = None
) -> None:
    """Number the change and write it into the history."""
    application.change_no += 1
    application.updated_at = at
    session.add(
        HistoryRow(
            application_id=application.id,
            change_no=application.change_no,
            at=at,
            action=action,
            actor=actor,
            status=application.status,
            revision=application.revision,
            decision_no=application.decision_no,
            reason_code=application.reason_code,
            reason_label=application.reason_label,
            reason_field=application.reason_field,
            comment=comment or application.comment,
            certificate_number=application.certificate_number,
        )
    )


def state(
    container: RenewalContainer,
    application: Application,
    posts: dict[str, Post],
    images: Iterable[ImageRow],
    held: Iterable[HeldCertificate],
) -> dict[str, Any]:
    """The fields of shared.contracts.renewal.ApplicationState, the person sealed."""
    person = application.person
    block = PersonBlock(
        name=person.name,
        id_number=container.cipher.decrypt(person.id_number, ID_NUMBER),
        sex=person.sex,
        birth_date=person.birth_date,
        held=tuple(
            contract.HeldCertificate(
                post=certificate.post,
                post_name=posts[certificate.post].name,
                certificate_number=certificate.certificate_number,
                valid_until=certificate.valid_until,
            )
            for certificate in held
        ),
    )
    return {
        "application_id": application.id,
        "application_number": application_number(application.sequence),
        "change_no": application.change_no,
        "revision": application.revision,
        "decision_no": application.decision_no,
        "status": application.status.value,
        "person": container.cipher.seal(block, PERSON_BLOCK),
        "person_index": person.id_number_index,
        "enterprise_id": application.enterprise_id,
        "enterprise_name": application.enterprise.name,
        "post": application.post,
        "post_name": posts[application.post].name,
        "certificate_number": application.certificate_number,
        "images": tuple(
            ImageReference.model_validate(
                {"kind": row.kind, "sha256": row.sha256, "width": row.width, "height": row.height}
            )
            for row in images
        ),
        "added_at": application.added_at,
        "submitted_at": application.submitted_at,
        "reason_code": application.reason_code,
        "comment": application.comment,
    }
