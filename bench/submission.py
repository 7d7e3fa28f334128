"""Submissions through renewal's API against bare psycopg that writes the same rows in the same transaction.

Every submission is a draft of a person of its own with its three pictures. The API is one process as an operator starts
it, and two; what asks it is a process of its own.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import cast
from uuid import UUID, uuid4

import psycopg
from psycopg.types.json import Jsonb

from bench.renewal import renewal
from bench.run import compare
from bench.traffic import apart, closed_loop
from tests.support.backing import Backing

SUBMISSIONS = 1500
CLIENTS = 16
Asked = tuple[set[int], float]


async def ask(ports: list[int], requests: list[bytes]) -> Asked:
    """Send the requests, a few at a time, and give what was answered and how many seconds it took."""
    began = time.perf_counter()
    answers = await closed_loop(ports, iter(requests), CLIENTS)
    return {answer.status for answer in answers}, time.perf_counter() - began


async def bare(url: str, applications: list[UUID]) -> None:
    """Write what a submission writes, under the locks it takes, and nothing else, on eight connections."""
    waiting = iter(applications)

    async def writer() -> None:
        async with await psycopg.AsyncConnection.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            for application in waiting:
                async with connection.pipeline(), connection.transaction():
                    await _write(connection, application)

    await asyncio.gather(*(writer() for _ in range(8)))


async def _write(connection: psycopg.AsyncConnection, application: UUID) -> None:
    now, envelope = datetime.now(UTC), "x" * 1700
    lock = "SELECT p.*, a.* FROM applications a JOIN people p ON p.id = a.person_id WHERE a.id = %s FOR UPDATE OF p, a"
    await connection.execute(lock, (application,))
    await connection.execute(
        "UPDATE applications SET status = 'pending_review', revision = 1, change_no = 2, submitted_at = %s,"
        " updated_at = %s WHERE id = %s",
        (now, now, application),
    )
    await connection.execute(
        "INSERT INTO history (application_id, change_no, at, action, actor, status, revision, decision_no)"
        " VALUES (%s, 2, %s, 'submit', 'enterprise', 'pending_review', 1, 0)",
        (application, now),
    )
    await connection.execute(
        "INSERT INTO submissions VALUES (%s, 1, '30', %s, %s)",
        (application, Jsonb({kind: str(uuid4()) for kind in ("id-front", "id-back", "commitment-letter")}), now),
    )
    await connection.execute(
        "INSERT INTO outbox (event_id, routing_key, envelope) VALUES (%s, 'renewal.submitted.v1', %s)",
        (uuid4(), envelope),
    )


async def submission(backing: Backing, rounds: int) -> None:
    """Measure submissions through the API against bare writes, and print."""
    async with renewal(backing, 2) as running:
        spent: list[float] = []

        def through(count: int) -> Callable[[], Awaitable[float]]:
            async def measure() -> float:
                requests = [request for _, request in running.submissions(SUBMISSIONS)]
                before = running.spent()
                statuses, elapsed = cast(Asked, await apart(ask, running.ports[:count], requests).answer())
                if statuses != {200}:
                    raise RuntimeError(f"answers: {sorted(statuses)}")
                spent.append((running.spent() - before) / SUBMISSIONS)
                return SUBMISSIONS / elapsed

            return measure

        async def limit() -> float:
            made = [application for application, _ in running.drafts.make(SUBMISSIONS)]
            began = time.perf_counter()
            await bare(running.url, made)
            return SUBMISSIONS / (time.perf_counter() - began)

        await compare(
            "Submitting",
            "submissions/s",
            "bare psycopg, same writes",
            {"bare psycopg, same writes": limit, "one API process": through(1), "two API processes": through(2)},
            rounds,
        )
        print(f"  {1000 * sorted(spent)[len(spent) // 2]:.2f} ms of the API's processor time each")
