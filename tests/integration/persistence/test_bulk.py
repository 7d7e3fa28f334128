"""The bulk writer writes what SQLAlchemy's own insert would, in one statement of one size."""

import enum
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from shared.persistence.bulk import BulkInsert, Given, run, run_async
from shared.persistence.db import Database, violates
from tests.support.backing import Postgres
from tests.support.sql import statements

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


class Status(enum.Enum):
    draft = "draft"
    approved = "approved"


# Every kind of column that our tables have, and what may stand in it.
KINDS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "id": (sa.Uuid(), st.uuids()),
    "small": (sa.Integer(), st.integers(-(2**31), 2**31 - 1)),
    "big": (sa.BigInteger(), st.integers(-(2**63), 2**63 - 1)),
    "flag": (sa.Boolean(), st.booleans()),
    "day": (sa.Date(), st.dates()),
    "at": (sa.DateTime(timezone=True), st.datetimes(datetime(1900, 1, 1), timezones=st.just(UTC))),  # noqa: DTZ001
    "text": (sa.Text(), TEXT),
    "order": (sa.String(40), TEXT),
    "bytes": (sa.LargeBinary(), st.binary(max_size=12)),
    "share": (sa.Numeric(), st.decimals(-1000, 1000, places=3)),
    "status": (sa.Enum(Status, native_enum=False, length=20), st.sampled_from(Status)),
    "names": (ARRAY(sa.Text), st.lists(st.none() | TEXT | st.sampled_from(['"', "\\", "NULL", "{}", ","]), max_size=3)),
    "document": (JSONB(), JSON),
}
METADATA = sa.MetaData()
OURS, THEIRS = (
    sa.Table(
        name,
        METADATA,
        sa.Column("row", sa.Integer, sa.Identity(), primary_key=True),
        *(sa.Column(column, kind) for column, (kind, _) in KINDS.items()),
    )
    for name in ("ours", "theirs")
)
THINGS = sa.Table(
    "things",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, sa.CheckConstraint("number > 0", name="positive"), nullable=False),
    sa.Column("code", sa.String(3)),
    sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
)
UPSERT = BulkInsert(
    THINGS,
    ("name", "number"),
    on_conflict="(name) DO UPDATE SET number = EXCLUDED.number WHERE things.number < EXCLUDED.number",
    returning=("name", "number"),
)
ROWS = st.lists(st.tuples(*(st.none() | values for _, values in KINDS.values())), max_size=6)


@pytest.fixture(scope="module")
def url(postgres: Postgres) -> Iterator[str]:
    with postgres.temporary() as url:
        yield url


@pytest.fixture(scope="module")
def engine(url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(url)
    METADATA.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: sa.Engine) -> Iterator[Session]:
    with Session(engine) as session:
        yield session


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS)
def test_writes_what_sqlalchemy_writes_of_every_type(session: Session, rows: list[tuple[Any, ...]]) -> None:
    BulkInsert(OURS, tuple(KINDS)).write(session, rows)
    if rows:
        session.execute(sa.insert(THEIRS), [dict(zip(KINDS, row, strict=True)) for row in rows])
    # As text too: two values may be equal here and not there, such as a JSON null and none.
    ours, theirs = (
        session.execute(sa.text(f"SELECT t.*, t::text FROM {table} t ORDER BY row")).all()  # noqa: S608
        for table in ("ours", "theirs")
    )
    assert [row[1:-1] for row in ours] == [row[1:-1] for row in theirs]
    assert [row[-1].partition(",")[2] for row in ours] == [row[-1].partition(",")[2] for row in theirs]
    assert len(ours) == len(rows)
    session.rollback()


async def test_is_the_same_for_an_asynchronous_session(engine: sa.Engine, url: str) -> None:
    database = Database(url)
    async with database.transaction() as session:
        assert await UPSERT.write_async(session, []) == []
        assert list(await UPSERT.write_async(session, [("async", 1)])) == [("async", 1)]
        given = Given({"n": sa.Integer()})
        found = await run_async(session, f"SELECT {given.selection} FROM {given.table}", given.parameters([(7,)]))  # noqa: S608
        assert list(found) == [(7,)]
        await session.rollback()
    await database.close()


def test_is_one_statement_of_one_size(session: Session) -> None:
    with statements(unrolled=True) as sent:
        for size in (1, 400):
            UPSERT.write(session, [(f"n{number}", 1) for number in range(size)])
    assert len(sent) == 2
    assert sent[0] == sent[1]


def test_no_rows_are_no_statement(session: Session) -> None:
    with statements() as sent:
        assert UPSERT.write(session, []) == []
    assert sent == []


def test_what_is_not_named_has_its_default_and_the_order_stays(session: Session) -> None:
    BulkInsert(THINGS, ("name", "number")).write(session, [("b", 2), ("a", 1)])
    assert session.scalars(sa.select(THINGS.c.made_at)).all()[0] is not None
    names = [str(number) for number in range(300)]
    BulkInsert(OURS, ("text",)).write(session, [(name,) for name in names])
    assert session.scalars(sa.select(OURS.c.text).order_by(OURS.c.row)).all() == names


def test_returns_the_rows_that_were_written_and_no_others(session: Session) -> None:
    assert list(UPSERT.write(session, [("a", 2), ("b", 2)])) == [("a", 2), ("b", 2)]
    assert list(UPSERT.write(session, [("a", 1), ("b", 3)])) == [("b", 3)]
    ignoring = BulkInsert(THINGS, ("name", "number"), on_conflict="DO NOTHING", returning=("name",))
    assert list(ignoring.write(session, [("a", 9), ("c", 9)])) == [("c",)]


def test_belongs_to_the_session_s_transaction(session: Session) -> None:
    UPSERT.write(session, [("gone", 1)])
    session.rollback()
    assert session.scalar(sa.select(sa.func.count()).select_from(THINGS)) == 0


def test_refuses_what_the_table_refuses(session: Session) -> None:
    with pytest.raises(IntegrityError) as refused:
        UPSERT.write(session, [("zero", 0)])
    assert violates(refused.value, "positive")
    session.rollback()
    with pytest.raises(DataError, match="too long"):
        BulkInsert(THINGS, ("name", "number", "code")).write(session, [("a", 1, "four")])


@pytest.mark.parametrize("rows", [[("a",)], [("a", 1, 2)], [("a", 1), ("b",)]])
def test_refuses_rows_of_another_width(session: Session, rows: list[tuple[Any, ...]]) -> None:
    with pytest.raises(ValueError, match="zip"):
        UPSERT.write(session, rows)


def test_knows_no_arrays_but_those_of_text() -> None:
    with pytest.raises(TypeError, match="ARRAY"):
        Given({"numbers": ARRAY(sa.Integer)})


def test_gives_rows_to_a_statement_of_one_s_own(session: Session) -> None:
    ids = [uuid.uuid4() for _ in range(3)]
    BulkInsert(OURS, ("id", "text", "names")).write(session, [(each, "old", ["old"]) for each in ids])
    given = Given({"id": sa.Uuid(), "text": sa.Text(), "names": ARRAY(sa.Text), "share": sa.Numeric()}, "fresh")
    rows = [(each, f"new {number}", [str(number)], Decimal(number)) for number, each in enumerate(ids[:2])]
    changed = run(
        session,
        f"WITH news AS (SELECT {given.selection} FROM {given.table})"  # noqa: S608
        " UPDATE ours SET text = news.text, names = news.names, share = news.share FROM news WHERE ours.id = news.id"
        " RETURNING ours.text, ours.names, ours.share",
        given.parameters(rows),
    )
    assert sorted(changed) == [("new 0", ["0"], 0), ("new 1", ["1"], 1)]
    assert run(session, "UPDATE ours SET day = %(day)s", {"day": date(2026, 1, 1)}) == []
