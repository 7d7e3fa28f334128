"""Celery's workers killed while they number: still 1..N, and one number for each approval."""

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

import httpx2
import psycopg

from deploy.embedded.postgres import free_port
from services.certnumber.app import SERVICE, build
from shared.messaging import Message, Verdict
from shared.persistence.db import Database, migrate
from tests.support.backing import Postgres
from tests.support.events import message
from tests.support.numbering import approved, environment, fetch, new_settings, proof_of, redelivered
from tests.support.processes import Process, Processes, base_environment, processes
from tests.support.stack import CELERY
from tests.support.wait import PATIENCE, until

APPROVALS = 1200
PARTS = 4
WORKER = (*CELERY, "worker", "--concurrency", "2", "--without-gossip", "--without-mingle", "--without-heartbeat")

# A backend that has taken serials and is about to write them down.
WRITING = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO ledger%'
"""


def deliveries() -> list[Message]:
    """Every approval, a third of them twice: some delivered again, some published again."""
    chance = random.Random(707)
    events = [approved(uuid4()) for _ in range(APPROVALS)]
    again = [chance.choice((message, redelivered))(event) for event in chance.sample(events, APPROVALS // 3)]
    shuffled = [*map(redelivered, events), *again]
    chance.shuffle(shuffled)
    return shuffled


async def given(database: Database) -> int:
    (row,) = await fetch(database, "SELECT count(*) AS given FROM ledger")
    return int(row["given"])


@contextmanager
def nobody_writes(url: str) -> Iterator[None]:
    """The ledger can only be read until the block ends: whoever numbers, waits in the middle of it."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("LOCK TABLE ledger IN SHARE MODE")
        yield


async def kill_in_the_middle(
    url: str, database: Database, approve: Awaitable[None], *pids: int, group: bool = False
) -> None:
    """SIGKILL when a batch, of what `approve` brings if not of what waited before, is between counter and commit."""

    async def writing() -> bool:
        return bool(await fetch(database, WRITING))

    with nobody_writes(url):
        before = await given(database)
        await approve
        await until(writing, what="a worker in the middle of a batch")
        for pid in pids:
            (os.killpg if group else os.kill)(pid, signal.SIGKILL)
        assert await given(database) == before


def children(process: Process) -> list[int]:
    pid = process.popen.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def reach(database: Database, count: int) -> None:
    async def reached() -> bool:
        return await given(database) >= count

    await until(reached, what=f"{count} numbers")


def start_worker(started: Processes, number: int, **environment: str) -> Process:
    return started.start(f"worker-{number}", *WORKER, "-n", f"cert{number}@%h", **environment)


async def returned(port: int) -> bool:
    """Whether the worker counts tasks whose process was lost."""
    async with httpx2.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"http://127.0.0.1:{port}/metrics")
    return 'ganzheng_tasks_total{outcome="returned"' in answer.text


async def test_one_number_each_whatever_is_killed(postgres: Postgres, vhost: str, tmp_path: Path) -> None:
    template = postgres.template("certnumber_template", lambda empty: migrate("certnumber", empty))
    with postgres.temporary(template) as url:
        container = build(new_settings(url, broker_url=vhost))
        database = container.database
        consumer = SERVICE.consumers(container)[0]
        all_messages = deliveries()
        own = environment(url, broker_url=vhost, numbering_batch="20")
        with processes(tmp_path, base_environment() | own) as started:
            started.start("beat", *CELERY, "beat")
            port = free_port()
            worker = start_worker(started, 0, GANZHENG_METRICS_PORT=str(port))
            parts = iter(all_messages[start::PARTS] for start in range(PARTS))

            async def consume(messages: list[Message]) -> None:
                for start in range(0, len(messages), 64):
                    waiting = messages[start : start + 64]
                    while waiting:
                        outcomes = await consumer.process(waiting)
                        # A lock that is held too long, on a slow machine, is a reason to come again.
                        assert {outcome.verdict for outcome in outcomes} <= {Verdict.done, Verdict.retry}, outcomes
                        pairs = zip(waiting, outcomes, strict=True)
                        waiting = [message for message, outcome in pairs if outcome.verdict is Verdict.retry]

            async def approve_a_part() -> None:
                part = next(parts)
                await asyncio.gather(consume(part[::2]), consume(part[1::2]))

            await approve_a_part()
            await reach(database, 100)
            await kill_in_the_middle(url, database, approve_a_part(), *children(worker))
            await until(partial(returned, port), what="the lost task to be counted")
            for number in (1, 2):
                await kill_in_the_middle(url, database, approve_a_part(), worker.popen.pid, group=True)
                assert worker.popen.wait(PATIENCE) == -signal.SIGKILL
                worker = start_worker(started, number)
            await reach(database, APPROVALS)
            assert "WorkerLostError" in started.running["worker-0"].log.read_text()

        proof = await proof_of(database)
        (series,) = proof.series
        assert (series.count, series.highest, series.valid, series.gapless) == (APPROVALS, APPROVALS, APPROVALS, True)
        assert (proof.waiting, proof.failed) == (0, 0)
        (told,) = await fetch(
            database,
            "SELECT count(*) AS events, count(DISTINCT envelope::json ->> 'subject') AS applications FROM outbox",
        )
        assert (told["events"], told["applications"]) == (APPROVALS, APPROVALS)
        await container.close()
