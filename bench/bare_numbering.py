"""What numbering cannot be faster than: psycopg writing the same rows of approvals, ledger and outbox, in batches."""

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID, uuid4

import psycopg

from shared.values.clock import business_day

SERIES = UUID("00000000-0000-4000-8000-000000000707")


class Given(NamedTuple):
    """An approval as whoever has it in hand."""

    application: UUID
    decision_no: int
    post: str
    post_name: str
    enterprise_name: str
    holder_masked: str
    traceparent: str


TAKE = """
    INSERT INTO counters VALUES (%b, 0, %b) ON CONFLICT (series_id, period)
    DO UPDATE SET last = counters.last + excluded.last RETURNING last
"""
APPROVALS = """
    UPDATE approvals SET status = 'numbered' FROM unnest(%b::uuid[], %b::int[]) AS given(application, decision_no)
    WHERE application_id = given.application AND approvals.decision_no = given.decision_no
"""
NEW_APPROVALS = """
    INSERT INTO approvals (application_id, decision_no, post, post_name, enterprise_name, holder_masked, traceparent,
                           approved_at, status)
    SELECT given.*, %b, 'numbered' FROM unnest(%b::uuid[], %b::int[], %b::text[], %b::text[], %b::text[], %b::text[],
                                               %b::text[]) AS given
"""
LEDGER = """
    INSERT INTO ledger (application_id, decision_no, post, post_name, enterprise_name, holder_masked, number, lookup,
                        serial, series_id, period, state, issued_on, assigned_at)
    SELECT given.*, %b, 0, 'valid', %b, %b FROM unnest(%b::uuid[], %b::int[], %b::text[], %b::text[], %b::text[],
                                                       %b::text[], %b::text[], %b::text[], %b::bigint[]) AS given
"""
OUTBOX = """
    INSERT INTO outbox (event_id, routing_key, envelope)
    SELECT event_id, 'certnumber.assigned.v1', envelope FROM unnest(%b::uuid[], %b::text[]) AS given(event_id, envelope)
"""


def number_batch(connection: psycopg.Connection, given: Sequence[Given], *, waiting: bool = False) -> None:
    """Give each approval a number in the caller's transaction; `waiting` ones have a row already."""
    now = datetime.now(UTC)
    applications, decisions, *shown, traces = (list(column) for column in zip(*given, strict=True))
    execute = connection.execute
    if waiting:
        execute(APPROVALS, (applications, decisions))
    else:
        execute(NEW_APPROVALS, (now, applications, decisions, *shown, traces))
    (last,) = execute(TAKE, (SERIES, len(given))).fetchone() or ()
    serials = range(last - len(given) + 1, last + 1)
    numbers = [f"00707{row.post}{serial:07}" for row, serial in zip(given, serials, strict=True)]
    today = business_day(now)
    execute(LEDGER, (SERIES, today, now, applications, decisions, *shown, numbers, numbers, list(serials)))
    events = [uuid4() for _ in given]
    at, day = now.isoformat(), today.isoformat()
    envelopes = [
        json.dumps(
            {
                "specversion": "1.0",
                "id": str(event),
                "source": "/certnumber",
                "type": "certnumber.assigned",
                "subject": str(row.application),
                "time": at,
                "dataschema": "urn:ganzheng:certnumber.assigned.v1",
                "datacontenttype": "application/json",
                "traceparent": row.traceparent,
                "data": {
                    "application_id": str(row.application),
                    "decision_no": row.decision_no,
                    "number": number,
                    "issued_on": day,
                    "assigned_at": at,
                    "replaces": None,
                },
            }
        )
        for event, row, number in zip(events, given, numbers, strict=True)
    ]
    execute(OUTBOX, (events, envelopes))


def number_all(url: str, given: Sequence[Given], batch: int) -> float:
    """Number waiting approvals, whose keys are known, on one connection; gives the numbers per second."""
    with psycopg.connect(url) as connection:
        started = time.perf_counter()
        for first in range(0, len(given), batch):
            with connection.transaction():
                number_batch(connection, given[first : first + batch], waiting=True)
        return len(given) / (time.perf_counter() - started)
