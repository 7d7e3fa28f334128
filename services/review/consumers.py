"""What review hears: every change of an application, in any order and any number of times.

A handler takes a batch of events and calls one use case with it.
"""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from services.review.service import projection, resync
from shared.contracts.renewal import (
    ApplicationsDigest,
    RenewalApprovalWithdrawn,
    RenewalApproved,
    RenewalCancelled,
    RenewalCertified,
    RenewalDecisionRefused,
    RenewalNumberingFailed,
    RenewalRejected,
    RenewalRestated,
    RenewalSnapshot,
    RenewalSubmitted,
)
from shared.contracts.topology import REVIEW_APPLICATIONS, REVIEW_RESYNC
from shared.messaging import Received, Subscription
from shared.runtime.container import Container


async def on_submitted(
    container: Container, session: AsyncSession, batch: Sequence[Received[RenewalSubmitted]]
) -> None:
    await projection.keep_submissions(container, session, batch)


async def on_approved(container: Container, session: AsyncSession, batch: Sequence[Received[RenewalApproved]]) -> None:
    await projection.keep_acceptances(container, session, batch)


async def on_rejected(container: Container, session: AsyncSession, batch: Sequence[Received[RenewalRejected]]) -> None:
    await projection.keep_acceptances(container, session, batch)


async def on_approval_withdrawn(
    container: Container, session: AsyncSession, batch: Sequence[Received[RenewalApprovalWithdrawn]]
) -> None:
    await projection.keep_acceptances(container, session, batch)


async def on_certified(
    container: Container, session: AsyncSession, batch: Sequence[Received[RenewalCertified]]
) -> None:
    await projection.keep_states(container, session, batch)


async def on_cancelled(
    container: Container, session: AsyncSession, batch: Sequence[Received[RenewalCancelled]]
) -> None:
    await projection.keep_states(container, session, batch)


async def on_decision_refused(
    container: Container, session: AsyncSession, batch: Sequence[Received[RenewalDecisionRefused]]
) -> None:
    await projection.keep_refusals(container, session, batch)


async def on_numbering_failed(
    container: Container, session: AsyncSession, batch: Sequence[Received[RenewalNumberingFailed]]
) -> None:
    await projection.keep_numbering_failures(container, session, batch)


async def on_restated(container: Container, session: AsyncSession, batch: Sequence[Received[RenewalRestated]]) -> None:
    await projection.keep_states(container, session, batch)


async def on_digest(container: Container, session: AsyncSession, batch: Sequence[Received[ApplicationsDigest]]) -> None:
    await resync.ask_for_applications(container, session, batch[-1].event)


async def on_snapshot(container: Container, session: AsyncSession, batch: Sequence[Received[RenewalSnapshot]]) -> None:
    await projection.keep_snapshots(container, session, batch)


SUBSCRIPTIONS = (
    Subscription(
        REVIEW_APPLICATIONS,
        {
            RenewalSubmitted: on_submitted,
            RenewalApproved: on_approved,
            RenewalRejected: on_rejected,
            RenewalApprovalWithdrawn: on_approval_withdrawn,
            RenewalCertified: on_certified,
            RenewalCancelled: on_cancelled,
            RenewalDecisionRefused: on_decision_refused,
            RenewalNumberingFailed: on_numbering_failed,
            RenewalRestated: on_restated,
        },
    ),
    Subscription(REVIEW_RESYNC, {ApplicationsDigest: on_digest, RenewalSnapshot: on_snapshot}),
)
