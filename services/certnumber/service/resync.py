"""What certnumber has not heard of approvals, or renewal of numbers: found out, and mended."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.certnumber import queries
from services.certnumber.container import CertnumberContainer
from services.certnumber.domain import Failure
from services.certnumber.service.approvals import queue_approvals, withdraw_approvals
from shared.contracts.certnumber import ApprovalsResyncRequested, NumberAssigned, NumberingFailed
from shared.contracts.renewal import (
    ApprovalRecord,
    ApprovalsDigest,
    RenewalApprovalWithdrawn,
    RenewalApproved,
    RenewalSnapshot,
)
from shared.messaging import Received
from shared.runtime import resync

# Nobody here asks which decision of the desk led to an approval.
NO_DECISION = UUID(int=0)


async def ask_for_approvals(container: CertnumberContainer, session: AsyncSession, digest: ApprovalsDigest) -> None:
    await resync.ask(container, session, queries.versions(), digest, ApprovalsResyncRequested)


async def take_snapshots(
    container: CertnumberContainer, session: AsyncSession, batch: Sequence[Received[RenewalSnapshot]]
) -> None:
    """Take every approval and withdrawal as if it came only now, and say again what became of the present approvals.

    Raises DecryptionFailed.
    """
    approved = [_approved(received, record) for received, record in _records(batch)]
    if approved:
        await queue_approvals(container, session, approved)
    withdrawn = [
        _withdrawn(received, record) for received, record in _records(batch) if record.withdrawn_at is not None
    ]
    if withdrawn:
        await withdraw_approvals(container, session, withdrawn)
    waiting = {(item.event.application_id, item.event.decision_no) for item in batch if item.event.status == "approved"}
    if waiting:
        await _answer(container, session, waiting)


async def _answer(container: CertnumberContainer, session: AsyncSession, waiting: set[queries.Key]) -> None:
    now = container.clock.now()
    assigned = [
        NumberAssigned(
            application_id=entry.application_id,
            decision_no=entry.decision_no,
            number=entry.number,
            issued_on=entry.issued_on,
            assigned_at=entry.assigned_at,
            replaces=entry.replaces,
        )
        for entry in await queries.find_present_entries(session, waiting)
    ]
    failed = [
        NumberingFailed(
            application_id=row.application_id,
            decision_no=row.decision_no,
            code=failure,
            detail=failure.detail,
        )
        for row in await queries.find_failed(session, waiting)
        for failure in [Failure(row.failure_code or "")]
    ]
    container.outbox.add(session, [*assigned, *failed], now)


def _records(
    batch: Iterable[Received[RenewalSnapshot]],
) -> Iterable[tuple[Received[RenewalSnapshot], ApprovalRecord]]:
    return [(received, record) for received in batch for record in received.event.approvals]


def _approved(received: Received[Any], record: ApprovalRecord) -> Received[RenewalApproved]:
    state = dict(received.event) | dict(record) | {"decision_id": NO_DECISION}
    return replace(received, event=RenewalApproved.model_validate(state))


def _withdrawn(received: Received[Any], record: ApprovalRecord) -> Received[RenewalApprovalWithdrawn]:
    state = dict(received.event) | dict(record) | {"decision_id": None, "approval": record.decision_no}
    return replace(received, event=RenewalApprovalWithdrawn.model_validate(state))
