"""Numbering a backlog through a real Celery worker, psycopg writing the same rows, and celery-batches."""

import asyncio
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import psycopg

from bench.bare_numbering import Given, number_all
from bench.run import Measurement, compare
from bench.server import durable_postgres
from services.certnumber.numbering.waker import TASK
from services.certnumber.tasks import create_celery
from shared.observability.telemetry import new_traceparent
from tests.support.backing import Backing, Postgres
from tests.support.numbering import environment, new_settings
from tests.support.platform import service_database
from tests.support.processes import Processes, base_environment, processes
from tests.support.stack import CELERY

APPROVALS = 20_000
BATCH = 500
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


async def drained(url: str, upto: int) -> float:
    """Wait until the counter has reached `upto`; gives the numbers per second since the first one that was seen."""
    seen: list[tuple[int, float]] = []
    with psycopg.connect(url, autocommit=True) as connection:
        before = _last(connection)
        while True:
            last, now = _last(connection), time.perf_counter()
            if last > before and not seen:
                seen.append((last, now))
            if last >= upto:
                return (last - seen[0][0]) / (now - seen[0][1])
            await asyncio.sleep(0.005)


def _last(connection: psycopg.Connection) -> int:
    (last,) = connection.execute("SELECT coalesce(sum(last), 0)::int FROM counters").fetchone() or (0,)
    return int(last)


@contextmanager
def _worker(application: tuple[str, ...], size: int, environment: dict[str, str]) -> Iterator[Processes]:
    with (
        tempfile.TemporaryDirectory() as directory,
        processes(Path(directory), base_environment() | environment) as started,
    ):
        started.start(
            "worker", *application, "worker", "--concurrency", str(size), "--without-gossip", "--without-mingle"
        )
        yield started


async def numbering(backing: Backing, rounds: int) -> None:
    """Measure numbering through Celery's workers against bare statements and celery-batches, and print."""
    broker = await backing.rabbitmq.create_vhost()

    def bare(postgres: Postgres) -> Measurement:
        async def measure() -> float:
            with service_database(postgres, "certnumber") as url:
                dsn, given = url.replace("+psycopg", ""), approvals(APPROVALS)
                fill(dsn, given)
                return await asyncio.to_thread(number_all, dsn, given, BATCH)

        return measure

    def ours(postgres: Postgres, size: int) -> Measurement:
        async def measure() -> float:
            with service_database(postgres, "certnumber") as url:
                dsn = url.replace("+psycopg", "")
                celery = create_celery(new_settings(url, broker_url=broker))
                with _worker(CELERY, size, environment(url, broker_url=broker)):
                    for count, upto in ((WARM_UP, WARM_UP), (APPROVALS, WARM_UP + APPROVALS)):
                        fill(dsn, approvals(count))
                        waiting = asyncio.create_task(drained(dsn, upto))
                        for _ in range(size):
                            await asyncio.to_thread(celery.tasks[TASK].apply_async)
                        rate = await waiting
                    return rate

        return measure

    def batches(postgres: Postgres, size: int) -> Measurement:
        async def measure() -> float:
            with service_database(postgres, "certnumber") as url:
                dsn = url.replace("+psycopg", "")
                own = {"BENCH_BROKER_URL": broker, "BENCH_DATABASE_URL": dsn}
                await asyncio.to_thread(_send, broker, approvals(APPROVALS // 2))
                with _worker(("-m", "celery", "-A", "bench.celery_batches"), size, own):
                    return await drained(dsn, APPROVALS // 2)

        return measure

    with durable_postgres() as postgres:
        measurements = {
            f"psycopg, the same rows, by {BATCH}": bare(postgres),
            "Celery worker, one process": ours(postgres, 1),
            "Celery worker, two processes": ours(postgres, 2),
        }
        if find_spec("celery_batches"):
            measurements |= {
                "celery-batches, one process": batches(postgres, 1),
                "celery-batches, two processes": batches(postgres, 2),
            }
        await compare("Numbering a backlog", "numbers/s", next(iter(measurements)), measurements, rounds)
    await backing.rabbitmq.delete_vhost(broker)


def _send(broker: str, given: Sequence[Given]) -> None:
    """Send a message for each approval, without waiting for confirms: it is not what is measured."""
    from bench.celery_batches import QUEUE, app, number

    with app.connection_for_write(broker) as connection, connection.channel() as channel:
        QUEUE(channel).declare()
        with app.amqp.Producer(channel) as producer:
            for application, *rest in given:
                number.apply_async((str(application), *rest), producer=producer)
