"""Numbering as celery-batches would do it: a Celery message for each approval, one transaction for a batch of messages.

`celery -A bench.celery_batches worker`; started by bench/numbering.py. A batch that raises is lost, since its messages
are acknowledged all the same, which ours may not do.
"""

import os
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg
from celery import Celery
from celery.signals import worker_process_init
from celery_batches import Batches, SimpleRequest
from kombu import Exchange, Queue

from bench.bare_numbering import Given, number_batch

BATCH = 200
TASK = "bench.number"
QUEUE = Queue(
    "bench.batches",
    Exchange("bench.batches", type="topic"),
    routing_key=TASK,
    queue_arguments={"x-queue-type": "quorum"},
)

app = Celery("bench-batches", broker=os.environ.get("BENCH_BROKER_URL"), set_as_current=False)
app.conf.update(
    task_queues=[QUEUE],
    task_default_queue=QUEUE.name,
    task_default_exchange=QUEUE.exchange.name,
    task_default_exchange_type="topic",
    task_default_routing_key=TASK,
    task_default_queue_type="quorum",
    task_acks_late=True,
    task_ignore_result=True,
    # It wants at least a batch for each of the pool's processes.
    worker_prefetch_multiplier=2 * BATCH,
    worker_hijack_root_logger=False,
)
_connections: dict[int, psycopg.Connection] = {}


def _connection() -> psycopg.Connection:
    """Give this process's own connection."""
    pid = os.getpid()
    if pid not in _connections:
        _connections[pid] = psycopg.connect(os.environ["BENCH_DATABASE_URL"])
    return _connections[pid]


worker_process_init.connect(lambda **_: _connection(), weak=False)


@app.task(name=TASK, base=Batches, flush_every=BATCH, flush_interval=0.05)
def number(requests: Sequence[SimpleRequest]) -> None:
    with _connection().transaction():
        number_batch(_connection(), [_given(request.args) for request in requests])


def _given(arguments: Sequence[Any]) -> Given:
    application, *rest = arguments
    return Given(UUID(application), *rest)
