from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared.persistence.db import after_commit


class Calls:
    def __init__(self) -> None:
        self.count = 0

    def note(self) -> None:
        self.count += 1


@pytest.fixture
def session() -> Iterator[Session]:
    engine = sa.create_engine("sqlite://")
    with Session(engine) as session:
        session.execute(sa.text("SELECT 1"))
        yield session
    engine.dispose()


@pytest.fixture
def calls() -> Calls:
    return Calls()


def test_calls_after_the_commit_and_once(session: Session, calls: Calls) -> None:
    after_commit(session, calls.note)
    after_commit(session, calls.note)
    session.flush()
    assert calls.count == 0
    session.commit()
    assert calls.count == 1
    session.execute(sa.text("SELECT 1"))
    session.commit()
    assert calls.count == 1


def test_calls_again_for_what_another_transaction_asks(session: Session, calls: Calls) -> None:
    for expected in (1, 2):
        after_commit(session, calls.note)
        session.commit()
        assert calls.count == expected


def test_a_rollback_forgets(session: Session, calls: Calls) -> None:
    after_commit(session, calls.note)
    session.rollback()
    session.execute(sa.text("SELECT 1"))
    session.commit()
    assert calls.count == 0


def test_a_session_that_is_closed_forgets(session: Session, calls: Calls) -> None:
    after_commit(session, calls.note)
    session.close()
    session.execute(sa.text("SELECT 1"))
    session.commit()
    assert calls.count == 0


def test_a_commit_that_fails_forgets(session: Session, calls: Calls) -> None:
    def refuse(_session: Session) -> None:
        raise ZeroDivisionError

    sa.event.listen(session, "before_commit", refuse, once=True)
    after_commit(session, calls.note)
    with pytest.raises(ZeroDivisionError):
        session.commit()
    session.rollback()
    session.execute(sa.text("SELECT 1"))
    session.commit()
    assert calls.count == 0


def test_the_end_of_a_savepoint_is_no_commit(session: Session, calls: Calls) -> None:
    with session.begin_nested():
        after_commit(session, calls.note)
    assert calls.count == 0
    session.commit()
    assert calls.count == 1


def test_a_callback_that_fails_harms_nobody(session: Session, calls: Calls) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    after_commit(session, fail)
    after_commit(session, calls.note)
    session.commit()
    assert calls.count == 1
