"""What a test sees of the SQL that the code under test sends, and a database that takes no writes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql

from shared.persistence.db import Database


@contextmanager
def statements(database: Database | None = None, *, unrolled: bool = False) -> Iterator[list[str]]:
    """The statements that `database`, or any engine of this process, is sent inside the block.

    One with a list of parameter sets counts once, or `unrolled` once for each of them.
    """
    target = database.engine.sync_engine if database else sa.Engine
    sent: list[str] = []

    def note(*arguments: Any) -> None:
        _, _, statement, parameters, _, _ = arguments
        sent.extend([statement] * (len(parameters) if unrolled and isinstance(parameters, list) else 1))

    sa.event.listen(target, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(target, "before_cursor_execute", note)


@contextmanager
def read_only(database: Database | str) -> Iterator[None]:
    """The database as a failover leaves it: everybody is thrown out, and who comes back may only read, as long as the
    block lasts."""
    url = database if isinstance(database, str) else database.engine.url.render_as_string(hide_password=False)
    name = sql.Identifier(str(sa.make_url(url).database))
    with _administrator(url) as admin:
        admin.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))
        admin.execute(_THROW_OUT)
        try:
            yield
        finally:
            admin.execute(sql.SQL("ALTER DATABASE {} RESET default_transaction_read_only").format(name))


def throw_out(url: str) -> None:
    """End all connections to the database."""
    with _administrator(url) as admin:
        admin.execute(_THROW_OUT)


_THROW_OUT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


def _administrator(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
