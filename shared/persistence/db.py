"""PostgreSQL: engine, transactions and what follows them, migrations. `Database.transaction` is the only place that
commits."""

import importlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import alembic.command
import alembic.config
import sqlalchemy as sa
from alembic import context as alembic_context
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import InstrumentedAttribute, Session, SessionTransaction, registry
from sqlalchemy.pool import AsyncAdaptedQueuePool

from shared.observability.telemetry import get_logger
from shared.persistence.connections import READ_ONLY, STATEMENT_SECONDS, connect_args, guard_connections
from shared.persistence.pings import spare_pings
from shared.persistence.reader import Reader

log = get_logger(__name__)

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

# Serialization failure, deadlock, lock timeout, statement timeout, idle transaction ended.
CONTENTION = frozenset({"40001", "40P01", "55P03", "57014", "25P03"})
# Connection exceptions, insufficient resources, operator intervention, trouble of the server's own machine.
OUTAGE_STATES = ("08", "53", "57P", "58", READ_ONLY)

_AFTER_COMMIT = "after_commit"


def new_registry(own_types: Mapping[Any, Any] | None = None) -> registry:
    """Make what a declarative base needs: the column types of annotations, and the names that migrations rely on."""
    types: dict[Any, Any] = {
        datetime: sa.DateTime(timezone=True),
        str: sa.Text,
        list[str]: ARRAY(sa.Text),
        dict[str, Any]: JSONB,
        list[dict[str, Any]]: JSONB,
    }
    return registry(metadata=sa.MetaData(naming_convention=NAMING), type_annotation_map={**types, **(own_types or {})})


# A plan that is made for what is given would have to be made each time, and is as good as the statistics.
READER_OPTIONS = " -c default_transaction_read_only=on -c plan_cache_mode=force_generic_plan -c jit=off"


class ReadOnlyDatabase(ConnectionError):
    """The database answers and takes no writes."""


def is_outage(error: BaseException) -> bool:
    """Tell whether the database is away, starting, read-only or has no connection left, so that all work fails,
    whatever it is."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, ConnectionError | TimeoutError | sa.exc.TimeoutError)
    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlstate is not None:
        return str(sqlstate).startswith(OUTAGE_STATES)
    return error.connection_invalidated or isinstance(error, InterfaceError | OperationalError)


def is_transient(error: BaseException) -> bool:
    """Tell whether the same work can succeed later: an outage, a deadlock, a lock or statement timeout."""
    return is_outage(error) or (isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in CONTENTION)


def after_commit(session: AsyncSession | Session, callback: Callable[[], None]) -> None:
    """Call `callback` once the session's transaction is committed; forget it if that never happens.

    It is called where the commit was made, at once, so it must be quick and leave the session alone. Asked for twice in
    one transaction it is called once; if it raises, that is logged. Savepoints make no difference.
    """
    session.info.setdefault(_AFTER_COMMIT, {})[callback] = None


@sa.event.listens_for(Session, "after_commit")
def _call(session: Session) -> None:
    if session.in_nested_transaction():
        return
    for callback in session.info.pop(_AFTER_COMMIT, ()):
        try:
            callback()
        except Exception as error:
            log.warning("commit.callback_failed", error=type(error).__name__)


@sa.event.listens_for(Session, "after_transaction_end")
def _forget(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        session.info.pop(_AFTER_COMMIT, None)


def among(column: InstrumentedAttribute[Any], values: Iterable[Any]) -> sa.ColumnElement[bool]:
    """Tell whether the column has one of these values: as IN, but a statement of one size that is compiled once."""
    return column == sa.any_(sa.literal(list(values), sa.ARRAY(column.type)))


def violates(error: IntegrityError, *constraints: str) -> bool:
    """Tell whether one of these constraints or unique indexes is what refused the statement."""
    diagnostics = getattr(error.orig, "diag", None)
    return getattr(diagnostics, "constraint_name", None) in constraints


class Database:
    """One service's database: a pool of connections, on which no statement takes longer than `seconds`.

    `read` is for what is one statement and asked for again and again, see `Reader.read`; all else is a transaction.
    """

    def __init__(self, url: str, *, pool_size: int = 10, seconds: float = STATEMENT_SECONDS) -> None:
        self.engine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=10,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args=connect_args(seconds),
        )
        own = connect_args(seconds)
        own["options"] += READER_OPTIONS
        self._reader = Reader(self.engine.url, max(1, pool_size // 2), seconds, **own)
        self.read = self._reader.read
        guard_connections(self.engine.sync_engine, seconds, self._reader.renew)
        spare_pings(self.engine.sync_engine)
        self._pool = cast(AsyncAdaptedQueuePool, self.engine.pool)
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """Make the block one unit of work: committed when it ends, rolled back when it raises.

        It holds a connection from its first statement on, so nothing slow belongs inside.
        """
        async with self._sessions() as session:
            try:
                yield session
                await session.commit()
            except BaseException:
                # A rollback that fails, with its connection, is not what went wrong.
                with suppress(DBAPIError):
                    await session.rollback()
                raise

    def pool_usage(self) -> tuple[int, int]:
        """Count the connections in use, and those that the pool may open."""
        return self._pool.checkedout(), self._pool.size()

    async def ping(self) -> None:
        """Ask the database whether it takes writes. Raises the driver's error when it does not answer, and
        ReadOnlyDatabase."""
        async with self.engine.connect() as connection:
            if await connection.scalar(sa.text("SELECT current_setting('transaction_read_only')::boolean")):
                await connection.invalidate()
                self._reader.renew()
                raise ReadOnlyDatabase

    async def close(self) -> None:
        self._reader.renew()
        await self.engine.dispose()


def alembic_config(service: str, url: str) -> alembic.config.Config:
    """Make Alembic's configuration for `services.<service>`; there is no alembic.ini."""
    package = importlib.import_module(f"services.{service}")
    config = alembic.config.Config()
    config.set_main_option("script_location", str(Path(str(package.__file__)).parent / "migrations"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes["url"] = url
    return config


def migrate(service: str, url: str) -> None:
    """Bring the database to the newest revision. Copies that start together wait for each other."""
    alembic.command.upgrade(alembic_config(service, url), "head")


def is_migrated(service: str, url: str) -> bool:
    """Tell whether the database has this version's newest revision, or one unknown to it, and so newer. Only reads."""
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool, connect_args=connect_args())
    with engine.connect() as connection:
        revision = MigrationContext.configure(connection).get_current_revision()
    scripts = ScriptDirectory.from_config(alembic_config(service, url))
    known = {script.revision for script in scripts.walk_revisions()}
    return revision is not None and (revision == scripts.get_current_head() or revision not in known)


def run_migrations(metadata: Sequence[sa.MetaData]) -> None:
    """Run the migrations: the body of every service's migrations/env.py."""
    config = alembic_context.config
    engine = sa.create_engine(config.attributes["url"], poolclass=sa.pool.NullPool, connect_args={"connect_timeout": 5})
    with engine.connect() as connection:
        connection.execute(sa.text("SET lock_timeout = '5s'"))
        connection.execute(sa.text("SET timezone = 'UTC'"))
        connection.execute(sa.text("SELECT pg_advisory_lock(720117)"))
        connection.commit()
        alembic_context.configure(connection=connection, target_metadata=list(metadata), compare_server_default=True)
        with alembic_context.begin_transaction():
            alembic_context.run_migrations()
    engine.dispose()
