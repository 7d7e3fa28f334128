"""What renewal hears: each handler hands its batch to one use case."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal.container import RenewalContainer
from services.renewal.service import decisions, enterprises, numbers, resync
from shared.contracts import topology
from shared.contracts.certnumber import ApprovalsResyncRequested, NumberAssigned, NumberingFailed, NumberVoided
from shared.contracts.enterprise import EnterpriseRegistered, EnterprisesDigest, EnterpriseState, EnterpriseUpdated
from shared.contracts.review import (
    ApplicationsResyncRequested,
    ReviewApprovalWithdrawn,
    ReviewApproved,
    ReviewDecision,
    ReviewDecisionRepeated,
    ReviewRejected,
)
from shared.messaging import Received, Subscription


async def on_enterprise(
    _container: RenewalContainer, session: AsyncSession, batch: Sequence[Received[EnterpriseState]]
) -> None:
    await enterprises.keep_newest(session, [item.event for item in batch])


async def on_decision(
    container: RenewalContainer, session: AsyncSession, batch: Sequence[Received[ReviewDecision]]
) -> None:
    await decisions.take_decisions(container, session, batch)


async def on_number_assigned(
    container: RenewalContainer, session: AsyncSession, batch: Sequence[Received[NumberAssigned]]
) -> None:
    await numbers.certify(container, session, batch)


async def on_number_voided(
    container: RenewalContainer, session: AsyncSession, batch: Sequence[Received[NumberVoided]]
) -> None:
    await numbers.void_certificates(container, session, batch)


async def on_numbering_failed(
    container: RenewalContainer, session: AsyncSession, batch: Sequence[Received[NumberingFailed]]
) -> None:
    await numbers.fail_numbering(container, session, batch)


async def on_enterprises_digest(
    container: RenewalContainer, session: AsyncSession, batch: Sequence[Received[EnterprisesDigest]]
) -> None:
    await resync.ask_for_enterprises(container, session, batch[-1].event)


async def on_applications_resync_requested(
    container: RenewalContainer, session: AsyncSession, batch: Sequence[Received[ApplicationsResyncRequested]]
) -> None:
    for received in batch:
        await resync.tell_review(container, session, received.event)


async def on_approvals_resync_requested(
    container: RenewalContainer, session: AsyncSession, batch: Sequence[Received[ApprovalsResyncRequested]]
) -> None:
    for received in batch:
        await resync.tell_certnumber(container, session, received.event)


SUBSCRIPTIONS = (
    Subscription(topology.RENEWAL_ENTERPRISES, {EnterpriseRegistered: on_enterprise, EnterpriseUpdated: on_enterprise}),
    Subscription(
        topology.RENEWAL_DECISIONS,
        {ReviewApproved: on_decision, ReviewRejected: on_decision, ReviewApprovalWithdrawn: on_decision},
    ),
    Subscription(
        topology.RENEWAL_NUMBERS,
        {
            NumberAssigned: on_number_assigned,
            NumberVoided: on_number_voided,
            NumberingFailed: on_numbering_failed,
        },
    ),
    Subscription(
        topology.RENEWAL_RESYNC,
        {
            EnterprisesDigest: on_enterprises_digest,
            ApplicationsResyncRequested: on_applications_resync_requested,
            ApprovalsResyncRequested: on_approvals_resync_requested,
            ReviewDecisionRepeated: on_decision,
        },
    ),
)
