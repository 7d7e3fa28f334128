"""What is given to the bulk writer over a transaction is written with its commit, all at once."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from shared.persistence.bulk import BulkInsert
from shared.persistence.db import Database
from tests.support.backing import Postgres
from tests.support.sql import statements


class Base(DeclarativeBase):
    pass


class Thing(Base):
    __tablename__ = "things"
    name: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    number: Mapped[int] = mapped_column(sa.CheckConstraint("number > 0"))


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    text: Mapped[str] = mapped_column(sa.Text)


THINGS = BulkInsert(Thing, ("name", "number"))
NOTES = BulkInsert(Note, ("text",))


@pytest.fixture(scope="module")
def url(postgres: Postgres) -> Iterator[str]:
    with postgres.temporary() as url:
        yield url


@pytest.fixture(scope="module")
def engine(url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(url)
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: sa.Engine) -> Iterator[Session]:
    with Session(engine) as session:
        yield session
    with engine.begin() as connection:
        connection.execute(sa.delete(Thing))
        connection.execute(sa.delete(Note))


def names(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(sa.select(Thing.name).order_by(Thing.name)))


def test_writes_all_that_was_given_by_one_statement(engine: sa.Engine, session: Session) -> None:
    with statements() as sent:
        THINGS.write_at_commit(session, [("a", 1)])
        NOTES.write_at_commit(session, [("t",)])
        THINGS.write_at_commit(session, [("b", 1), ("c", 1)])
        assert sent == []
        session.commit()
        session.commit()
    assert sent == [THINGS.statement, NOTES.statement]
    assert names(engine) == ["a", "b", "c"]


def test_a_rollback_forgets_and_so_does_a_close(engine: sa.Engine, session: Session) -> None:
    THINGS.write_at_commit(session, [("a", 1)])
    session.execute(sa.text("SELECT 1"))
    session.rollback()
    session.commit()
    THINGS.write_at_commit(session, [("b", 1)])
    session.execute(sa.text("SELECT 1"))
    session.close()
    session.commit()
    assert names(engine) == []


def test_what_no_statement_came_before_is_forgotten_as_well(engine: sa.Engine, session: Session) -> None:
    THINGS.write_at_commit(session, [("a", 1)])
    session.rollback()
    session.commit()
    THINGS.write_at_commit(session, [("b", 1)])
    session.close()
    session.commit()
    assert names(engine) == []


def test_a_savepoint_takes_its_own_along_and_no_others(engine: sa.Engine, session: Session) -> None:
    THINGS.write_at_commit(session, [("before", 1)])
    with session.begin_nested():
        THINGS.write_at_commit(session, [("kept", 1)])
        with session.begin_nested() as lost:
            THINGS.write_at_commit(session, [("lost", 1)])
            lost.rollback()
    THINGS.write_at_commit(session, [("after", 1)])
    session.commit()
    assert names(engine) == ["after", "before", "kept"]


def test_the_commit_of_all_writes_what_open_savepoints_have(engine: sa.Engine, session: Session) -> None:
    session.begin_nested()
    THINGS.write_at_commit(session, [("inner", 1)])
    session.commit()
    assert names(engine) == ["inner"]


def test_what_is_refused_then_is_the_commit_s_error(engine: sa.Engine, session: Session) -> None:
    THINGS.write_at_commit(session, [("good", 1), ("bad", 0)])
    with pytest.raises(IntegrityError):
        session.commit()
    session.rollback()
    session.commit()
    assert names(engine) == []


async def test_an_asynchronous_session_writes_as_well(engine: sa.Engine, url: str, session: Session) -> None:
    database = Database(url)
    async with database.transaction() as asynchronous:
        THINGS.write_at_commit(asynchronous, [("a", 1)])
        async with asynchronous.begin_nested():
            THINGS.write_at_commit(asynchronous, [("b", 1)])
    await database.close()
    assert names(engine) == ["a", "b"]


def test_comes_after_what_is_flushed(session: Session) -> None:
    NOTES.write_at_commit(session, [("second",)])
    session.add(Note(text="first"))
    session.commit()
    assert session.scalars(sa.select(Note.text).order_by(Note.id)).all() == ["first", "second"]
