"""The backbone's pure parts: envelopes, and which database errors are whose fault."""

from datetime import UTC, datetime
from typing import ClassVar

import pytest
import sqlalchemy as sa
from psycopg import errors
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, InternalError, OperationalError, ProgrammingError

from shared.messaging import Envelope, Event
from shared.observability.telemetry import bind_trace, new_traceparent
from shared.persistence.db import ReadOnlyDatabase, is_outage, is_transient

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Opened(Event):
    type: ClassVar[str] = "door.opened"
    version: ClassVar[int] = 2
    subject_field: ClassVar[str] = "door"
    door: str


def wrapped(kind: type[DBAPIError], original: Exception, *, invalidated: bool = False) -> DBAPIError:
    return kind("SELECT 1", {}, original, connection_invalidated=invalidated)


OUTAGES = [
    wrapped(OperationalError, errors.OperationalError("connection refused")),
    wrapped(OperationalError, errors.AdminShutdown()),
    wrapped(OperationalError, errors.CannotConnectNow()),
    wrapped(OperationalError, errors.TooManyConnections()),
    wrapped(OperationalError, errors.DiskFull()),
    wrapped(OperationalError, errors.ConnectionFailure()),
    wrapped(OperationalError, errors.CrashShutdown()),
    wrapped(OperationalError, errors.IoError()),
    wrapped(InternalError, errors.ReadOnlySqlTransaction()),
    ReadOnlyDatabase(),
    wrapped(InterfaceError, errors.InterfaceError("connection already closed")),
    wrapped(DBAPIError, errors.DatabaseError("consuming input failed"), invalidated=True),
    sa.exc.TimeoutError("QueuePool limit reached"),
    TimeoutError(),
    ConnectionResetError(),
]
CONTENTION = [
    wrapped(OperationalError, errors.DeadlockDetected()),
    wrapped(OperationalError, errors.SerializationFailure()),
    wrapped(OperationalError, errors.LockNotAvailable()),
    wrapped(OperationalError, errors.QueryCanceled()),
    wrapped(OperationalError, errors.IdleInTransactionSessionTimeout(), invalidated=True),
]
OURS = [
    wrapped(IntegrityError, errors.UniqueViolation()),
    wrapped(ProgrammingError, errors.UndefinedTable()),
    wrapped(DBAPIError, errors.NumericValueOutOfRange()),
    FileNotFoundError(),
    ValueError(),
]


def name(error: Exception) -> str:
    return type(error.orig if isinstance(error, DBAPIError) else error).__name__


class TestDatabaseErrors:
    @pytest.mark.parametrize("error", OUTAGES, ids=name)
    def test_an_outage_is_nobodys_fault(self, error: Exception) -> None:
        assert is_outage(error)
        assert is_transient(error)

    @pytest.mark.parametrize("error", CONTENTION, ids=name)
    def test_contention_passes_but_may_be_the_statements_fault(self, error: Exception) -> None:
        assert not is_outage(error)
        assert is_transient(error)

    @pytest.mark.parametrize("error", OURS, ids=name)
    def test_a_mistake_stays_one(self, error: Exception) -> None:
        assert not is_outage(error)
        assert not is_transient(error)


class TestEnvelope:
    def test_names_contract_subject_source_and_trace(self) -> None:
        parent = new_traceparent()
        bind_trace(parent)
        envelope = Envelope.wrap(Opened(door="front"), "house", NOW)
        assert envelope.model_dump(mode="json") == {
            "specversion": "1.0",
            "id": str(envelope.id),
            "source": "/house",
            "type": "door.opened",
            "subject": "front",
            "time": "2026-03-01T00:00:00Z",
            "dataschema": "urn:ganzheng:door.opened.v2",
            "datacontenttype": "application/json",
            "traceparent": parent,
            "data": {"door": "front"},
        }
        assert envelope.routing_key == Opened.routing_key() == "door.opened.v2"

    def test_every_event_has_its_own_id(self) -> None:
        assert len({Envelope.wrap(Opened(door="front"), "house", NOW).id for _ in range(100)}) == 100
