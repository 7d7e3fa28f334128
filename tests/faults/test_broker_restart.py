"""A real service's worker, a stream of writes, and a broker that is killed under them."""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any
from uuid import UUID

import aio_pika
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.embedded.postgres import free_port
from deploy.synthetic import taxpayer_id
from services.enterprise.app import SERVICE, build
from services.enterprise.schemas import EnterpriseChange, EnterpriseRegistration
from services.enterprise.service import change_enterprise, register_enterprise
from services.enterprise.settings import EnterpriseSettings
from shared.contracts.enterprise import EnterpriseRegistered, EnterpriseUpdated
from shared.contracts.topology import QUEUES
from shared.messaging import Consumer, Queue, RabbitMQ, Received, Subscription
from shared.messaging.topology import EXCHANGE
from shared.persistence.db import Database
from shared.runtime.container import Container
from shared.runtime.service import run_worker
from shared.runtime.settings import new_key
from tests.support.backbone import EFFECTS, effects, outbox_rows
from tests.support.backing import Postgres
from tests.support.backing import RabbitMQ as Broker
from tests.support.platform import service_database
from tests.support.wait import until

AUDIT = Queue("test.audit", "test", (EnterpriseRegistered, EnterpriseUpdated))


def environment(database_url: str, broker_url: str) -> dict[str, Any]:
    return {
        "demo": "true",
        "database_url": database_url,
        "broker_url": broker_url,
        "data_keys": f"d:{new_key()}",
        "index_key": new_key(),
        "signing_keys": f"s:{new_key()}",
    }


@asynccontextmanager
async def cancelled_at_the_end(*tasks: asyncio.Task[Any]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends


async def note_name(
    queue: Queue, session: AsyncSession, batch: Sequence[Received[EnterpriseRegistered] | Received[EnterpriseUpdated]]
) -> None:
    rows = [{"queue": queue.name, "event_id": item.id, "name": item.event.name} for item in batch]
    await session.execute(sa.insert(EFFECTS), rows)


class Writer:
    """Registers one enterprise and renames it again and again; every name is an event."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self.names: list[str] = []
        self._id: UUID

    async def register(self) -> None:
        async with self._container.database.transaction() as session:
            registration = EnterpriseRegistration(
                taxpayer_id=taxpayer_id(), name="企业", contact_name="安宁", contact_phone="0791-88880000"
            )
            enterprise = await register_enterprise(self._container, session, registration)
            self._id = enterprise.id
            self.names.append(enterprise.name)

    async def rename(self, times: int) -> None:
        for _ in range(times):
            name = f"企业{len(self.names)}"
            async with self._container.database.transaction() as session:
                await change_enterprise(self._container, session, self._id, EnterpriseChange(name=name))
            self.names.append(name)


async def test_every_event_takes_effect_once_though_the_broker_is_killed_twice(
    postgres: Postgres, rabbitmq: Broker, vhost: str, database: Database
) -> None:
    with service_database(postgres, "enterprise") as url:
        settings = EnterpriseSettings(**environment(url, vhost))
        api = build(settings)
        writer = Writer(api)
        await writer.register()
        audit = RabbitMQ(vhost, [*QUEUES, AUDIT], name="audit")
        await audit.declare()
        async with await aio_pika.connect(vhost) as administrator:
            # Nobody sends it anything: it listens to what others are sent.
            queue = await (await administrator.channel()).get_queue(AUDIT.name)
            for key in AUDIT.routing_keys:
                await queue.bind(EXCHANGE, f"{key}.#")
        subscription = Subscription(AUDIT, dict.fromkeys(AUDIT.events, note_name))

        async def heard(count: int) -> bool:
            return (await effects(database, AUDIT)).total() >= count

        worker = asyncio.create_task(run_worker(SERVICE, build(settings)))
        consumer = asyncio.create_task(audit.consume(Consumer(subscription, AUDIT, database)))
        async with cancelled_at_the_end(worker, consumer):
            for _ in range(2):
                target = len(writer.names) + 20
                stream = asyncio.create_task(writer.rename(300))
                await until(partial(heard, target), interval=0.01, what="events flow")
                await rabbitmq.stop()
                await stream
                await writer.rename(10)
                assert await outbox_rows(api.database) >= 10, "rows wait for the broker"
                await rabbitmq.start()
            await until(lambda: heard(len(writer.names)), what="everything caught up")
            assert await effects(database, AUDIT) == Counter(writer.names)
            await until(lambda: empty(api.database), what="an empty outbox")
        await api.close()


async def empty(database: Database) -> bool:
    return await outbox_rows(database) == 0


@asynccontextmanager
async def worker_process(variables: dict[str, Any]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.enterprise", "worker", stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **{f"GANZHENG_{name.upper()}": value for name, value in variables.items()}},
    )  # fmt: skip
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def says(process: asyncio.subprocess.Process, event: str) -> None:
    """Read its log up to a line with this event."""
    assert process.stderr is not None
    async for line in process.stderr:
        if json.loads(line)["event"] == event:
            return
    raise AssertionError(f"ended without saying {event}")


@pytest.mark.parametrize("away", [False, True], ids=["broker there", "broker away"])
async def test_a_worker_ends_in_good_order_at_sigterm(away: bool, postgres: Postgres, vhost: str) -> None:
    broker_url = f"amqp://nobody:nothing@127.0.0.1:{free_port()}/" if away else vhost
    with service_database(postgres, "enterprise") as url:
        async with worker_process(environment(url, broker_url)) as process:
            await says(process, "broker.reconnect" if away else "worker.started")
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0


async def test_a_worker_refuses_a_broker_with_another_topology(postgres: Postgres, vhost: str) -> None:
    stale = RabbitMQ(vhost, [Queue(QUEUES[0].retry, "test", ())], name="older release")
    await stale.declare()
    with service_database(postgres, "enterprise") as url:
        async with worker_process(environment(url, vhost)) as process:
            await says(process, "broker.topology_differs")
            assert await process.wait() == 1
