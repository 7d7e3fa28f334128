"""What Prometheus is told of renewal at each scrape of its worker."""

from services.renewal.container import RenewalContainer
from services.renewal.service.numbers import count_waiting
from shared.observability.metrics import APPROVAL_AGE, APPROVALS_WAITING


async def sample_approvals(container: RenewalContainer) -> None:
    """Set the gauges of approvals without a number, as renewal counts them: certnumber may not know of all."""
    async with container.database.transaction() as session:
        number, seconds = await count_waiting(session)
    APPROVALS_WAITING.labels(container.service).set(number)
    APPROVAL_AGE.labels(container.service).set(seconds)
