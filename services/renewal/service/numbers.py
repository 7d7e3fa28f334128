"""What certnumber says: a number given, voided, or not to be had.

`decision_no` names the approval a number belongs to. Word about an approval that no longer holds comes late and changes
nothing, so any order and number of deliveries ends in the same state.
"""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal import queries
from services.renewal.container import RenewalContainer
from services.renewal.domain import Action, month_anniversary, next_status
from services.renewal.models import Application, HeldCertificate
from services.renewal.service.changes import record, state
from shared.clock import business_day
from shared.contracts.certnumber import NumberAssigned, NumberingFailed, NumberVoided
from shared.contracts.renewal import RenewalCertified, RenewalNumberingFailed
from shared.messaging import Received, TooEarly, traced

PLATFORM = "platform"


async def _load(session: AsyncSession, batch: Sequence[Received[Any]]) -> dict[Any, Application]:
    """Raises TooEarly when one of the applications is unknown (a restored database may be behind)."""
    applications = await queries.lock_applications(session, (item.event.application_id for item in batch))
    if any(item.event.application_id not in applications for item in batch):
        raise TooEarly
    return applications


def _awaits(application: Application, decision_no: int) -> bool:
    following = next_status(application.status, Action.number)
    return following is not None and application.decision_no == decision_no


async def certify(
    container: RenewalContainer, session: AsyncSession, batch: Sequence[Received[NumberAssigned]]
) -> None:
    """approved -> certified; the number becomes a held certificate of the person."""
    applications = await _load(session, batch)
    posts = await queries.posts(session)
    holdings = await queries.holdings(session, (row.person_id for row in applications.values()))
    images = await queries.current_images(session, applications)
    now = container.clock.now()
    for received in traced(batch):
        event, application = received.event, applications[received.event.application_id]
        following = next_status(application.status, Action.number)
        if following is None or not _awaits(application, event.decision_no):
            continue
        application.status = following
        application.certificate_number = event.number
        application.numbering_failure = None
        post = posts[application.post]
        certificate = HeldCertificate(
            id=uuid4(),
            person_id=application.person_id,
            post=post.code,
            certificate_number=event.number,
            valid_until=month_anniversary(event.issued_on, 12 * post.validity_years),
            application_id=application.id,
            created_at=now,
            updated_at=now,
        )
        session.add(certificate)
        holdings.certificates[application.person_id].append(certificate)
        record(session, application, "certify", PLATFORM, now)
        held = holdings.valid(application.person_id, business_day(now))
        fields = state(container, application, posts, images[application.id], held)
        container.outbox.add(session, RenewalCertified(**fields, issued_on=event.issued_on), now)


async def note_void(
    container: RenewalContainer, session: AsyncSession, batch: Sequence[Received[NumberVoided]]
) -> None:
    """The number is void in the ledger. Its certificate ended with the approval; this is the second net."""
    applications = await _load(session, batch)
    certificates = await queries.certificates_by_number(session, (item.event.number for item in batch))
    now = container.clock.now()
    for received in traced(batch):
        certificate = certificates.get(received.event.number)
        if certificate is not None and certificate.voided_at is None:
            certificate.voided_at = certificate.updated_at = received.event.voided_at
        application = applications[received.event.application_id]
        record(session, application, "number_voided", PLATFORM, now, comment=received.event.number)


async def note_failure(
    container: RenewalContainer, session: AsyncSession, batch: Sequence[Received[NumberingFailed]]
) -> None:
    """The approval stands without a number until an administrator mends the series; the desk is told."""
    applications = await _load(session, batch)
    posts = await queries.posts(session)
    images = await queries.current_images(session, applications)
    now = container.clock.now()
    for received in traced(batch):
        event, application = received.event, applications[received.event.application_id]
        if not _awaits(application, event.decision_no):
            continue
        application.numbering_failure = event.detail
        record(session, application, "numbering_failed", PLATFORM, now, comment=event.detail)
        fields = state(container, application, posts, images[application.id], [])
        container.outbox.add(session, RenewalNumberingFailed(**fields, code=event.code, detail=event.detail), now)
