"""PostgreSQL under the virtual clock: its now() is the agenda's time.

Services leave to the database what several machines must agree on: when an outbox row is due, how old an inbox row is.
So here `now()` and its like are functions of ours, found before the system's own; what no function can stand for
(CURRENT_TIMESTAMP) is refused by `tools/rules.py`. A session that has not been told the time fails.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
import sqlalchemy as sa
from psycopg import sql

from tests.simulation.agenda import Agenda

_FUNCTIONS = ("now", "transaction_timestamp", "statement_timestamp", "clock_timestamp")
_FUNCTION = """
CREATE FUNCTION virtual.{}() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT pg_catalog.current_setting('virtual.now')::timestamptz $$
"""
# Defaults keep the function they were made with.
_DEFAULTS = """
SELECT format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT virtual.now()', attrelid::regclass, attname)
FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
WHERE pg_get_expr(adbin, adrelid) = 'now()'
"""
# When a table is looked through anew is a matter of real time, and plans decide in which order rows come.
_STATISTICS = """
SELECT format('ALTER TABLE %s SET (autovacuum_enabled = off)', oid::regclass)
FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""
_SET = "SELECT set_config('virtual.now', %s, false)"
_TOLD = "virtual.now"


def prepare(url: str) -> None:
    """Let a migrated database go by virtual time from the next connection on."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE SCHEMA virtual")
        for function in _FUNCTIONS:
            connection.execute(sql.SQL(_FUNCTION).format(sql.Identifier(function)))
        for query in (_DEFAULTS, _STATISTICS):
            for (statement,) in connection.execute(query).fetchall():
                connection.execute(statement)
        name = sql.Identifier(_name(url))
        connection.execute(sql.SQL("ALTER DATABASE {} SET search_path = virtual, public, pg_catalog").format(name))


def tidy(url: str) -> None:
    """Do what autovacuum would."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")


@contextmanager
def told(agenda: Agenda, urls: Collection[str]) -> Iterator[None]:
    """Tell these databases the time at the beginning of each transaction, as long as the block lasts."""
    names = {_name(url) for url in urls}

    def begin(connection: sa.Connection) -> None:
        moment = agenda.entered.isoformat()
        if connection.engine.url.database in names and connection.info.get(_TOLD) != moment:
            connection.exec_driver_sql(_SET, (moment,))
            connection.info[_TOLD] = moment

    def rollback(connection: sa.Connection) -> None:
        # Taken back with all the rest.
        connection.info.pop(_TOLD, None)

    listeners = (("begin", begin), ("rollback", rollback))
    for event, listener in listeners:
        sa.event.listen(sa.Engine, event, listener)
    try:
        yield
    finally:
        for event, listener in listeners:
            sa.event.remove(sa.Engine, event, listener)


def _name(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")
