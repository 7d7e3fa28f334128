"""Gives numbers to waiting approvals: the serials of a series are 1..N without gap or repeat, one per approval.

One short transaction per batch. What waits for nobody comes first and the counters come last: they are the only rows
two batches both want.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.certnumber.domain import (
    Failure,
    Number,
    SeriesRule,
    allocate,
    approval_year,
    lookup_key,
    period_of,
    rule_for,
)
from services.certnumber.numbering import queries
from services.certnumber.numbering.queries import FailedApproval, NewEntry, Waiting
from shared.contracts.certnumber import NumberAssigned, NumberingFailed
from shared.messaging import Outbox
from shared.observability.telemetry import current_traceparent
from shared.observability.tracing import SpanKind, span
from shared.persistence.connections import connect_args, guard_connections
from shared.values.clock import Clock, business_day

# A burst comes faster than the planner's statistics of it: no batch may read a whole table or a whole index.
_PLANS = "".join(f" -c {name}=off" for name in (
    "enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "jit",
))  # fmt: skip


def create_engine(url: str) -> sa.Engine:
    """Make an engine for one worker process; it connects when first used."""
    arguments = connect_args()
    engine = sa.create_engine(
        url,
        pool_size=1,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={**arguments, "options": arguments["options"] + _PLANS},
    )
    guard_connections(engine)
    return engine


def assign_batch(session: Session, clock: Clock, outbox: Outbox, limit: int) -> int:
    """Number up to `limit` waiting approvals or mark them failed; gives how many. The caller's commit is the act."""
    run = current_traceparent()
    rules = queries.active_rules(session)
    waiting = queries.claim_waiting(session, limit)
    if not waiting:
        return 0
    now = clock.now()
    today = business_day(now)
    entries: list[NewEntry] = []
    failed: list[FailedApproval] = []
    for item, allocation in _allocate(session, waiting, rules):
        with span("certnumber", "number", SpanKind.INTERNAL, item.traceparent, [run]):
            if isinstance(allocation, Failure):
                failed.append(FailedApproval(item.application_id, item.decision_no, allocation))
                outbox.add(session, _numbering_failed(item, allocation), now)
            else:
                entries.append(_entry(item, allocation))
                outbox.add(session, _number_assigned(item, allocation.number, today, now), now)
    if entries:
        queries.write_ledger(session, entries, today, now)
    if failed:
        queries.mark_failed(session, failed)
    return len(waiting)


class Allocation(NamedTuple):
    """A number with the counter its serial is from."""

    series_id: UUID
    period: int
    number: Number


def _allocate(
    session: Session, waiting: Sequence[Waiting], rules: Sequence[SeriesRule]
) -> Iterator[tuple[Waiting, Allocation | Failure]]:
    groups: dict[tuple[UUID, int], list[Waiting]] = {}
    by_id = {rule.id: rule for rule in rules}
    for item in waiting:
        rule = rule_for(item.post, rules)
        if rule is None:
            yield item, Failure.no_series
        else:
            period = period_of(item.approved_at, yearly=rule.yearly)
            groups.setdefault((rule.id, period), []).append(item)
    # What this batch gives is not in the ledger yet: of two series that print one number, one number twice would undo
    # the whole batch, and the next one likewise.
    given: set[str] = set()
    # Sorted: two batches that want the same two counters must not wait for each other.
    for series_id, period in sorted(groups):
        items = groups[series_id, period]
        numbers = _allocate_serials(session, by_id[series_id], period, items, given)
        for item, number in zip(items, numbers, strict=True):
            if isinstance(number, Failure):
                yield item, number
            else:
                given.add(lookup_key(number.text))
                yield item, Allocation(series_id, period, number)


def _allocate_serials(
    session: Session, rule: SeriesRule, period: int, items: Sequence[Waiting], given: Collection[str]
) -> list[Number | Failure]:
    wanted = [(item.post, approval_year(item.approved_at)) for item in items]
    serials = queries.reserve_serials(session, rule.id, period, len(items), rule.layout.capacity)
    taken = set(given)
    while True:
        allocated = allocate(rule.layout, wanted, serials, taken)
        numbers = [outcome.text for outcome in allocated if isinstance(outcome, Number)]
        found = queries.find_taken(session, [lookup_key(number) for number in numbers]) if numbers else None
        if not found:
            break
        taken |= found
    if len(numbers) < len(serials):
        queries.release_unused_serials(session, rule.id, period, serials.start + len(numbers) - 1)
    return allocated


def _entry(item: Waiting, allocation: Allocation) -> NewEntry:
    series_id, period, number = allocation
    return NewEntry(
        number.text,
        lookup_key(number.text),
        series_id,
        period,
        number.serial,
        item.application_id,
        item.decision_no,
        item.post,
        item.post_name,
        item.enterprise_name,
        item.holder_masked,
        item.replaces,
    )


def _number_assigned(item: Waiting, number: Number, issued_on: date, at: datetime) -> NumberAssigned:
    return NumberAssigned(
        application_id=item.application_id,
        decision_no=item.decision_no,
        number=number.text,
        issued_on=issued_on,
        assigned_at=at,
        replaces=item.replaces,
    )


def _numbering_failed(item: Waiting, failure: Failure) -> NumberingFailed:
    return NumberingFailed(
        application_id=item.application_id, decision_no=item.decision_no, code=failure, detail=failure.detail
    )
