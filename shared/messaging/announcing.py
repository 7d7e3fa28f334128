"""Tells the relays of a service's other processes that rows were committed: PostgreSQL's NOTIFY, after the commit.

In the writing transaction it would take a lock of the whole server that lasts until the commit is on disk, so that
commits of all services queue for each other. By itself it writes nothing to the disk. It is a hint: a relay finds by
polling what a lost one would have told.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import psycopg
import sqlalchemy as sa

from shared.loops import heed_cancellation
from shared.messaging.outbox import Outbox
from shared.observability.telemetry import get_logger
from shared.persistence.connections import connect_args
from shared.persistence.db import Database

log = get_logger(__name__)

_CHANNEL = "outbox"
# A relay that is busy finds the next rows anyway.
_PACE = 0.005
_RECONNECT = 1.0
# One that listens sends nothing, and would not notice by itself that nobody is there any more.
_KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}


async def announce(outbox: Outbox, database: Database) -> None:
    """Tell of each commit that wrote events through `outbox`, from a process that has no relay, until cancelled."""
    committed = asyncio.Event()

    async def tell(connection: psycopg.AsyncConnection[Any]) -> None:
        # Of what was committed while there was no connection.
        committed.set()
        while True:
            heed_cancellation()
            await committed.wait()
            committed.clear()
            await connection.execute(f"NOTIFY {_CHANNEL}")
            await asyncio.sleep(_PACE)

    with outbox.announced_to(partial(asyncio.get_running_loop().call_soon_threadsafe, committed.set)):
        await _keep_connected(database, tell)


async def listen(database: Database, hear: Callable[[], object]) -> None:
    """Call `hear` whenever another process tells of a commit, and once when it begins to listen, until cancelled."""

    async def wait(connection: psycopg.AsyncConnection[Any]) -> None:
        await connection.execute(f"LISTEN {_CHANNEL}")
        hear()
        async for _ in connection.notifies():
            hear()

    await _keep_connected(database, wait)


class Announcer:
    """Tells from a process without an event loop, at once, on a connection that it keeps."""

    def __init__(self, url: str) -> None:
        self._url = sa.make_url(url)
        self._connection: psycopg.Connection[Any] | None = None

    def tell(self) -> None:
        """Tell. Raises psycopg.Error; the next one is told on a new connection."""
        try:
            if self._connection is None:
                self._connection = psycopg.connect(**_options(self._url))
            self._connection.execute(f"NOTIFY {_CHANNEL}")
        except psycopg.Error:
            self.close()
            raise

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _options(url: sa.URL) -> dict[str, Any]:
    _, options = url.get_dialect()().create_connect_args(url)
    return {**options, **connect_args(), **_KEEPALIVE, "autocommit": True}


async def _keep_connected(database: Database, work: Callable[[psycopg.AsyncConnection[Any]], Awaitable[None]]) -> None:
    """Do `work` on a connection that waits for no other's end, and on a new one whenever that is lost."""
    while True:
        heed_cancellation()
        try:
            async with await psycopg.AsyncConnection.connect(**_options(database.engine.url)) as connection:
                await work(connection)
        except Exception as error:
            log.warning("announcing.lost", error=type(error).__name__)
        await asyncio.sleep(_RECONNECT)
