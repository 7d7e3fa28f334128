"""Approvals that `renewal` announces and withdraws, in any order and any number of times."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from services.certnumber import queries
from services.certnumber.container import CertnumberContainer
from services.certnumber.domain import ApprovalStatus, NumberState, void_reason
from services.certnumber.models import LedgerEntry, QueuedApproval
from shared.contracts.certnumber import NumberVoided
from shared.contracts.renewal import (
    PERSON_BLOCK,
    ApplicationState,
    PersonBlock,
    RenewalApprovalWithdrawn,
    RenewalApproved,
)
from shared.messaging import Received, traced
from shared.persistence.db import after_commit
from shared.values.idnumber import mask_name, masked


async def queue_approvals(
    container: CertnumberContainer, session: AsyncSession, batch: Sequence[Received[RenewalApproved]]
) -> None:
    """Make each approval wait for a number. One that a later approval has overtaken must have been withdrawn.

    Raises DecryptionFailed.
    """
    rows = {}
    latest = await queries.latest_decisions(session, {received.event.application_id for received in batch})
    for received in batch:
        application, decision_no = received.event.application_id, received.event.decision_no
        latest[application] = max(decision_no, latest.get(application, decision_no))
        rows[application, decision_no] = received
    await queries.add_approvals(
        session,
        [
            _queued(container, received, overtaken=decision_no < latest[application])
            for (application, decision_no), received in rows.items()
        ],
    )
    after_commit(session, container.waker.wake)


async def withdraw_approvals(
    container: CertnumberContainer, session: AsyncSession, batch: Sequence[Received[RenewalApprovalWithdrawn]]
) -> None:
    """Take each approval out of the queue, or void the number it has. One that is yet to come is withdrawn already.

    Raises DecryptionFailed.
    """
    withdrawn = {(received.event.application_id, received.event.approval): received for received in batch}
    keys = sorted(withdrawn)
    await queries.add_approvals(session, [_withdrawn(container, withdrawn[key].event, key[1]) for key in keys])
    approvals = await queries.lock_approvals(session, keys)
    numbered = [key for key in keys if approvals[key].status == ApprovalStatus.numbered]
    entries = await queries.find_entries(session, numbered) if numbered else {}
    for received in traced([withdrawn[key] for key in keys]):
        key = (received.event.application_id, received.event.approval)
        approvals[key].status = ApprovalStatus.withdrawn
        approvals[key].failure_code = None
        if key in entries:
            _void(container, session, entries[key], received.event)
    # A later approval may have waited for this.
    after_commit(session, container.waker.wake)


def _void(
    container: CertnumberContainer, session: AsyncSession, entry: LedgerEntry, event: RenewalApprovalWithdrawn
) -> None:
    now = container.clock.now()
    entry.state = NumberState.void
    entry.voided_at = now
    entry.void_reason = void_reason(event.reason_code, event.comment and masked(event.comment))
    voided = NumberVoided(
        application_id=entry.application_id, decision_no=entry.decision_no, number=entry.number, voided_at=now
    )
    container.outbox.add(session, voided, now)


# No id number gets into the ledger, whose rows stay as they are: not from an older version's events either.
def _queued(container: CertnumberContainer, received: Received[RenewalApproved], *, overtaken: bool) -> QueuedApproval:
    event = received.event
    return QueuedApproval(
        application_id=event.application_id,
        decision_no=event.decision_no,
        status=ApprovalStatus.withdrawn if overtaken else ApprovalStatus.waiting,
        post=event.post,
        post_name=event.post_name,
        enterprise_name=masked(event.enterprise_name),
        holder_masked=_masked_holder(container, event),
        previous_approval=event.previous_approval,
        replaces=event.replaces and masked(event.replaces),
        approved_at=event.approved_at,
        traceparent=received.traceparent,
    )


def _withdrawn(container: CertnumberContainer, event: RenewalApprovalWithdrawn, decision_no: int) -> QueuedApproval:
    return QueuedApproval(
        application_id=event.application_id,
        decision_no=decision_no,
        status=ApprovalStatus.withdrawn,
        post=event.post,
        post_name=event.post_name,
        enterprise_name=masked(event.enterprise_name),
        holder_masked=_masked_holder(container, event),
    )


def _masked_holder(container: CertnumberContainer, event: ApplicationState) -> str:
    return mask_name(container.cipher.open(event.person, PERSON_BLOCK, PersonBlock).name)
