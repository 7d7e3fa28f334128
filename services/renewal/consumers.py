"""What renewal hears."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal import queries
from services.renewal.container import RenewalContainer
from services.renewal.service.decisions import take_decisions
from services.renewal.service.numbers import certify, note_failure, note_void
from shared.contracts import topology
from shared.contracts.certnumber import NumberAssigned, NumberingFailed, NumberVoided
from shared.contracts.enterprise import EnterpriseRegistered, EnterpriseUpdated
from shared.contracts.review import ReviewApprovalWithdrawn, ReviewApproved, ReviewRejected
from shared.messaging import Received, Subscription


async def on_enterprise(
    _container: RenewalContainer,
    session: AsyncSession,
    batch: Sequence[Received[EnterpriseRegistered] | Received[EnterpriseUpdated]],
) -> None:
    newest = {item.event.enterprise_id: item.event for item in sorted(batch, key=lambda item: item.event.revision)}
    rows = [{"id": key, "name": event.name, "revision": event.revision} for key, event in sorted(newest.items())]
    await queries.upsert_enterprises(session, rows)


SUBSCRIPTIONS = (
    Subscription(topology.RENEWAL_ENTERPRISES, {EnterpriseRegistered: on_enterprise, EnterpriseUpdated: on_enterprise}),
    Subscription(
        topology.RENEWAL_DECISIONS,
        {
            ReviewApproved: take_decisions,
            ReviewRejected: take_decisions,
            ReviewApprovalWithdrawn: take_decisions,
        },
    ),
    Subscription(
        topology.RENEWAL_NUMBERS, {NumberAssigned: certify, NumberVoided: note_void, NumberingFailed: note_failure}
    ),
)
