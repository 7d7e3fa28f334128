"""A refused statement is recognised by the constraint that refused it."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from shared.persistence.db import violates
from tests.support.backing import Postgres

STATEMENTS = {
    "uq_things_name": "INSERT INTO things VALUES ('taken', 2, true)",
    "uq_things_current": "INSERT INTO things VALUES ('other', 1, true)",
    "ck_things_number": "INSERT INTO things VALUES ('other', -1, false)",
}


@pytest.fixture(scope="module")
def engine(postgres: Postgres) -> Iterator[sa.Engine]:
    with postgres.temporary() as url:
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            connection.execute(
                sa.text(
                    "CREATE TABLE things (name text CONSTRAINT uq_things_name UNIQUE,"
                    " number int CONSTRAINT ck_things_number CHECK (number > 0), current bool)"
                )
            )
            connection.execute(sa.text("CREATE UNIQUE INDEX uq_things_current ON things (number) WHERE current"))
            connection.execute(sa.text("INSERT INTO things VALUES ('taken', 1, true)"))
        yield engine
        engine.dispose()


@pytest.mark.parametrize("constraint", STATEMENTS)
def test_names_the_constraint(engine: sa.Engine, constraint: str) -> None:
    with pytest.raises(sa.exc.IntegrityError) as caught, engine.begin() as connection:
        connection.execute(sa.text(STATEMENTS[constraint]))
    others = STATEMENTS.keys() - {constraint}
    assert violates(caught.value, constraint)
    assert violates(caught.value, "uq_elsewhere", constraint)
    assert not violates(caught.value, *others)


def test_an_error_of_no_database_names_none() -> None:
    assert not violates(sa.exc.IntegrityError("", None, Exception()), "uq_things_name")
