"""PostgreSQL as it is in earnest, and what it counts."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests.support.backing import Postgres


@contextmanager
def committed_to_disk(postgres: Postgres) -> Iterator[None]:
    """Have commits wait for the disk, as in earnest; the tests' server does not."""
    with psycopg.connect(postgres.admin_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM RESET fsync")
        connection.execute("SELECT pg_reload_conf()")
        yield
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
