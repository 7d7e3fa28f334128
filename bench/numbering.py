"""Numbering a backlog through a real Celery worker, psycopg writing the same rows, and celery-batches."""

import asyncio
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from uuid import uuid4

import psycopg

from bench.bare_numbering import Given, number_all
from bench.processor import Snapshot, postmaster
from bench.run import Measurement, compare
from bench.server import durable_postgres
from services.certnumber.numbering.waker import TASK
from services.certnumber.tasks import create_celery
from shared.observability.telemetry import new_traceparent
from tests.support.backing import Backing, Postgres
from tests.support.numbering import environment, new_settings
from tests.support.platform import service_database
from tests.support.processes import Process, base_environment, processes
from tests.support.stack import CELERY
from tests.support.wait import until

APPROVALS = 20_000
BATCH = 500
# Seconds for a worker to start and number all.
PATIENCE = 600.0
# Enough for every process of a pool to have connected and prepared its statements.
WARM_UP = 8 * BATCH
POSTS = (("10", "土建施工员"), ("20", "土建质量员"), ("40", "安全员"))

FILL = """
    INSERT INTO approvals (application_id, decision_no, post, post_name, enterprise_name, holder_masked, traceparent,
                           approved_at, status)
    SELECT application, decision, post, post_name, enterprise, holder, trace,
           %b + ordinality * interval '1 microsecond', 'waiting'
    FROM unnest(%b::uuid[], %b::int[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[])
    WITH ORDINALITY AS given(application, decision, post, post_name, enterprise, holder, trace, ordinality)
"""


def approvals(count: int) -> list[Given]:
    def one(number: int) -> Given:
        post, post_name = POSTS[number % len(POSTS)]
        return Given(uuid4(), 1, post, post_name, f"南昌第{number % 5000}建设有限公司", "张**", new_traceparent())

    return [one(number) for number in range(count)]


def fill(url: str, given: Sequence[Given]) -> None:
    columns = [list(column) for column in zip(*given, strict=True)]
    with psycopg.connect(url) as connection:
        connection.execute(FILL, (datetime.now(UTC), *columns))


@dataclass
class Costs:
    """Microseconds of processor time per number, by measurement: of whoever numbers, and of PostgreSQL."""

    seen: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def note(self, name: str, numbers: int, client: float, server: float) -> None:
        self.seen.setdefault(name, []).append((1e6 * client / numbers, 1e6 * server / numbers))

    def print(self) -> None:
        print("  processor time of a number, in microseconds: who numbers, and PostgreSQL")
        for name, costs in self.seen.items():
            client, server = (median(column) for column in zip(*costs, strict=True))
            print(f"  {name:34} {client:10.1f} {server:10.1f} {client + server:10.1f}")


async def drained(costs: Costs, name: str, url: str, upto: int, worker: Process) -> float:
    """Wait until the counter has reached `upto`; gives the numbers per second since the first one that was seen."""
    with psycopg.connect(url, autocommit=True) as connection:
        server, before = postmaster(connection), _last(connection)

        async def reached(count: int) -> int:
            def last() -> int:
                if worker.popen.poll() is not None:
                    raise RuntimeError(f"{name} has ended:\n{worker.log.read_text()[-2000:]}")
                return _last(connection)

            await until(lambda: last() >= count, PATIENCE, 0.005, f"{count} numbers")
            return last()

        first = await reached(before + 1)
        started, then = time.perf_counter(), Snapshot()
        last = await reached(upto)
        seconds, now = time.perf_counter() - started, Snapshot()
    costs.note(name, last - first, *(now.seconds(root) - then.seconds(root) for root in (worker.popen.pid, server)))
    return (last - first) / seconds


def _last(connection: psycopg.Connection) -> int:
    (last,) = connection.execute("SELECT coalesce(sum(last), 0)::int FROM counters").fetchone() or (0,)
    return int(last)


@contextmanager
def _worker(application: tuple[str, ...], size: int, environment: dict[str, str]) -> Iterator[Process]:
    with (
        tempfile.TemporaryDirectory() as directory,
        processes(Path(directory), base_environment() | environment) as started,
    ):
        options = ("--concurrency", str(size), "--without-gossip", "--without-mingle", "--without-heartbeat")
        yield started.start("worker", *application, "worker", *options)


async def numbering(backing: Backing, rounds: int) -> None:
    """Measure numbering through Celery's workers against bare statements and celery-batches, and print."""
    broker = await backing.rabbitmq.create_vhost()
    costs = Costs()
    with durable_postgres() as postgres:
        measurements: dict[str, Measurement] = {}
        for name, measure in (
            (f"psycopg, the same rows, by {BATCH}", _bare),
            ("Celery worker, one process", partial(_ours, size=1)),
            ("Celery worker, two processes", partial(_ours, size=2)),
            ("celery-batches, one process", partial(_batches, size=1)),
            ("celery-batches, two processes", partial(_batches, size=2)),
        ):
            if "batches" not in name or find_spec("celery_batches"):
                measurements[name] = partial(measure, postgres, broker, costs, name)
        await compare("Numbering a backlog", "numbers/s", next(iter(measurements)), measurements, rounds)
        costs.print()
    await backing.rabbitmq.delete_vhost(broker)


async def _bare(postgres: Postgres, _broker: str, costs: Costs, name: str) -> float:
    with service_database(postgres, "certnumber") as url:
        dsn, given = url.replace("+psycopg", ""), approvals(APPROVALS)
        fill(dsn, given)
        with psycopg.connect(dsn) as connection:
            server, client = postmaster(connection), time.process_time()
        then = Snapshot().seconds(server)
        rate = await asyncio.to_thread(number_all, dsn, given, BATCH)
        costs.note(name, APPROVALS, time.process_time() - client, Snapshot().seconds(server) - then)
        return rate


async def _ours(postgres: Postgres, broker: str, costs: Costs, name: str, *, size: int) -> float:
    with service_database(postgres, "certnumber") as url:
        dsn = url.replace("+psycopg", "")
        celery = create_celery(new_settings(url, broker_url=broker))

        async def number(worker: Process, count: int, upto: int, costs: Costs) -> float:
            fill(dsn, approvals(count))
            rate = asyncio.create_task(drained(costs, name, dsn, upto, worker))
            for _ in range(size):
                await asyncio.to_thread(celery.tasks[TASK].apply_async)
            return await rate

        with _worker(CELERY, size, environment(url, broker_url=broker)) as worker:
            await number(worker, WARM_UP, WARM_UP, Costs())
            return await number(worker, APPROVALS, WARM_UP + APPROVALS, costs)


async def _batches(postgres: Postgres, broker: str, costs: Costs, name: str, *, size: int) -> float:
    with service_database(postgres, "certnumber") as url:
        dsn = url.replace("+psycopg", "")
        own = {"BENCH_BROKER_URL": broker, "BENCH_DATABASE_URL": dsn}
        await asyncio.to_thread(_send, broker, approvals(APPROVALS // 2))
        with _worker(("-m", "celery", "-A", "bench.celery_batches"), size, own) as worker:
            return await drained(costs, name, dsn, APPROVALS // 2, worker)


def _send(broker: str, given: Sequence[Given]) -> None:
    """Send a message for each approval, without waiting for confirms: it is not what is measured."""
    from bench.celery_batches import QUEUE, app, number

    with app.connection_for_write(broker) as connection, connection.channel() as channel:
        QUEUE(channel).declare()
        with app.amqp.Producer(channel) as producer:
            for application, *rest in given:
                number.apply_async((str(application), *rest), producer=producer)
