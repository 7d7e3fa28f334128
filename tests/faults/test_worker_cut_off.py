"""A worker killed, paused or cut off at the worst moment: every event takes effect, and none does twice.

The workers are processes of the toy service (tests/support/toy.py), which counts effects and has nothing that would
hide a second one.
"""

import asyncio
import signal
from contextlib import AsyncExitStack, ExitStack
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from shared.messaging import RabbitMQ
from shared.messaging.tables import InboxMessage
from shared.persistence.db import Database, is_outage
from shared.runtime.maintenance import clean
from tests.support.backbone import FIRST, QUEUES, SECOND, Pinged, effects, outbox_rows
from tests.support.events import message
from tests.support.toy import Toy
from tests.support.wait import until

NAMES = [f"n{number}" for number in range(5)]


async def test_killed_after_the_confirm_and_before_the_mark(toy: Toy) -> None:
    """Published twice, one effect."""
    worker = toy.start("a")
    await toy.emit("first")
    await toy.took("first")
    async with toy.proxy("a broker").silent("down"):
        await toy.emit(*NAMES)
        await toy.until_heard(NAMES)
        worker.stop(signal.SIGKILL)
    await toy.proxy("a broker").reset()
    assert await outbox_rows(toy.database) == len(NAMES)
    toy.started.start_again("a")
    # To two queues each time.
    await toy.until_heard(NAMES, 4)
    await toy.emit("last")
    await toy.took("first", *NAMES, "last")
    await toy.once(["first", *NAMES, "last"])


async def test_killed_after_the_commit_and_before_the_acknowledgement(toy: Toy) -> None:
    worker = toy.start("a")
    async with AsyncExitStack() as silence:
        async with toy.nobody_writes():
            await toy.emit("n")
            await toy.stuck(2)
            await until(lambda: _is_empty(toy), what="the event to be published")
            await silence.enter_async_context(toy.proxy("a broker").silent("up"))
        await toy.took("n")
        worker.stop(signal.SIGKILL)
        await toy.proxy("a broker").reset()
    toy.started.start_again("a")
    await toy.emit("last")
    await toy.took("last")
    await toy.once(["n", "last"])


async def test_killed_before_the_commit(toy: Toy) -> None:
    worker = toy.start("a")
    async with toy.nobody_writes():
        await toy.emit("n")
        await toy.stuck(2)
        worker.stop(signal.SIGKILL)
    assert not await effects(toy.database, FIRST)
    toy.started.start_again("a")
    await toy.emit("last")
    await toy.took("n", "last")
    await toy.once(["n", "last"])


async def test_reset_on_the_way_of_the_acknowledgements(toy: Toy) -> None:
    toy.start("a")
    names = [f"n{number}" for number in range(300)]
    for start in range(0, len(names), 10):
        await toy.emit(*names[start : start + 10])
    for count in range(50, 300, 50):

        async def taken(count: int = count) -> bool:
            return (await effects(toy.database, FIRST)).total() >= count

        await until(taken, interval=0.01, what=f"{count} effects")
        await toy.proxy("a broker").reset()
    await toy.took(*names)
    await toy.emit("last")
    await toy.took("last")
    await toy.once([*names, "last"])


async def _goes_on_without(toy: Toy, wire: str) -> None:
    """All events take effect once, though a connection that was in use is half-open from then on."""
    await toy.emit("first")
    await toy.took("first")
    assert await toy.proxy(wire).half_open()
    await toy.emit(*NAMES)
    await toy.took(*NAMES)
    await toy.once(["first", *NAMES])


async def test_a_publisher_s_connection_that_leads_nowhere_any_more(toy: Toy) -> None:
    """Heartbeats are much too far apart to tell: it notices by the confirms that do not come."""
    toy.start("a", "relay", heartbeat=60)
    toy.start("b", "consumers")
    await _goes_on_without(toy, "a broker")


async def test_a_consumer_s_connection_that_leads_nowhere_any_more(toy: Toy) -> None:
    toy.start("a", "consumers")
    toy.start("b", "relay")
    await _goes_on_without(toy, "a broker")


async def test_database_connections_that_lead_nowhere_any_more(toy: Toy) -> None:
    toy.start("a", seconds=6)
    await _goes_on_without(toy, "a database")


async def test_a_statement_whose_connection_leads_nowhere_any_more(toy: Toy) -> None:
    """The server says in time that it took too long, and nobody hears it."""
    database = Database(toy.network.before("database", toy.url), seconds=2)
    async with database.transaction() as session:
        statement = asyncio.create_task(session.execute(sa.text("SELECT pg_sleep(600)")))
        await until(lambda: _sleeps(toy), what="the statement to be under way")
        await toy.proxy("database").half_open()
        with pytest.raises(OperationalError) as given_up:
            await statement
        assert is_outage(given_up.value)
        await session.rollback()
    await database.ping()
    await database.close()


async def test_a_forgotten_transaction_holds_up_nobody_for_long(toy: Toy) -> None:
    await toy.emit("held")
    pause = ExitStack()
    async with toy.holding("SELECT 1 FROM outbox FOR UPDATE"):
        worker = toy.start("a")
        # Whatever is locked, what is not goes on.
        await toy.emit(*NAMES)
        await toy.took(*NAMES)
        assert "held" not in await effects(toy.database, FIRST)
        pause.enter_context(worker.paused())
    with pause:
        forgetful = toy.forget(seconds=2)
        await until(lambda: "held" in forgetful.log.read_text(), what="the row to be held")
    await toy.took("held")
    assert forgetful.popen.poll() is None
    await toy.once(["held", *NAMES])


async def test_a_publisher_paused_for_longer_than_its_claim_lasts(toy: Toy) -> None:
    worker = toy.start("a")
    await toy.emit("first")
    await toy.took("first")
    async with toy.proxy("a broker").silent("down"):
        await toy.emit(*NAMES)
        await toy.until_heard(NAMES)
        with worker.paused():
            second = toy.start("b")
            await toy.took(*NAMES)
            await until(lambda: _is_empty(toy), what="the other one to have published them")
            await toy.emit("second")
            await toy.took("second")
    second.stop(signal.SIGKILL)
    await toy.emit("last")
    await toy.took("last")
    await toy.once(["first", *NAMES, "second", "last"])


async def test_a_consumer_paused_in_its_transaction(toy: Toy) -> None:
    worker = toy.start("a", seconds=6)
    with ExitStack() as pause:
        async with toy.nobody_writes():
            await toy.emit("n")
            await toy.stuck(2)
            pause.enter_context(worker.paused())
            second = toy.start("b")
        # Ended by the database, which has waited long enough for the next word of the first.
        await toy.took("n")
        await toy.emit("second")
        await toy.took("second")
    second.stop(signal.SIGKILL)
    await toy.emit("last")
    await toy.took("last")
    await toy.once(["n", "second", "last"])


async def test_dead_letters_replayed_after_eight_days(toy: Toy) -> None:
    """One has had its effect already, the other has not."""
    transport = RabbitMQ(toy.amqp_url, QUEUES, name="operator")
    events = {name: message(Pinged(name=name)) for name in ("had", "had not")}
    toy.start("a")
    assert await transport.publish([events["had"]]) == [None]
    await toy.took("had")
    for queue in (FIRST, SECOND):
        await toy.bury(queue, events.values())
    async with toy.database.transaction() as session:
        long_ago = InboxMessage.received_at - timedelta(days=8)
        await session.execute(sa.update(InboxMessage).values(received_at=long_ago))
    await clean(toy.database)
    for queue in (FIRST, SECOND):
        assert await transport.replay(queue.name) == 2
    await transport.close()
    await toy.took("had not")
    await toy.emit("last")
    await toy.took("last")
    await toy.once(["had", "had not", "last"])


async def _is_empty(toy: Toy) -> bool:
    return await outbox_rows(toy.database) == 0


async def _sleeps(toy: Toy) -> bool:
    query = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
    async with toy.database.transaction() as session:
        return bool((await session.execute(sa.text(query))).all())
