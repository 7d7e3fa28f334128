"""What certnumber says: a number given, voided, or not to be had.

`decision_no` names the approval a number belongs to. Word about an approval that no longer holds comes late and leaves
at most a void certificate; word about one that is ahead of us waits. So any order and number of deliveries ends in the
same state.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal import queries
from services.renewal.container import RenewalContainer
from services.renewal.domain import Action, DecisionReason, next_status
from services.renewal.lifecycle import PLATFORM, Applications, record
from services.renewal.models import Application
from shared.contracts.certnumber import NumberAssigned, NumberingEvent, NumberingFailed, NumberVoided
from shared.messaging import PredecessorMissing, Received, traced


async def _load(
    container: RenewalContainer, session: AsyncSession, batch: Sequence[Received[NumberingEvent]]
) -> Applications:
    """Raises PredecessorMissing for what is not here yet: a restored database may be behind."""
    applications = await Applications.load(container, session, (item.event.application_id for item in batch))
    _check_arrived(batch, applications.rows)
    return applications


def _check_arrived(batch: Sequence[Received[NumberingEvent]], rows: Mapping[UUID, Application]) -> None:
    """Raises PredecessorMissing for an application or an approval that is not here."""
    for item in batch:
        row = rows.get(item.event.application_id)
        if row is None or item.event.decision_no > row.decision_no:
            raise PredecessorMissing


def _is_awaited(application: Application, event: NumberingEvent) -> bool:
    """Whether a number for this approval is still waited for."""
    may_certify = next_status(application.status, Action.certify) is not None
    return may_certify and application.decision_no == event.decision_no


async def certify(
    container: RenewalContainer, session: AsyncSession, batch: Sequence[Received[NumberAssigned]]
) -> None:
    """approved -> certified; the number becomes a held certificate of the person.

    The number of an approval that was withdrawn meanwhile is kept as a void one. One that the registry knows as another
    certificate's is given back.
    """
    applications = await _load(container, session, batch)
    known = await queries.certificates_by_number(session, (item.event.number for item in batch))
    events = [item.event for item in batch]
    late = [event for event in events if not _is_awaited(applications[event.application_id], event)]
    posts = await queries.approved_posts(session, {(event.application_id, event.decision_no) for event in late})
    now = container.clock.now()
    for received in traced(batch):
        event, application = received.event, applications[received.event.application_id]
        if not _is_awaited(application, event):
            if event.number not in known:
                applications.hold(application, event, posts[event.application_id, event.decision_no], now, void=True)
        elif event.number in known:
            withdraw_conflicting_number(applications, application, event.number, now)
        else:
            applications.certify(application, event, now)
    await applications.save()


def withdraw_conflicting_number(
    applications: Applications, application: Application, number: str, now: datetime
) -> None:
    """Withdraw the approval, so that certnumber voids the number and the next approval gets another one."""
    comment = f"编号{number}在平台数据中已是其他证书的编号，已自动作废，请重新审核以取得新编号"
    applications.withdraw(
        application, PLATFORM, DecisionReason(code="number_taken", label="编号已被占用", comment=comment), now
    )


async def void_certificates(
    container: RenewalContainer, session: AsyncSession, batch: Sequence[Received[NumberVoided]]
) -> None:
    """The number is void in the ledger. Its certificate ended with the approval; this is the second net."""
    rows = await queries.lock_applications(session, (item.event.application_id for item in batch))
    _check_arrived(batch, rows)
    certificates = await queries.certificates_by_number(session, (item.event.number for item in batch))
    now = container.clock.now()
    for received in traced(batch):
        application = rows[received.event.application_id]
        certificate = certificates.get(received.event.number)
        if certificate and certificate.application_id == application.id and certificate.voided_at is None:
            certificate.voided_at = certificate.updated_at = received.event.voided_at
        record(session, application, "number_voided", PLATFORM, now, comment=received.event.number)


async def fail_numbering(
    container: RenewalContainer, session: AsyncSession, batch: Sequence[Received[NumberingFailed]]
) -> None:
    """Note why an approval has no number yet. Word about an approval that no longer holds is no news."""
    applications = await _load(container, session, batch)
    now = container.clock.now()
    for received in traced(batch):
        event, application = received.event, applications[received.event.application_id]
        if _is_awaited(application, event):
            applications.fail_numbering(application, event.code, event.detail, now)
    await applications.save()


async def count_waiting(session: AsyncSession) -> tuple[int, float]:
    """Count the approvals that still wait for word of certnumber, and for how many seconds the oldest has."""
    return await queries.count_waiting(session)
