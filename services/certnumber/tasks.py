"""The numbering as a Celery task: `celery -A services.certnumber.tasks worker --without-heartbeat` (or `beat`).

A message is only a wake-up: what has to be numbered is a row in the database, and a sweep every SWEEP_SECONDS finds
whatever a lost message would have announced. So a message that fails is dropped, never kept.
"""

import time
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from celery import Celery, Task
from celery.schedules import schedule
from celery.signals import setup_logging, worker_process_init
from kombu import Exchange, Queue
from sqlalchemy.orm import Session

from services.certnumber.numbering.allocation import assign_batch, create_engine
from services.certnumber.numbering.waker import PUBLISH_OPTIONS, SWEEP_SECONDS, TASK
from services.certnumber.settings import CertnumberSettings
from shared.messaging import Announcer, Outbox
from shared.observability.telemetry import configure_logging, get_logger
from shared.observability.tracing import SpanKind, span
from shared.runtime.settings import explained_settings
from shared.values.clock import Clock, SystemClock

log = get_logger(__name__)

# Ends a run long before Celery would; the next sweep goes on.
RUN_SECONDS = 30.0

_QUEUE = Queue(
    "certnumber.numbering",
    # Native delayed delivery, which Celery sets up for quorum queues, cannot use a direct exchange.
    Exchange("certnumber.tasks", type="topic"),
    routing_key=TASK,
    queue_arguments={
        "x-queue-type": "quorum",
        "x-delivery-limit": 5,
        # With no worker alive a hundred wake-ups are as good as a million.
        "x-max-length": 100,
        "x-overflow": "drop-head",
    },
)

_ORIGIN = datetime.now(UTC) - timedelta(seconds=time.monotonic())


def _steady_now() -> datetime:
    """Give the time by the clock that does not jump: set back by an hour, beat would be silent for an hour."""
    return _ORIGIN + timedelta(seconds=time.monotonic())


_TRANSPORT = {"confirm_publish": True, "max_retries": 1}
_CONFIGURATION: dict[str, Any] = {
    "task_queues": [_QUEUE],
    "task_default_queue": _QUEUE.name,
    "task_default_exchange": _QUEUE.exchange.name,
    "task_default_exchange_type": "topic",
    "task_default_routing_key": TASK,
    "task_default_queue_type": "quorum",
    "task_create_missing_queue_type": "quorum",
    "task_acks_late": True,
    "task_acks_on_failure": False,
    "task_acks_on_timeout": False,
    "task_reject_on_worker_lost": True,
    "task_ignore_result": True,
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_soft_time_limit": 45,
    "task_time_limit": 60,
    "worker_prefetch_multiplier": 1,
    "worker_soft_shutdown_timeout": 30,
    "worker_hijack_root_logger": False,
    "worker_cancel_long_running_tasks_on_connection_loss": True,
    "broker_connection_timeout": 4,
    "broker_connection_retry": True,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "beat_scheduler": "celery.beat.Scheduler",
    "beat_schedule": {
        "sweep": {"task": TASK, "schedule": schedule(SWEEP_SECONDS, nowfun=_steady_now), "options": PUBLISH_OPTIONS}
    },
    "timezone": "UTC",
}


class Numbering:
    """Numbers all that waits, batch by batch, on one process's own connection."""

    def __init__(self, settings: CertnumberSettings, clock: Clock, outbox: Outbox) -> None:
        self._limit = settings.numbering_batch
        self._clock = clock
        self._outbox = outbox
        self.engine = create_engine(settings.database_url.get_secret_value())

    def run(self) -> int:
        """Number until no full batch waits or RUN_SECONDS are over; gives how many approvals were handled."""
        deadline = time.monotonic() + RUN_SECONDS
        total = 0
        while True:
            with Session(self.engine) as session, session.begin():
                count = assign_batch(session, self._clock, self._outbox, self._limit)
            total += count
            if count < self._limit or time.monotonic() > deadline:
                return total


def create_celery(settings: CertnumberSettings, *, clock: Clock | None = None, outbox: Outbox | None = None) -> Celery:
    """Make the Celery application with its one task, whose events go through `outbox`; without one, the process has no
    relay, and tells that of others."""
    if outbox is None:
        outbox = Outbox("certnumber", Announcer(settings.database_url.get_secret_value()).tell)
    numbering = Numbering(settings, clock or SystemClock(), outbox)
    app = Celery("certnumber", broker=settings.numbering_broker_url, set_as_current=False)
    app.conf.update(_CONFIGURATION, broker_heartbeat=settings.broker_heartbeat)
    # A worker's main loop, too, waits for the broker's answers, without an end of its own: where none comes any more,
    # it would never come to notice that heartbeats are missing.
    within = 2 * settings.broker_heartbeat
    app.conf.broker_transport_options = {**_TRANSPORT, "read_timeout": within, "write_timeout": within}

    # A shared task would be registered with every other application of the process too, and number there.
    @app.task(name=TASK, shared=False, bind=True, Request="services.certnumber.numbering.worker_health:CountedRequest")
    def assign_numbers(self: Task[[], None]) -> None:
        # The trace of whatever woke us; the sweep's wake-ups belong to none.
        with span("certnumber", TASK, SpanKind.CONSUMER, (self.request.headers or {}).get("traceparent")):
            total = numbering.run()
            if total:
                log.info("numbering.done", approvals=total)

    # A connection inherited over fork would be two processes' at once.
    worker_process_init.connect(lambda **_: numbering.engine.dispose(close=False), weak=False)
    return app


@cache
def _from_environment() -> Celery:
    with explained_settings():
        settings = CertnumberSettings()
    if settings.numbering_broker_url is None:
        raise SystemExit("GANZHENG_BROKER_URL is not set")
    setup_logging.connect(lambda **_: configure_logging(settings.log_level), weak=False)
    app = create_celery(settings)
    # Only Celery's own processes need it.
    from services.certnumber.numbering.worker_health import install

    install(app, settings, _QUEUE.name)
    return app


def __getattr__(name: str) -> Celery:
    """`app`, which Celery's command line looks for, is made when asked for: importing this module reads no settings."""
    if name == "app":
        return _from_environment()
    raise AttributeError(name)
