"""A PostgreSQL of the measurements' own, whose commits wait for the disk as in earnest; the tests' server does not."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from deploy.embedded.postgres import EmbeddedPostgres
from tests.support.backing import Postgres

DATABASE = "postgres"


@contextmanager
def durable_postgres(*, counting: bool = False) -> Iterator[Postgres]:
    """Run it for as long as the block lasts; `counting` to have pg_stat_statements count."""
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory) / "postgres"
        with EmbeddedPostgres(home) as server, connected(server.url(DATABASE)) as connection:
            if counting:
                connection.execute("ALTER SYSTEM SET shared_preload_libraries = pg_stat_statements")
        # It reads that when it starts.
        with EmbeddedPostgres(home) as server:
            if counting:
                with connected(server.url(DATABASE)) as connection:
                    connection.execute("CREATE EXTENSION pg_stat_statements")
            yield Postgres(server.url(DATABASE))


def connected(url: str) -> psycopg.Connection:
    """Connect to one of our URLs, each statement its own transaction."""
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
