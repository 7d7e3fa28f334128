"""The one way to write many rows: a statement with one array per column, whatever their number.

SQLAlchemy's own insert compiles and binds every row; this one takes rows as tuples, sends each column as one array in
binary form, and does not grow: `INSERT INTO t (a, b) SELECT a, b FROM unnest($1::uuid[], $2::text[]) AS given(a, b)`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Session, SessionTransaction
from sqlalchemy.orm.attributes import set_committed_value

_DIALECT: sa.Dialect = psycopg.dialect()  # type: ignore[no-untyped-call]

_AT_COMMIT = "written_at_commit"

Rows = Sequence[sa.Row[Any]]
_Processor = Callable[[Any], Any]


class Given:
    """Rows from here as a table `name` of a statement: for an UPDATE or a query of one's own, as `run` executes it.

    `columns` are the table's columns with SQLAlchemy's types, whose values are sent as SQLAlchemy's own statements
    would. `table` stands in FROM; `selection` lists its columns as their types are.
    """

    def __init__(self, columns: Mapping[str, sa.types.TypeEngine[Any]], name: str = "given") -> None:
        self._columns = {column: _column(kind) for column, kind in columns.items()}
        # %()b is psycopg's mark of a value in binary form.
        arrays = ", ".join(f"%({column})b::{kind}[]" for column, (kind, _, _) in self._columns.items())
        quoted = {column: _DIALECT.identifier_preparer.quote(column) for column in columns}
        self.table = f"unnest({arrays}) AS {name}({', '.join(quoted.values())})"
        self.selection = ", ".join(
            f"{name}.{quoted[column]}{f'::{cast}' if cast else ''}" for column, (_, cast, _) in self._columns.items()
        )

    def parameters(self, rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
        """Give the parameters of a statement that has `table` in it. Raises ValueError for rows that lack columns or
        have too many."""
        given: dict[str, list[Any]] = {}
        for column, values in zip(self._columns, zip(*rows, strict=True), strict=True):
            _, _, process = self._columns[column]
            given[column] = list(values) if process is None else [process(value) for value in values]
        return given


class BulkInsert:
    """Writes rows to a table's `columns`; the others have the database's defaults.

    `on_conflict` is what follows ON CONFLICT (`DO NOTHING`, `(id) DO UPDATE SET …`), `returning` the columns to read of
    each row written. Both are written into the statement as they are.
    """

    def __init__(
        self,
        table: type[DeclarativeBase] | sa.Table,
        columns: Sequence[str],
        *,
        on_conflict: str = "",
        returning: Sequence[str] = (),
    ) -> None:
        target = cast(sa.Table, table if isinstance(table, sa.Table) else table.__table__)
        self._given = Given({column: target.c[column].type for column in columns})
        quote = _DIALECT.identifier_preparer.quote
        self.statement = (
            f"INSERT INTO {quote(target.fullname)} ({', '.join(map(quote, columns))})"  # noqa: S608 - names of ours
            f" SELECT {self._given.selection} FROM {self._given.table}"
        )
        if on_conflict:
            self.statement += f" ON CONFLICT {on_conflict}"
        if returning:
            self.statement += f" RETURNING {', '.join(map(quote, returning))}"

    def write(self, session: Session, rows: Sequence[Sequence[Any]]) -> Rows:
        """Write rows in the session's transaction, each with a value for each column; nothing is flushed before.

        Returns what `returning` names, else nothing. Raises ValueError, and IntegrityError as any statement.
        """
        return run(session, self.statement, self._given.parameters(rows)) if rows else []

    async def write_async(self, session: AsyncSession, rows: Sequence[Sequence[Any]]) -> Rows:
        return await run_async(session, self.statement, self._given.parameters(rows)) if rows else []

    def write_at_commit(self, session: AsyncSession | Session, rows: Sequence[Sequence[Any]]) -> None:
        """Write rows right before the session's transaction is committed, after what is flushed then: all that were
        given by then at once. A savepoint that is rolled back takes those along that were given under it."""
        sync = session.sync_session if isinstance(session, AsyncSession) else session
        if not sync.in_transaction():
            # As `add` of an object does: what begins no transaction is not rolled back with one.
            sync.begin()
        waiting = sync.info.setdefault(_AT_COMMIT, {}).setdefault(sync.get_nested_transaction(), {})
        waiting.setdefault(self, []).extend(rows)


@sa.event.listens_for(Session, "before_commit")
def write_waiting(session: Session) -> None:
    """Write what was given to `write_at_commit`, as the commit does before all else."""
    waiting = session.info.get(_AT_COMMIT, {}).pop(session.get_nested_transaction(), {})
    if waiting:
        session.flush()
    for writer, rows in waiting.items():
        writer.write(session, rows)


@sa.event.listens_for(Session, "after_transaction_end")
def _forget_waiting(session: Session, transaction: SessionTransaction) -> None:
    if transaction.nested:
        session.info.get(_AT_COMMIT, {}).pop(transaction, None)
    elif transaction.parent is None:
        session.info.pop(_AT_COMMIT, None)


class BulkUpdate:
    """Writes `columns` of rows by one statement for all, beside their primary key; where `only` is given, of those for
    which it holds of the row and of what is `given`. It is written into the statement as it is."""

    def __init__(self, entity: type[DeclarativeBase], columns: Sequence[str], *, only: str = "") -> None:
        table = cast(sa.Table, entity.__table__)
        keys = [column.name for column in table.primary_key]
        self._columns = tuple(columns)
        self._names = (*keys, *columns)
        self._given = Given({name: table.c[name].type for name in self._names})
        quote = _DIALECT.identifier_preparer.quote
        changes = ", ".join(f"{quote(name)} = given.{quote(name)}" for name in columns)
        same = " AND ".join(f"{table.name}.{quote(name)} = given.{quote(name)}" for name in keys)
        self.statement = f"UPDATE {table.name} SET {changes} FROM {self._given.table} WHERE {same}"  # noqa: S608 - ours
        if only:
            self.statement += f" AND {only}"

    async def write_async(self, session: AsyncSession, rows: Sequence[Sequence[Any]]) -> None:
        """Write rows, each with the primary key and then a value for each column. Raises ValueError, and IntegrityError
        as any statement."""
        if rows:
            await run_async(session, self.statement, self._given.parameters(rows))

    async def write_changed_async(self, session: AsyncSession, objects: Iterable[DeclarativeBase]) -> None:
        """Write those of the objects that were changed, where a flush has a statement for each of them. What was not
        written like this is flushed with the commit."""
        changed = [each for each in objects if sa.inspect(each).modified]
        rows = [[getattr(each, name) for name in self._names] for each in changed]
        await self.write_async(session, rows)
        for each, row in zip(changed, rows, strict=True):
            for name, value in zip(self._columns, row[-len(self._columns) :], strict=True):
                set_committed_value(each, name, value)


def run(session: Session, statement: str, parameters: Mapping[str, Any]) -> Rows:
    """Execute the driver's own SQL (`%(name)s`, and `%(name)b` for what `Given` sends) in the session's transaction."""
    return _rows(session.connection().exec_driver_sql(statement, dict(parameters)))


async def run_async(session: AsyncSession, statement: str, parameters: Mapping[str, Any]) -> Rows:
    return _rows(await (await session.connection()).exec_driver_sql(statement, dict(parameters)))


def _rows(result: sa.CursorResult[Any]) -> Rows:
    return result.all() if result.returns_rows else []


def _column(kind: sa.types.TypeEngine[Any]) -> tuple[str, str, _Processor | None]:
    """Give the type of a column's elements on the way, what to cast them to at their end, and how to send a value."""
    if isinstance(kind, sa.ARRAY):
        if not isinstance(kind.item_type, sa.String):
            raise TypeError(f"no way to send {kind!r} is known here")
        # unnest would take an array of arrays apart to its last element: so each goes as its own text.
        return "text", kind.compile(_DIALECT), _array_text
    # A cast to varchar(n) would cut off what an assignment refuses.
    name = "text" if isinstance(kind, sa.String) else kind.compile(_DIALECT)
    return name, "", kind.dialect_impl(_DIALECT).bind_processor(_DIALECT)


def _array_text(values: Sequence[str | None] | None) -> str | None:
    return None if values is None else "{" + ",".join(map(_element_text, values)) + "}"


def _element_text(value: str | None) -> str:
    return "NULL" if value is None else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
