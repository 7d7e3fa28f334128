"""Every metric of the platform. Labels are names from our own tables (services, queues, route templates), never what a
caller sent: no id, no name, no raw path.

Counters and histograms are counted where it happens. What has to be asked for is sampled when Prometheus asks, by the
workers, each of its own database and queues; all copies of a worker say the same, so take the max() of them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE

from shared.observability.telemetry import get_logger

log = get_logger(__name__)

__all__ = ["CONTENT_TYPE", "Sampler", "exposition"]

Sampler = Callable[[], Awaitable[None]]

# Less than the ten seconds Prometheus gives a scrape.
SAMPLE_TIMEOUT = 5.0

# A series more for each, which nobody reads.
disable_created_metrics()  # type: ignore[no-untyped-call]

HTTP_REQUESTS = Histogram(
    "ganzheng_http_request_seconds",
    "Time from a request's arrival to the end of its response.",
    ("service", "method", "route", "status"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
REQUEST_WAIT = Histogram(
    "ganzheng_request_wait_seconds",
    "Time that a request which was let in had waited at the door.",
    ("service",),
    buckets=(0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2),
)
REQUESTS_SHED = Counter(
    "ganzheng_requests_shed",
    "Requests that were told to come again later: of the authority, of enterprises, of anybody else.",
    ("service", "caller"),
)
REQUESTS_WAITING = Gauge("ganzheng_requests_waiting", "Requests in line at the door of this process.", ("service",))
REQUESTS_UNDER_WAY = Gauge("ganzheng_requests_under_way", "Requests that this process is working on.", ("service",))
REQUESTS_CAPACITY = Gauge(
    "ganzheng_requests_capacity",
    "Requests a second that this process gets done, as measured when others last had to wait.",
    ("service",),
)
MESSAGES = Counter("ganzheng_messages", "Events that a consumer settled: done, retry or dead.", ("queue", "outcome"))
EVENT_AGE = Histogram(
    "ganzheng_event_age_seconds",
    "Time from an event to its effect, of the oldest event in each batch.",
    ("queue",),
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
)
PUBLISHED = Counter(
    "ganzheng_published",
    "Events handed to the broker: confirmed, or failed and to be tried again.",
    ("service", "outcome"),
)
RESYNCED = Counter(
    "ganzheng_resynced",
    "Rows whose state was said again, because another service had not heard of it.",
    ("service",),
)
TASKS = Counter(
    "ganzheng_tasks",
    "Celery tasks that a worker settled: done, failed (dropped) or returned (process lost or out of time).",
    ("task", "outcome"),
)

OUTBOX_ROWS = Gauge(
    "ganzheng_outbox_rows", "Events not yet confirmed by the broker, counted up to 10,000.", ("service",)
)
OUTBOX_AGE = Gauge(
    "ganzheng_outbox_age_seconds", "Age of the oldest event not yet confirmed by the broker.", ("service",)
)
QUEUE_MESSAGES = Gauge(
    "ganzheng_queue_messages", "Messages waiting: ready, to be retried later, or dead.", ("queue", "state")
)
QUEUE_CONSUMERS = Gauge("ganzheng_queue_consumers", "Consumers of the queue, as the broker counts them.", ("queue",))
DB_IN_USE = Gauge("ganzheng_db_connections_in_use", "Connections of the pool that are in use.", ("service",))
DB_MAX = Gauge("ganzheng_db_connections_max", "Connections the pool may open.", ("service",))
CHECK_OK = Gauge("ganzheng_check_ok", "1 if this check of readiness passes, 0 if not.", ("service", "check"))
NUMBERS_ASSIGNED = Gauge(
    "ganzheng_numbers_assigned", "Numbers given so far, in all series; only ever grows.", ("service",)
)
APPROVALS_WAITING = Gauge("ganzheng_approvals_waiting", "Approvals that have no number yet.", ("service",))
APPROVAL_AGE = Gauge(
    "ganzheng_approval_age_seconds", "Age of the oldest approval that has no number yet.", ("service",)
)
APPROVALS_FAILED = Gauge(
    "ganzheng_approvals_failed", "Approvals that cannot be numbered under the present series.", ("service",)
)

_SAMPLED = (
    OUTBOX_ROWS, OUTBOX_AGE, QUEUE_MESSAGES, QUEUE_CONSUMERS, DB_IN_USE, DB_MAX, CHECK_OK,
    NUMBERS_ASSIGNED, APPROVALS_WAITING, APPROVALS_FAILED, APPROVAL_AGE,
)  # fmt: skip
_sampling = asyncio.Lock()


async def exposition(samplers: Sequence[Sampler]) -> bytes:
    """Write all metrics as Prometheus' text. What cannot be sampled is absent: an old figure would look like news."""
    async with _sampling:
        for gauge in _SAMPLED:
            gauge.clear()
        await asyncio.gather(*(_sample(sampler) for sampler in samplers))
        return generate_latest()


async def _sample(sampler: Sampler) -> None:
    try:
        async with asyncio.timeout(SAMPLE_TIMEOUT):
            await sampler()
    except Exception as error:
        log.warning("metrics.not_sampled", error=type(error).__name__)
