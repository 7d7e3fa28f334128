"""Queues and bindings deleted by hand, with what they hold, while work goes on: everything ends, and nobody helps."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import aio_pika
import httpx2
import pytest

from deploy.journey import desk_item
from shared.contracts.topology import CERTNUMBER_APPROVALS, RENEWAL_DECISIONS, REVIEW_APPLICATIONS
from shared.messaging import Queue
from shared.messaging.topology import EXCHANGE
from tests.faults.test_broker_outage import Work
from tests.support.stack import Stack
from tests.support.wait import until


@asynccontextmanager
async def away(stack: Stack, name: str) -> AsyncIterator[None]:
    """A process that is stopped, as long as the block lasts: what is for it stays in its queues."""
    await asyncio.to_thread(stack.processes.running[name].stop)
    try:
        yield
    finally:
        stack.processes.start_again(name)


async def holds(stack: Stack, queue: Queue, number: int) -> bool:
    return await stack.rabbitmq.queue_depth(stack.broker_url, queue.name) >= number


async def lose(stack: Stack, queue: Queue, what: str) -> None:
    async with await aio_pika.connect(stack.broker_url) as administrator:
        channel = await administrator.channel()
        if what == "queue":
            await channel.queue_delete(queue.name)
            return
        bound = await channel.get_queue(queue.name)
        for part in queue.parts():
            for key in part.keys if part.name == queue.name else ():
                await bound.unbind(EXCHANGE, key)


async def end(work: Work, applications: list[dict[str, Any]], numbers: int) -> None:
    """All are certified, each with a number of its own, and the desk shows what renewal does."""
    certified = [await work.certified(application) for application in applications]
    assert len(set(certified)) == len(applications)
    assert await work.numbers() == numbers + len(applications)
    for application, number in zip(applications, certified, strict=True):
        item = await desk_item(work.stack.api, work.reviewer, application["id"], "certified", application["revision"])
        assert item["certificate_number"] == number

    async def healthy() -> bool:
        workers = ("renewal-worker", "review-worker", "certnumber-worker")
        try:
            answers = [await work.stack.http.get(f"{work.stack.operations[name]}/readyz") for name in workers]
        except httpx2.TransportError:
            return False
        return all(answer.status_code == 200 for answer in answers)

    await until(healthy, interval=0.2, what="all workers to be ready")


@pytest.mark.parametrize("what", ["queue", "binding"])
@pytest.mark.parametrize(
    "queue", [CERTNUMBER_APPROVALS, REVIEW_APPLICATIONS, RENEWAL_DECISIONS], ids=lambda queue: queue.name
)
async def test_all_end_certified(stack: Stack, queue: Queue, what: str) -> None:
    born = date(1991, 1 + len(queue.name) % 12, 2 if what == "queue" else 3)
    work = await Work.begin(stack, 4, born)
    numbers = await work.numbers()
    # A desk whose worker is away says nothing: what it misses are submissions, the others miss approvals.
    is_desk = queue is REVIEW_APPLICATIONS
    applications = [await work.submit(person) for person in work.people[: 2 if is_desk else 4]]
    for application in applications[:2]:
        await work.approve(application)
    for application in applications[:2]:
        await work.certified(application)
    for application in applications[2:]:
        await desk_item(stack.api, work.reviewer, application["id"], "pending_review", 1)
    async with away(stack, f"{queue.service}-worker"):
        # What comes now lies in the queue and goes with it, or finds no binding.
        if what == "binding":
            await lose(stack, queue, what)
        if is_desk:
            applications += [await work.submit(person) for person in work.people[2:]]
        else:
            for application in applications[2:]:
                await work.approve(application)
        if what == "queue":
            await until(lambda: holds(stack, queue, 2), what="what is going to be lost")
            await lose(stack, queue, what)
    if is_desk:
        for application in applications[2:]:
            await work.approve(application)
    await end(work, applications, numbers)
