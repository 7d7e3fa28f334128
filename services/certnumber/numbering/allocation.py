"""Gives numbers to waiting approvals: the serials of a series are 1..N without gap or repeat, one per approval.

One short transaction per batch. What waits for nobody comes first and the counters come last: they are the only rows
two batches both want.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.certnumber.domain import (
    Failure,
    Number,
    SeriesRule,
    approval_year,
    deal,
    lookup_key,
    period_of,
    rule_for,
)
from services.certnumber.numbering import queries
from services.certnumber.numbering.queries import Waiting
from shared.contracts.certnumber import NumberAssigned, NumberingFailed
from shared.messaging import Outbox
from shared.observability.telemetry import current_traceparent
from shared.observability.tracing import SpanKind, span
from shared.persistence.db import connect_args
from shared.values.clock import Clock, business_day

# A burst comes faster than the planner's statistics of it: no batch may read a whole table or a whole index.
_PLANS = "".join(f" -c {name}=off" for name in (
    "enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "jit",
))  # fmt: skip


def create_engine(url: str) -> sa.Engine:
    """An engine for one worker process; connects when first used."""
    arguments = connect_args()
    return sa.create_engine(
        url,
        pool_size=1,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={**arguments, "options": arguments["options"] + _PLANS},
    )


def assign_batch(session: Session, clock: Clock, outbox: Outbox, limit: int) -> int:
    """Number up to `limit` waiting approvals or mark them failed; returns how many. The caller's commit is the act."""
    run = current_traceparent()
    rules = queries.active_rules(session)
    waiting = queries.claim(session, limit)
    if not waiting:
        return 0
    replaced = queries.latest_numbers(session, [item.application_id for item in waiting])
    now = clock.now()
    today = business_day(now)
    ledger, failed = [], []
    for item, placed in _place(session, waiting, rules):
        key = {"application_id": item.application_id, "decision_no": item.decision_no}
        with span("certnumber", "number", SpanKind.INTERNAL, item.traceparent, [run]):
            if isinstance(placed, Failure):
                failed.append({**key, "failure_code": placed})
                outbox.add(session, NumberingFailed(**key, code=placed, detail=placed.detail), now)
                continue
            number, replaces = placed.number, replaced.get(item.application_id, item.replaces)
            place = {"series_id": placed.series_id, "period": placed.period, "serial": number.serial}
            texts = {"number": number.text, "lookup": lookup_key(number.text), "replaces": replaces}
            ledger.append({**key, **place, **texts, "issued_on": today})
            assigned = NumberAssigned(**key, number=number.text, issued_on=today, assigned_at=now, replaces=replaces)
            outbox.add(session, assigned, now)
    if ledger:
        queries.write_ledger(session, now, ledger)
    if failed:
        queries.mark_failed(session, failed)
    return len(waiting)


@dataclass(frozen=True, slots=True)
class _Place:
    series_id: UUID
    period: int
    number: Number


def _place(
    session: Session, waiting: Sequence[Waiting], rules: Sequence[SeriesRule]
) -> Iterator[tuple[Waiting, _Place | Failure]]:
    groups: dict[tuple[UUID, int], list[Waiting]] = {}
    by_id = {rule.id: rule for rule in rules}
    for item in waiting:
        rule = rule_for(item.post, rules)
        if rule is None:
            yield item, Failure.no_series
        else:
            period = period_of(item.approved_at, yearly=rule.yearly)
            groups.setdefault((rule.id, period), []).append(item)
    # Sorted: two batches that want the same two counters must not wait for each other.
    for series_id, period in sorted(groups):
        items = groups[series_id, period]
        for item, dealt in zip(items, _take(session, by_id[series_id], period, items), strict=True):
            yield item, dealt if isinstance(dealt, Failure) else _Place(series_id, period, dealt)


def _take(session: Session, rule: SeriesRule, period: int, items: Sequence[Waiting]) -> list[Number | Failure]:
    wanted = [(item.post, approval_year(item.approved_at)) for item in items]
    serials = queries.take(session, rule.id, period, len(items), rule.layout.capacity)
    taken: set[str] = set()
    while True:
        dealt = deal(rule.layout, wanted, serials, taken)
        numbers = [outcome.text for outcome in dealt if isinstance(outcome, Number)]
        found = queries.existing(session, [lookup_key(number) for number in numbers]) if numbers else None
        if not found:
            break
        taken |= found
    if len(numbers) < len(serials):
        queries.give_back(session, rule.id, period, serials.start + len(numbers) - 1)
    return dealt
