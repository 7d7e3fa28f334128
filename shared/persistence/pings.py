"""Asking a pooled connection whether it still leads anywhere, where that is not known already."""

import select
import time
from typing import Any

import sqlalchemy as sa

# What has answered so recently is good, unless its socket says something else.
FRESH_SECONDS = 1.0


def spare_pings(engine: sa.Engine, fresh: float = FRESH_SECONDS) -> None:
    """Let the pool of an engine with `pool_pre_ping` ask only the connections that have rested for longer than `fresh`
    seconds, or to which something came meanwhile: the server's farewell, as a rule, or the end of the stream.

    Under load a connection is lent again within milliseconds, and asking each time is a round trip per transaction.
    """
    dialect = engine.dialect
    ask = dialect.do_ping

    @sa.event.listens_for(engine, "checkin")
    def _rest(_connection: Any, record: sa.pool.ConnectionPoolEntry) -> None:
        if record.driver_connection is not None:
            record.driver_connection.rests_since = time.monotonic()

    def ping(dbapi_connection: Any) -> bool:
        driver = getattr(dbapi_connection, "driver_connection", dbapi_connection)
        since = getattr(driver, "rests_since", None)
        if since is not None and time.monotonic() - since < fresh and not _has_news(driver):
            return True
        return ask(dbapi_connection)

    dialect.do_ping = ping  # type: ignore[method-assign]


def _has_news(driver: Any) -> bool:
    """Tell whether the connection is closed, or there is something to be read from a server that was asked nothing."""
    if driver.closed:
        return True
    poll = select.poll()
    poll.register(driver.fileno(), select.POLLIN)
    return bool(poll.poll(0))
