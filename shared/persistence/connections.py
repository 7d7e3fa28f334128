"""Connections to PostgreSQL: what each is opened with, how long it waits, and when it is given up."""

from collections.abc import Callable
from typing import Any

import psycopg
import sqlalchemy as sa

STATEMENT_SECONDS = 20.0
# So much longer than the server lets a statement take: what is silent then leads nowhere any more.
GRACE_SECONDS = 5.0
# For a pooled connection that is asked whether it still leads anywhere.
_PING_SECONDS = 5.0
# A server that waits for the rest of what a client says knows no limit: one that has vanished has to be looked for.
_KEEPALIVE = {"tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3"}
# A standby, or a primary that another one takes over from.
READ_ONLY = "25006"


def connect_args(seconds: float = STATEMENT_SECONDS) -> dict[str, Any]:
    """Give what a connection is opened with. A stuck statement or a forgotten transaction must not hold rows that other
    people wait for: a statement may take `seconds`, a wait for a lock half of it, an idle transaction three quarters.
    """
    limits = {
        "statement_timeout": seconds,
        "lock_timeout": seconds / 2,
        "idle_in_transaction_session_timeout": seconds * 3 / 4,
    }
    settings = {"timezone": "UTC"} | {name: f"{limit * 1000:.0f}" for name, limit in limits.items()} | _KEEPALIVE
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    return {"options": options, "connect_timeout": 5}


def guard_connections(engine: sa.Engine, seconds: float = STATEMENT_SECONDS, *others: Callable[[], None]) -> None:
    """Let the engine's pool give up what leads to a server that is no longer the primary, or nowhere.

    The first write that is refused as read-only renews all connections, and calls `others`: they may lead to the old
    primary for as long as that one runs. The limits of `connect_args` are the server's, and help as long as there is
    one; no connection waits for an answer much longer than that.
    """

    @sa.event.listens_for(engine, "handle_error")
    def _leave_old_primary(context: sa.engine.ExceptionContext) -> None:
        if getattr(context.original_exception, "sqlstate", None) == READ_ONLY:
            context.is_disconnect = True
            for renew in others:
                renew()

    @sa.event.listens_for(engine, "do_connect")
    def _connect(dialect: sa.Dialect, _record: Any, arguments: Any, options: dict[str, Any]) -> Any:
        if dialect.is_async:
            options["async_creator_fn"] = _PatientAsyncConnection.connect
            return None
        return _PatientConnection.connect(*arguments, **options)

    @sa.event.listens_for(engine, "checkin")
    def _rest(_connection: Any, record: sa.pool.ConnectionPoolEntry) -> None:
        if record.driver_connection is not None:
            record.driver_connection.patience = _PING_SECONDS

    @sa.event.listens_for(engine, "checkout")
    def _work(_connection: Any, record: sa.pool.ConnectionPoolEntry, _proxy: Any) -> None:
        if record.driver_connection is not None:
            record.driver_connection.patience = seconds + GRACE_SECONDS


class _PatientConnection(psycopg.Connection[Any]):
    """Waits `patience` seconds for each answer, and is closed if it does not come: OperationalError."""

    patience = _PING_SECONDS

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        try:
            return super().wait(gen, interval, self.patience if timeout is None else timeout)
        except psycopg.OperationalError:
            _close_if_silent(self.pgconn, timeout)
            raise


class _PatientAsyncConnection(psycopg.AsyncConnection[Any]):
    """The same for asyncio."""

    patience = _PING_SECONDS

    async def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:  # noqa: ASYNC109
        try:
            return await super().wait(gen, interval, self.patience if timeout is None else timeout)
        except psycopg.OperationalError:
            _close_if_silent(self.pgconn, timeout)
            raise


def _close_if_silent(connection: psycopg.pq.abc.PGconn, callers_timeout: float | None) -> None:
    if callers_timeout is None and connection.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
        connection.finish()
