"""A message that kills whoever touches it ends in the dead-letter queue, and takes no other message along."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from shared.messaging import RabbitMQ
from shared.persistence.db import Database
from tests.support.backbone import FIRST, QUEUES, Pinged, Ponged, effects
from tests.support.crashing import POISON
from tests.support.events import message
from tests.support.wait import until


@asynccontextmanager
async def restarted_forever(database_url: str, amqp_url: str) -> AsyncIterator[asyncio.StreamReader]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.crashing", "consumer", database_url, amqp_url,
        stdout=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def test_a_message_that_crashes_its_process(database: Database, database_url: str, vhost: str) -> None:
    transport = RabbitMQ(vhost, QUEUES, name="test")
    poisons = [message(Pinged(name=f"{POISON} {number}")) for number in range(2)]
    names = [f"n{number}" for number in range(100)]
    others = [message(event(name=name)) for name, event in zip(names, 50 * [Pinged, Ponged], strict=True)]
    # Both in the midst of what one consumer prefetches.
    assert await transport.publish([*others[:20], poisons[0], *others[20:40], poisons[1], *others[40:]]) == 102 * [None]

    async def settled() -> bool:
        return len(await effects(database, FIRST)) == len(names) and len(await transport.list(FIRST.name)) == 2

    async with restarted_forever(database_url, vhost) as crashes:
        await until(settled, what="everything but the poison took effect, and the poison is dead")
    assert await effects(database, FIRST) == dict.fromkeys(names, 1)
    letters = await transport.list(FIRST.name)
    assert {(letter.event_id, letter.error) for letter in letters} == {(p.id, "delivery limit") for p in poisons}
    assert (await crashes.read()).count(b"crash") <= 2 * (FIRST.delivery_limit + 2)
    await transport.close()
