"""The toy service of backbone.py as processes of their own, on connections that a test may break: fixture `toy`.

As a program it is one of them: `python -m tests.support.toy DATABASE_URL SECONDS AMQP_URL HEARTBEAT relay|consumers …`,
or `python -m tests.support.toy DATABASE_URL SECONDS` for one that forgets a transaction in which it holds the outbox.
"""

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import aio_pika
import psycopg
import pytest
import sqlalchemy as sa

from shared.messaging import BrokerTimings, Message, Queue, RabbitMQ
from shared.messaging.tables import OutboxMessage
from shared.messaging.topology import EXCHANGE
from shared.observability.telemetry import configure_logging
from shared.persistence.connections import STATEMENT_SECONDS
from shared.persistence.db import Database
from tests.support.backbone import FIRST, QUEUES, SECOND, Pinged, backbone, effects, emit, outbox_rows
from tests.support.backing import RabbitMQ as Broker
from tests.support.processes import Process, Processes, base_environment, processes
from tests.support.proxy import Proxies, Proxy, proxies
from tests.support.wait import until

STUCK = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'INSERT INTO effects%'
"""


@dataclass
class Toy:
    """`heard` counts by event how often it was published, to any queue."""

    url: str
    amqp_url: str
    database: Database
    started: Processes
    network: Proxies
    broker: Broker
    heard: Counter[str] = field(default_factory=Counter)

    def start(self, name: str, *parts: str, heartbeat: int = 1, seconds: float = STATEMENT_SECONDS) -> Process:
        """A worker, whole unless its parts are named; its proxies are "NAME database" and "NAME broker". `seconds` is
        what a statement may take."""
        if f"{name} broker" not in self.network.all:
            self.network.before(f"{name} broker", self.amqp_url)
            self.network.before(f"{name} database", self.url)
        database = self.network[f"{name} database"].url(self.url)
        broker = self.network[f"{name} broker"].url(self.amqp_url)
        parts = parts or ("relay", "consumers")
        return self._run(name, database, str(seconds), broker, str(heartbeat), *parts)

    def forget(self, *, seconds: float) -> Process:
        """A process that holds all rows of the outbox in a transaction, and forgets it."""
        return self._run("forgetful", self.url, str(seconds))

    def _run(self, name: str, *arguments: str) -> Process:
        return self.started.start(name, "-m", "tests.support.toy", *arguments)

    def proxy(self, name: str) -> Proxy:
        return self.network[name]

    async def emit(self, *names: str) -> None:
        await emit(self.database, *(Pinged(name=name) for name in names))

    async def took(self, *names: str) -> None:
        """Wait until each of these took effect in both queues. That none did so twice is the caller's to ask in the
        end, by `once`."""

        async def taken() -> bool:
            done = [await effects(self.database, queue) for queue in (FIRST, SECOND)]
            return all(set(names) <= each.keys() for each in done)

        await until(taken, what=f"{', '.join(names)[:100]} to take effect")

    async def once(self, names: Iterable[str]) -> None:
        """Exactly these took effect, each once in each queue; nothing waits and nothing is dead."""
        expected = Counter(names)
        await until(partial(self._said, 0), what="an empty outbox")
        for queue in (FIRST, SECOND):
            assert await effects(self.database, queue) == expected
            for name in (queue.dead, queue.retry, queue.name):
                assert await self.broker.queue_depth(self.amqp_url, name) == 0

    async def _said(self, rows: int) -> bool:
        return await outbox_rows(self.database) == rows

    async def until_heard(self, names: Iterable[str], times: int = 1) -> None:
        """Wait until the broker has got these so often."""

        def got() -> bool:
            return all(self.heard[name] >= times for name in names)

        await until(got, what=f"the broker to hear {times} times of all")

    async def stuck(self, number: int = 1) -> None:
        """Wait until so many handlers wait in the midst of their transaction."""

        async def waiting() -> bool:
            async with self.database.transaction() as session:
                return len((await session.execute(sa.text(STUCK))).all()) >= number

        await until(waiting, what="a handler in the midst of its transaction")

    async def bury(self, queue: Queue, messages: Iterable[Message]) -> None:
        """Put these among the queue's dead letters, as a broker does that counts deliveries."""
        async with await aio_pika.connect(self.amqp_url) as connection:
            channel = await connection.channel()
            for message in messages:
                letter = aio_pika.Message(message.body, message_id=str(message.id), type=message.routing_key)
                await channel.default_exchange.publish(letter, queue.dead)

    @asynccontextmanager
    async def holding(self, statement: str) -> AsyncIterator[None]:
        """A transaction that knows no limit has done this, and goes on as long as the block lasts."""
        async with await psycopg.AsyncConnection.connect(self.url.replace("+psycopg", "")) as connection:
            await connection.execute(statement)
            yield

    @asynccontextmanager
    async def nobody_writes(self) -> AsyncIterator[None]:
        """Handlers wait before their effect as long as the block lasts."""
        async with self.holding("LOCK TABLE effects IN SHARE MODE"):
            yield

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Count what is published, by a queue of our own beside the others'."""
        async with await aio_pika.connect(self.amqp_url) as connection:
            channel = await connection.channel()
            queue = await channel.declare_queue(exclusive=True)
            for address in (FIRST.name, SECOND.name):
                await queue.bind(EXCHANGE, f"{Pinged.routing_key()}.to.{address}")

            async def count(message: aio_pika.abc.AbstractIncomingMessage) -> None:
                self.heard[_name_of(message.body)] += 1

            await queue.consume(count, no_ack=True)
            yield


def _name_of(body: bytes) -> str:
    return str(json.loads(body)["data"]["name"])


@pytest.fixture
async def toy(
    database_url: str, database: Database, vhost: str, rabbitmq: Broker, tmp_path: Path
) -> AsyncIterator[Toy]:
    transport = RabbitMQ(vhost, QUEUES, name="test")
    await transport.declare()
    await transport.close()
    with proxies() as network, processes(tmp_path, base_environment()) as started:
        toy = Toy(database_url, vhost, database, started, network, rabbitmq)
        async with toy.listening():
            yield toy
        # They are stopped without being asked: nothing of theirs has to come to an end any more.
        for process in started.running.values():
            process.stop(signal.SIGKILL)


async def work(database_url: str, seconds: float, amqp_url: str, heartbeat: int, parts: list[str]) -> None:
    timings = BrokerTimings(connect=5, publish=2, heartbeat=heartbeat, reconnect=0.2)
    async with backbone(database_url, amqp_url, parts=parts, seconds=seconds, timings=timings):
        await asyncio.Future()


async def hold(database_url: str, seconds: float) -> None:
    database = Database(database_url, seconds=seconds)
    async with database.transaction() as session:
        await session.execute(sa.select(OutboxMessage.id).with_for_update())
        sys.stdout.write("held\n")
        await asyncio.Future()


if __name__ == "__main__":
    configure_logging("INFO")
    match sys.argv[1:]:
        case [database_url, seconds]:
            asyncio.run(hold(database_url, float(seconds)))
        case [database_url, seconds, amqp_url, heartbeat, *parts]:
            asyncio.run(work(database_url, float(seconds), amqp_url, int(heartbeat), parts))
