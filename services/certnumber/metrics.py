"""What Prometheus is told of the numbering at each scrape of a worker."""

from services.certnumber.container import CertnumberContainer
from services.certnumber.service.proof import read_figures
from shared.observability.metrics import APPROVAL_AGE, APPROVALS_FAILED, APPROVALS_WAITING, NUMBERS_ASSIGNED


async def sample_numbering(container: CertnumberContainer) -> None:
    """Set the gauges of numbers given and of approvals without one."""
    async with container.database.transaction() as session:
        figures = await read_figures(session)
    NUMBERS_ASSIGNED.labels(container.service).set(figures.assigned)
    APPROVALS_WAITING.labels(container.service).set(figures.waiting)
    APPROVALS_FAILED.labels(container.service).set(figures.failed)
    APPROVAL_AGE.labels(container.service).set(figures.oldest_seconds)
