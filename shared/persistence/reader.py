"""Reading outside of transactions: one statement at a time, prepared, straight by the driver.

SQLAlchemy takes several times as long as such a statement does. What is asked for again and again, and is one
statement, is read here; all else is a transaction (`db.py`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import psycopg
import sqlalchemy as sa

from shared.persistence.connections import GRACE_SECONDS

PATIENCE = 10.0
Row = tuple[Any, ...]
Connection = psycopg.AsyncConnection[Row]
Read = Callable[[str, Mapping[str, Any]], Awaitable[list[Row]]]


class Reader:
    """At most `size` connections to one database, opened when they are needed. They can write nothing, so a statement
    whose connection turns out to be lost is simply sent again."""

    def __init__(self, url: sa.URL, size: int, seconds: float, **options: Any) -> None:
        self._address = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._seconds = seconds + GRACE_SECONDS
        self._options = options
        self._places = asyncio.Semaphore(size)
        self._idle: list[Connection] = []

    async def read(self, statement: str, parameters: Mapping[str, Any]) -> list[Row]:
        """Execute the driver's own SQL (`%(name)s`) and return its rows. Raises SQLAlchemy's errors, and TimeoutError
        where no connection becomes free."""
        if self._places.locked():
            async with asyncio.timeout(PATIENCE):
                await self._places.acquire()
        else:
            await self._places.acquire()
        try:
            home = self._idle
            if home:
                connection = home.pop()
                try:
                    return await self._execute(home, connection, statement, parameters)
                except psycopg.OperationalError:
                    if not connection.closed:
                        raise
            return await self._execute(home, await self._connect(), statement, parameters)
        except psycopg.Error as error:
            raise sa.exc.DBAPIError.instance(
                statement, None, error, psycopg.Error, hide_parameters=True, connection_invalidated=False
            ) from None
        finally:
            self._places.release()

    async def _execute(
        self, home: list[Connection], connection: Connection, statement: str, parameters: Mapping[str, Any]
    ) -> list[Row]:
        try:
            async with asyncio.timeout(self._seconds):
                cursor = connection.cursor(binary=True)
                await cursor.execute(statement, parameters, prepare=True)
                rows = await cursor.fetchall()
        except psycopg.Error:
            self._keep(home, connection)
            raise
        except BaseException:
            # Given up in the middle: whatever is still to come of it must not be the next one's.
            await connection.close()
            raise
        self._keep(home, connection)
        return rows

    def _keep(self, home: list[Connection], connection: Connection) -> None:
        if home is self._idle and not connection.closed:
            home.append(connection)
        else:
            connection.pgconn.finish()

    async def _connect(self) -> Connection:
        connection = await psycopg.AsyncConnection.connect(self._address, autocommit=True, **self._options)
        connection.prepare_threshold = 0
        return connection

    def renew(self) -> None:
        """Let every connection be a new one from now on."""
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.pgconn.finish()
