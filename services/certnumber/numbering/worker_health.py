"""A Celery worker as operators see it: its main process counts, watches and answers, its pool's processes number."""

import asyncio
import time
from functools import partial
from threading import Thread
from typing import Any

from celery import Celery
from celery.bootsteps import StartStopStep
from celery.signals import worker_process_init, worker_process_shutdown, worker_ready
from celery.worker.request import Request

from services.certnumber.settings import CertnumberSettings
from shared.messaging import BrokerTimings, QueueMonitor, RabbitMQ
from shared.messaging.health import Stalled
from shared.observability.metrics import TASKS
from shared.observability.readiness import Check, Readiness
from shared.observability.tracing import configure_tracing, flush
from shared.persistence.db import Database
from shared.runtime.operations import operations, samplers_of

NAME = "certnumber-celery"


class CountedRequest(Request):
    """Counts how the messages of tasks are settled, in the one process that is asked for metrics."""

    def acknowledge(self) -> None:
        self._count("done")
        super().acknowledge()

    def reject(self, requeue: bool = False) -> None:
        self._count("returned" if requeue else "failed")
        super().reject(requeue)

    def _count(self, outcome: str) -> None:
        if not self.acknowledged:
            TASKS.labels(self.name, outcome).inc()


class Pulse(StartStopStep):
    """Beats as long as the main loop turns, which it does only while its consumer has a connection."""

    requires = ("celery.worker.consumer.tasks:Tasks",)
    beaten_at = float("-inf")

    def start(self, parent: Any) -> None:
        # Again after every reconnection, which clears the timer.
        parent.timer.call_repeatedly(1.0, Pulse.beat)

    @classmethod
    def beat(cls) -> None:
        cls.beaten_at = time.monotonic()

    @classmethod
    async def check(cls, stall_timeout: float) -> None:
        if time.monotonic() - cls.beaten_at > stall_timeout:
            raise Stalled


def install(app: Celery, settings: CertnumberSettings, queue: str) -> None:
    """Trace in the pool's processes, and answer on the operators' port beside the main one, once it is ready."""
    worker_process_init.connect(lambda **_: configure_tracing(), weak=False)
    worker_process_shutdown.connect(lambda **_: flush(), weak=False)
    if settings.metrics_port:
        app.steps["consumer"].add(Pulse)
        worker_ready.connect(
            lambda **_: Thread(target=asyncio.run, args=(_answer(settings, queue),), daemon=True).start(), weak=False
        )


async def _answer(settings: CertnumberSettings, queue: str) -> None:
    database = Database(settings.database_url.get_secret_value(), pool_size=1)
    monitor = QueueMonitor({queue: {"ready": queue}}, stall_timeout=settings.stall_seconds)
    checks: dict[str, Check] = {
        "database": database.ping,
        "broker": monitor.check,
        "loop": partial(Pulse.check, settings.stall_seconds),
        f"consumer {queue}": partial(monitor.check_subscribed, queue),
    }
    readiness = Readiness(service=NAME, dependencies=checks)
    samplers = [*samplers_of(readiness), monitor.sample]
    async with operations(readiness, samplers, settings.host, settings.metrics_port):
        timings = BrokerTimings(heartbeat=settings.broker_heartbeat)
        await RabbitMQ(str(settings.numbering_broker_url), (), name=NAME, timings=timings).monitor(monitor)
