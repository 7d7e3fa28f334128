"""Processes that die: `consumer DATABASE_URL AMQP_URL` at every poison message, `relay DATABASE_URL` when told to."""

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from sqlalchemy.ext.asyncio import AsyncSession

from shared.messaging import Consumer, InProcessBus, Message, RabbitMQ, Relay, Subscription
from shared.persistence.db import Database
from tests.support.backbone import FIRST, OUTBOX, QUEUES, Orders, subscription, take

POISON = "poison"
PUBLISHED = "published"


async def take_or_crash(orders: Orders, session: AsyncSession, batch: Sequence[Any]) -> None:
    await take(orders, session, batch)
    if any(item.event.name.startswith(POISON) for item in batch):
        os._exit(137)


async def consume(database_url: str, amqp_url: str) -> None:
    poisoned = Subscription(FIRST, dict.fromkeys(FIRST.events, take_or_crash))
    await RabbitMQ(amqp_url, QUEUES, name="crashing").consume(Consumer(poisoned, Orders(FIRST), Database(database_url)))


def consume_again_and_again(database_url: str, amqp_url: str) -> NoReturn:
    """What an orchestrator does, with a line for every crash; by forking, as starting Python takes longer."""
    while True:
        child = os.fork()
        if child == 0:
            asyncio.run(consume(database_url, amqp_url))
        os.waitpid(child, 0)
        sys.stdout.write("crash\n")
        sys.stdout.flush()


async def relay(database_url: str) -> None:
    """Takes effect of everything like a receiver would, says so, and never learns of the confirms."""
    database = Database(database_url)
    bus = InProcessBus([Consumer(subscription(queue), Orders(queue), database) for queue in QUEUES])

    class Silent:
        async def publish(self, messages: Sequence[Message]) -> list[Exception | None]:
            await bus.publish(messages)
            sys.stdout.write(f"{PUBLISHED} {len(messages)}\n")
            sys.stdout.flush()
            return await asyncio.Future()

    await Relay(OUTBOX, database, Silent()).run()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["consumer", database_url, amqp_url]:
            consume_again_and_again(database_url, amqp_url)
        case ["relay", database_url]:
            asyncio.run(relay(database_url))
