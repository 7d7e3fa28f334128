"""Many changed objects are written by one statement, and what was not written so is flushed as ever."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared.persistence.bulk import BulkInsert, BulkUpdate, write_waiting
from shared.persistence.db import Database, among
from tests.support.backing import Postgres
from tests.support.sql import statements


class Base(DeclarativeBase):
    pass


class Thing(Base):
    __tablename__ = "things"
    kind: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None]
    order: Mapped[int] = mapped_column(sa.CheckConstraint('"order" > 0'))
    other: Mapped[str | None]


UPDATE = BulkUpdate(Thing, ("name", "order"))
INSERT = BulkInsert(Thing, ("kind", "number", "name", "order"))


@pytest.fixture
async def database(postgres: Postgres) -> AsyncIterator[Database]:
    with postgres.temporary() as url:
        database = Database(url)
        async with database.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with database.transaction() as session:
            await INSERT.write_async(session, [("a", number, "old", 1) for number in range(4)])
        yield database
        await database.close()


async def things(session: Any) -> list[Thing]:
    return list(await session.scalars(sa.select(Thing).order_by(Thing.number)))


async def values(database: Database) -> list[tuple[int, str | None, int, str | None]]:
    async with database.transaction() as session:
        rows = await session.execute(
            sa.select(Thing.number, Thing.name, Thing.order, Thing.other).order_by(Thing.number)
        )
        return [(row.number, row.name, row.order, row.other) for row in rows]


async def test_writes_what_was_changed_by_one_statement_and_nothing_twice(database: Database) -> None:
    async with database.transaction() as session:
        first, second, third, _ = await things(session)
        first.name, second.name, second.order = "new", None, 7
        with statements() as sent:
            await UPDATE.write_changed_async(session, [first, second, third])
            await session.flush()
        assert sent == [UPDATE.statement]
        assert not sa.inspect(first).attrs.name.history.has_changes()
    assert await values(database) == [(0, "new", 1, None), (1, None, 7, None), (2, "old", 1, None), (3, "old", 1, None)]


async def test_leaves_other_columns_and_other_objects_to_the_flush(database: Database) -> None:
    async with database.transaction() as session:
        first, second, *_ = await things(session)
        first.name, first.other, second.name = "new", "told", "flushed"
        await UPDATE.write_changed_async(session, [first])
        # And what is changed afterwards.
        first.order = 5
    assert (await values(database))[:2] == [(0, "new", 5, "told"), (1, "flushed", 1, None)]


async def test_nothing_changed_is_no_statement(database: Database) -> None:
    async with database.transaction() as session:
        rows = await things(session)
        with statements() as sent:
            await UPDATE.write_changed_async(session, rows)
        assert sent == []


async def test_is_rolled_back_and_refused_with_the_transaction(database: Database) -> None:
    async with database.transaction() as session:
        first, second, *_ = await things(session)
        first.name, second.order = "lost", 0
        with pytest.raises(IntegrityError):
            await UPDATE.write_changed_async(session, [first, second])
        await session.rollback()
    assert {row[1] for row in await values(database)} == {"old"}


async def test_what_waits_for_the_commit_can_be_written_for_a_query(database: Database) -> None:
    async with database.transaction() as session:
        INSERT.write_at_commit(session, [("b", 9, "waiting", 1)])
        count = sa.select(sa.func.count()).select_from(Thing)
        assert await session.scalar(count) == 4
        await session.run_sync(write_waiting)
        assert await session.scalar(count) == 5
    assert len(await values(database)) == 5


@pytest.mark.parametrize("wanted", [[], [2], [1, 3, 9], [0, 1, 2, 3]])
async def test_among_finds_what_in_finds_by_one_statement_of_one_size(database: Database, wanted: list[int]) -> None:
    async with database.transaction() as session:
        with statements() as sent:
            found = await session.scalars(sa.select(Thing.number).where(among(Thing.number, wanted)))
        assert sorted(found) == sorted(set(wanted) & {0, 1, 2, 3})
        assert sent[0].count("%(") == 1
