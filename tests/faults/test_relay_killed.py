"""A relay killed between the broker's confirm and its own deletion: published twice, one effect."""

import asyncio
import signal
import sys
from collections.abc import Sequence

from shared.messaging import Consumer, InProcessBus, Message, Relay
from shared.persistence.db import Database
from tests.support.backbone import (
    FIRST,
    OUTBOX,
    QUEUES,
    SECOND,
    Orders,
    Pinged,
    effects,
    emit,
    outbox_rows,
    subscription,
)
from tests.support.crashing import PUBLISHED
from tests.support.wait import until


class CountingBus(InProcessBus):
    published = 0

    async def publish(self, messages: Sequence[Message]) -> list[Exception | None]:
        self.published += len(messages)
        return await super().publish(messages)


async def test_what_a_killed_relay_had_published_takes_effect_once(database: Database, database_url: str) -> None:
    names = [f"n{number}" for number in range(10)]
    await emit(database, *(Pinged(name=name) for name in names))
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.crashing", "relay", database_url,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert victim.stdout is not None
    assert await victim.stdout.readline() == f"{PUBLISHED} 10\n".encode()
    victim.send_signal(signal.SIGKILL)
    await victim.wait()
    assert await outbox_rows(database) == 10
    assert await effects(database, FIRST) == dict.fromkeys(names, 1)

    bus = CountingBus([Consumer(subscription(queue), Orders(queue), database) for queue in QUEUES])
    heir = Relay(OUTBOX, database, bus)
    await until(heir.drain, what="the database lets go of the dead relay's rows")
    assert bus.published == 10
    assert await outbox_rows(database) == 0
    for queue in (FIRST, SECOND):
        assert await effects(database, queue) == dict.fromkeys(names, 1)
