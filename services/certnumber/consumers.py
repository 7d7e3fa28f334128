"""What certnumber hears: approvals to number and withdrawals of them, in any order and any number of times.

A handler takes a batch of events and calls one use case with it.
"""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from services.certnumber.container import CertnumberContainer
from services.certnumber.service import approvals, resync
from shared.contracts.renewal import ApprovalsDigest, RenewalApprovalWithdrawn, RenewalApproved, RenewalSnapshot
from shared.contracts.topology import CERTNUMBER_APPROVALS, CERTNUMBER_RESYNC
from shared.messaging import Received, Subscription


async def on_approved(
    container: CertnumberContainer, session: AsyncSession, batch: Sequence[Received[RenewalApproved]]
) -> None:
    await approvals.queue_approvals(container, session, batch)


async def on_approval_withdrawn(
    container: CertnumberContainer, session: AsyncSession, batch: Sequence[Received[RenewalApprovalWithdrawn]]
) -> None:
    await approvals.withdraw_approvals(container, session, batch)


async def on_digest(
    container: CertnumberContainer, session: AsyncSession, batch: Sequence[Received[ApprovalsDigest]]
) -> None:
    await resync.ask_for_approvals(container, session, batch[-1].event)


async def on_snapshot(
    container: CertnumberContainer, session: AsyncSession, batch: Sequence[Received[RenewalSnapshot]]
) -> None:
    await resync.take_snapshots(container, session, batch)


SUBSCRIPTIONS = (
    Subscription(CERTNUMBER_APPROVALS, {RenewalApproved: on_approved, RenewalApprovalWithdrawn: on_approval_withdrawn}),
    Subscription(CERTNUMBER_RESYNC, {ApprovalsDigest: on_digest, RenewalSnapshot: on_snapshot}),
)
