"""What operators are told of certnumber's worker and of Celery's, and that neither can stop without their notice."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import CoroutineType
from typing import Any
from uuid import uuid4

import aio_pika
import httpx2
import pytest

from deploy.embedded.postgres import free_port
from services.certnumber.app import SERVICE, build
from services.certnumber.numbering.waker import TASK
from services.certnumber.numbering.worker_health import Pulse
from shared.messaging import Outbox, RabbitMQ
from shared.messaging.health import STALL_TIMEOUT, Stalled
from shared.persistence.db import Database
from shared.runtime.service import run_worker
from tests.support.clock import START
from tests.support.numbering import approved, environment, new_settings
from tests.support.processes import base_environment, processes
from tests.support.stack import CELERY
from tests.support.wait import until

QUEUE = "certnumber.numbering"


class Operators:
    """A client of one process's port."""

    def __init__(self, http: httpx2.AsyncClient, port: int) -> None:
        self._http = http
        self.port = port

    async def _get(self, path: str) -> httpx2.Response:
        return await self._http.get(f"http://127.0.0.1:{self.port}{path}")

    async def failing(self, *names: str) -> bool:
        """Whether exactly these checks fail."""
        try:
            answer = await self._get("/readyz")
        except httpx2.TransportError:
            return False
        assert answer.status_code == (503 if answer.json()["failed"] else 200)
        return set(answer.json()["failed"]) == set(names)

    async def alive(self) -> bool:
        return bool((await self._get("/healthz")).status_code == 200)

    async def shows(self, line: str) -> bool:
        return line in (await self._get("/metrics")).text.splitlines()


@pytest.fixture
async def operators() -> AsyncIterator[Operators]:
    async with httpx2.AsyncClient(trust_env=False) as http:
        yield Operators(http, free_port())


async def test_a_worker(operators: Operators, url: str, vhost: str) -> None:
    container = build(new_settings(url, broker_url=vhost, metrics_port=operators.port))
    worker = asyncio.create_task(run_worker(SERVICE, container))
    try:
        await until(operators.failing, what="a worker with nothing that fails")
        other = Database(url)
        async with other.transaction() as session:
            Outbox("certnumber").add(session, approved(uuid4()), START)
        await other.close()
        await until(lambda: operators.shows('ganzheng_approvals_waiting{service="certnumber"} 1.0'), what="an approval")
        for line in (
            'ganzheng_numbers_assigned{service="certnumber"} 0.0',
            'ganzheng_db_connections_max{service="certnumber"} 10.0',
            'ganzheng_check_ok{check="consumer certnumber.approvals",service="certnumber"} 1.0',
        ):
            await until(partial(operators.shows, line), what=line)
        await until(lambda: operators.shows('ganzheng_outbox_rows{service="certnumber"} 0.0'), what="an empty outbox")

        (consumer,) = (task for task in asyncio.all_tasks() if _consumes(task, "certnumber.approvals"))
        consumer.cancel()
        await until(lambda: operators.failing("consumer certnumber.approvals"), what="it to be noticed")
        assert await operators.alive()
        failed = 'ganzheng_check_ok{check="consumer certnumber.approvals",service="certnumber"} 0.0'
        await until(lambda: operators.shows(failed), what=failed)
    finally:
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker


def _consumes(task: asyncio.Task[Any], queue: str) -> bool:
    work = task.get_coro()
    if not isinstance(work, CoroutineType) or work.__qualname__ != RabbitMQ.consume.__qualname__ or not work.cr_frame:
        return False
    return bool(work.cr_frame.f_locals["consumer"].queue.name == queue)


async def test_celery(operators: Operators, url: str, vhost: str, tmp_path: Path) -> None:
    own = environment(url, broker_url=vhost, metrics_port=str(operators.port))
    command = (
        *CELERY,
        "worker",
        "--concurrency",
        "1",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
        "-n",
        "cert@%h",
    )
    container = build(new_settings(url, broker_url=vhost))
    with processes(tmp_path, base_environment() | own) as started:
        started.start("celery", *command)
        await until(operators.failing, interval=0.2, what="a worker with nothing that fails")
        container.waker.wake()
        done = f'ganzheng_tasks_total{{outcome="done",task="{TASK}"}} 1.0'
        await until(lambda: operators.shows(done), what="a task")
        assert await operators.shows(f'ganzheng_queue_messages{{queue="{QUEUE}",state="ready"}} 0.0')

        async with await aio_pika.connect(vhost) as administrator:
            channel = await administrator.channel()
            await channel.queue_delete(QUEUE)
        await until(lambda: _is_consumed(vhost), what="the queue and its consumer")
        await until(operators.failing, interval=0.2, what="a worker with nothing that fails")
    await container.close()


async def test_a_main_loop_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pulse, "beaten_at", float("-inf"))
    with pytest.raises(Stalled):
        await Pulse.check(STALL_TIMEOUT)
    Pulse.beat()
    await Pulse.check(STALL_TIMEOUT)
    monkeypatch.setattr(Pulse, "beaten_at", time.monotonic() - STALL_TIMEOUT)
    with pytest.raises(Stalled):
        await Pulse.check(STALL_TIMEOUT)


async def _is_consumed(vhost: str) -> bool:
    with suppress(aio_pika.exceptions.ChannelNotFoundEntity):
        async with await aio_pika.connect(vhost) as connection:
            return bool((await (await connection.channel()).get_queue(QUEUE)).declaration_result.consumer_count)
    return False
