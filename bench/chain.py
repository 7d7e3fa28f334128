"""Measures the chain from the approval to the number at the desk, through all services as processes on one machine.

How long one approval takes on an idle platform; how many a second go through under a backlog; and what one application
costs of statements, transactions, syncs, messages and bytes, and of each process's time.
"""

import itertools
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from unittest.mock import patch
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx2
import psycopg

from bench.processor import Snapshot, postmaster
from bench.server import connected, durable_postgres
from deploy.journey import log_in_reviewer
from deploy.synthetic import id_number, person_name
from services.renewal.app import build
from services.renewal.container import RenewalContainer
from services.renewal.domain import IMAGE_KINDS, DecisionReason, Status
from services.renewal.lifecycle import Applications
from services.renewal.models import ID_NUMBER, Application, Enterprise, Image, Person
from services.renewal.settings import RenewalSettings
from tests.support.backing import Backing
from tests.support.platform import REVIEWER, REVIEWER_PASSWORD
from tests.support.stack import Stack, running_stack
from tests.support.wait import until

IDLE = 60
SUSTAINED = 4000
WARM_UP = 500
# What one call of the desk may decide.
CALL = 500
CHUNK = 500
POST, FAMILY = "10", "施工员"

# Those of an installation, not of the tests, which lose events and do not want to wait.
SETTINGS = {"GANZHENG_RESYNC_SECONDS": "600", "GANZHENG_RESYNC_SETTLE_SECONDS": "60", "GANZHENG_LOG_LEVEL": "WARNING"}

COUNTS = """
    SELECT (SELECT sum(calls) FROM pg_stat_statements WHERE toplevel),
           (SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database WHERE datname LIKE 'test%'),
           (SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal'),
           (SELECT wal_bytes FROM pg_stat_wal)
"""
SHOWN = "SELECT count(*) FROM items WHERE status = 'certified'"


async def chain(backing: Backing, rounds: int) -> None:
    """Measure the chain idle and under a backlog, and print."""
    with tempfile.TemporaryDirectory() as directory, durable_postgres(counting=True) as postgres:
        async with (
            running_stack(
                postgres, backing.rabbitmq, backing.s3, Path(directory), traced=False, proxied=False, **SETTINGS
            ) as stack,
            measuring(stack, postgres.admin_url) as desk,
        ):
            await _warm_up(desk)
            for _ in range(rounds):
                await _idle(desk)
                await _sustained(desk)


@dataclass(frozen=True)
class Desk:
    """The desk of a running platform: applications that wait there, and a reviewer who decides on them. `server` is
    the URL of the database that has PostgreSQL's counts."""

    stack: Stack
    server: str
    renewal: RenewalContainer
    review: psycopg.Connection
    reviewer: str

    async def submit(self, count: int) -> list[UUID]:
        """Submit applications; returns when the desk has all of them."""
        before = self._count("SELECT count(*) FROM items")
        ids: list[UUID] = []
        for _ in range(0, count, CHUNK):
            ids += await _submit(self.renewal, min(CHUNK, count - len(ids)))
        await until(lambda: self._count("SELECT count(*) FROM items") >= before + count, what="the submissions")
        return ids

    async def approve(self, ids: list[UUID]) -> None:
        items = [{"application_id": str(each), "revision": 1} for each in ids]
        body = {"action": "approve", "items": items}
        await self.stack.api.call("POST", "review", "/decisions", token=self.reviewer, json=body)

    async def numbered(self, count: int, interval: float) -> None:
        """Return when the desk shows so many numbers."""
        await until(lambda: self.count() >= count, interval=interval, what=f"{count} numbers at the desk")

    def count(self) -> int:
        return self._count(SHOWN)

    def _count(self, statement: str) -> int:
        (count,) = self.review.execute(statement).fetchone() or (0,)
        return int(count)


@asynccontextmanager
async def measuring(stack: Stack, server: str) -> AsyncIterator[Desk]:
    environment = stack.processes.environment | {"GANZHENG_DATABASE_URL": stack.urls["renewal"]}
    with patch.dict(os.environ, environment):
        renewal = build(RenewalSettings())
    try:
        with connected(stack.urls["review"]) as review:
            yield Desk(stack, server, renewal, review, await log_in_reviewer(stack.api, REVIEWER, REVIEWER_PASSWORD))
    finally:
        await renewal.close()


async def _warm_up(desk: Desk) -> None:
    ids = await desk.submit(WARM_UP)
    for each in ids[:20]:
        await desk.approve([each])
    await desk.approve(ids[20:])
    await desk.numbered(WARM_UP, 0.05)


async def _idle(desk: Desk) -> None:
    times = []
    shown = desk.count()
    for each in await desk.submit(IDLE):
        started = time.perf_counter()
        await desk.approve([each])
        shown += 1
        await desk.numbered(shown, 0.002)
        times.append(1000 * (time.perf_counter() - started))
    p95 = quantiles(times, n=20)[-1]
    print(f"\nFrom the press of 通过 to the number at the desk, idle ({IDLE} approvals, one after the other)")
    print(f"  p50 {median(times):.0f} ms, p95 {p95:.0f} ms, at most {max(times):.0f} ms")


async def _sustained(desk: Desk) -> None:
    ids = await desk.submit(SUSTAINED)
    shown = desk.count()
    before = await _Usage.read(desk)
    started = time.perf_counter()
    for first in range(0, SUSTAINED, CALL):
        await desk.approve(ids[first : first + CALL])
    await desk.numbered(shown + SUSTAINED, 0.05)
    seconds = time.perf_counter() - started
    print(f"\nA backlog of {SUSTAINED:,} approvals: {SUSTAINED / seconds:,.0f} a second; for each of them")
    for name, value in (await _Usage.read(desk)).since(before, SUSTAINED):
        print(f"  {name:34} {value}")


@dataclass(frozen=True)
class _Usage:
    """What was used of everything so far."""

    counted: tuple[float, ...]
    published: int
    octets: int
    cpu: Mapping[str, float]

    @classmethod
    async def read(cls, desk: Desk) -> "_Usage":
        stack = desk.stack
        with connected(desk.server) as connection:
            connection.execute("SELECT pg_stat_force_next_flush()")
            counted = connection.execute(COUNTS).fetchone() or ()
            server = postmaster(connection)
        async with httpx2.AsyncClient(base_url=stack.rabbitmq.management_url, trust_env=False) as management:
            vhost = urlsplit(stack.processes.environment["GANZHENG_BROKER_URL"]).path.strip("/")
            about = (await management.get(f"/api/vhosts/{vhost}")).json()
            published = about.get("message_stats", {}).get("publish", 0)
            octets = about.get("recv_oct", 0) + about.get("send_oct", 0)
        return cls(tuple(map(float, counted)), published, octets, dict(_seconds(stack, server)))

    def since(self, before: "_Usage", applications: int) -> Iterator[tuple[str, str]]:
        def each(now: float, then: float) -> float:
            return (now - then) / applications

        names = ("statements", "transactions", "syncs of the WAL", "bytes of WAL")
        for name, now, then in zip(names, self.counted, before.counted, strict=True):
            yield name, f"{each(now, then):8,.1f}"
        yield "messages", f"{each(self.published, before.published):8,.1f}"
        yield "bytes to and from the broker", f"{each(self.octets, before.octets):8,.0f}"
        for name, now in self.cpu.items():
            yield f"ms of {name}", f"{1000 * each(now, before.cpu.get(name, 0)):8.2f}"
        total = sum(self.cpu.values()) - sum(before.cpu.values())
        yield "ms of all processes", f"{1000 * total / applications:8.2f}"


def _seconds(stack: Stack, server: int) -> Iterator[tuple[str, float]]:
    """Give the processor time of each of our processes, of PostgreSQL and of the broker."""
    now = Snapshot()
    for name, process in stack.processes.running.items():
        yield name, now.seconds(process.popen.pid)
    yield "PostgreSQL", now.seconds(server)
    yield "RabbitMQ", now.seconds(*now.below(os.getpid(), "beam.smp"))


_serial = itertools.count()


async def _submit(container: RenewalContainer, count: int) -> list[UUID]:
    """Submit applications of as many persons, as an enterprise does, but for the bytes of the pictures."""
    async with container.database.transaction() as session:
        now = container.clock.now()
        enterprise = Enterprise(id=uuid4(), name="南昌测量建设有限公司", revision=0)
        session.add(enterprise)
        await session.flush()
        ids = []
        for number in itertools.islice(_serial, count):
            person = _person(container, number, now)
            application = Application(
                id=uuid4(), enterprise_id=enterprise.id, person_id=person.id, post=POST, post_family=FAMILY,
                status=Status.draft, revision=0, decision_no=0, change_no=0, reason=DecisionReason(),
                added_at=now, updated_at=now,
            )  # fmt: skip
            session.add_all([person, application])
            ids.append(application.id)
        await session.flush()
        for application_id in ids:
            for kind in IMAGE_KINDS:
                digest = uuid4().hex
                session.add(Image(
                    id=uuid4(), application_id=application_id, kind=kind, current=True, object_key=digest,
                    content_type="image/jpeg", sha256=digest, pixel_sha256=digest, width=800, height=500, bytes=500_000,
                    uploaded_at=now,
                ))  # fmt: skip
        await session.flush()
        applications = await Applications.load(container, session, ids)
        for application_id in ids:
            applications.submit(applications[application_id], now)
    return ids


def _person(container: RenewalContainer, number: int, now: datetime) -> Person:
    born = date(1985, 1, 1) + timedelta(days=number // 500)
    text = id_number("male", born, number % 500)
    return Person(
        id=uuid4(), id_number=container.cipher.encrypt(text, ID_NUMBER),
        id_number_index=container.cipher.blind_index(text), name=person_name(number), sex="male", birth_date=born,
        superseded_names=[], created_at=now, updated_at=now,
    )  # fmt: skip
