"""All SQL of the certnumber service but the numbering's own (numbering/queries.py)."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from services.certnumber.domain import ApprovalStatus, lookup_key
from services.certnumber.models import (
    Approval,
    Counter,
    Gap,
    LedgerEntry,
    NumberingFigures,
    QueuedApproval,
    Series,
    SeriesCount,
)
from services.certnumber.overlap import Output
from shared.persistence.bulk import BulkInsert, run_async
from shared.persistence.search import contains, search_key
from shared.values.text import NUMERALS, search
from shared.web.pagination import PageRequest, keyset

Key = tuple[UUID, int]

_NUMERALS = re.compile(f"[{NUMERALS}]")
# Numbering takes SHARE: it never sees half of a change, and a change waits for the numbers being given.
LOCK_SERIES = sa.text("LOCK TABLE series IN SHARE ROW EXCLUSIVE MODE")
LOCK_SERIES_SHARED = sa.text("LOCK TABLE series IN SHARE MODE")

# Counters, and two partial indexes: what was numbered is not read.
FIGURES = sa.text("""
    SELECT (SELECT coalesce(sum(last), 0) FROM counters)::bigint,
           (SELECT count(*) FROM approvals WHERE status = 'waiting'),
           (SELECT count(*) FROM approvals WHERE status = 'failed'),
           (SELECT coalesce(greatest(0, extract(epoch FROM now() - min(approved_at))), 0)
            FROM approvals WHERE status = 'waiting')::float
""")

# A ledger row has a counter (foreign key), so the counters name all series and periods there are.
SERIES_COUNTS = sa.text("""
    SELECT c.series_id, s.name, c.period, c.last AS counter, count(l.serial) AS count,
           coalesce(max(l.serial), 0) AS highest,
           greatest(c.last, coalesce(max(l.serial), 0)) - count(DISTINCT l.serial) AS gaps,
           count(l.serial) - least(count(DISTINCT l.serial), count(DISTINCT l.number)) AS duplicates,
           count(*) FILTER (WHERE l.state = 'void') AS void,
           count(*) FILTER (WHERE l.state = 'valid') AS valid
    FROM counters c JOIN series s ON s.id = c.series_id LEFT JOIN ledger l USING (series_id, period)
    GROUP BY c.series_id, c.period, s.name, s.created_at
    ORDER BY s.created_at, c.series_id, c.period
""")

# The serial after the last one closes the list, so that what is missing at its end is found like any other gap.
GAPS = sa.text("""
    SELECT series_id, period, missing FROM (
        SELECT series_id, period, missing,
               row_number() OVER (PARTITION BY series_id, period ORDER BY missing) AS position
        FROM (
            SELECT series_id, period, serial,
                   lag(serial, 1, 0) OVER (PARTITION BY series_id, period ORDER BY serial) AS before
            FROM (SELECT series_id, period, serial FROM ledger
                  UNION ALL
                  SELECT series_id, period, greatest(last, max(serial)) + 1
                  FROM counters LEFT JOIN ledger USING (series_id, period) GROUP BY series_id, period) AS serials
        ) AS steps
        CROSS JOIN LATERAL generate_series(before + 1, least(serial - 1, before + :limit)) AS missing
    ) AS gaps
    WHERE position <= :limit ORDER BY series_id, period, missing
""")

UNNUMBERED = sa.text("""
    SELECT count(*) FILTER (WHERE status = 'waiting') AS waiting, count(*) FILTER (WHERE status = 'failed') AS failed
    FROM approvals WHERE status IN ('waiting', 'failed')
""")

_KEY = sa.tuple_(Approval.application_id, Approval.decision_no)


# A tombstone of a withdrawal gets the approval's own facts.
_FACTS = (
    "post",
    "post_name",
    "enterprise_name",
    "holder_masked",
    "previous_approval",
    "replaces",
    "approved_at",
    "traceparent",
)
_ADD = BulkInsert(
    Approval,
    QueuedApproval._fields,
    on_conflict="(application_id, decision_no) DO UPDATE SET "
    + ", ".join(f"{name} = EXCLUDED.{name}" for name in _FACTS)
    + " WHERE approvals.approved_at IS NULL AND EXCLUDED.approved_at IS NOT NULL",
)


async def add_approvals(session: AsyncSession, rows: Iterable[QueuedApproval]) -> None:
    """Insert rows in key order, approvals or tombstones of their withdrawals. One that is there stays, but a tombstone
    gets the approval's own facts."""
    ordered = sorted(rows, key=lambda row: (row.application_id, row.decision_no))
    await _ADD.write_async(session, ordered)


async def latest_decisions(session: AsyncSession, applications: Collection[UUID]) -> dict[UUID, int]:
    """Find the highest decision_no known of each application."""
    statement = """
        SELECT application_id, max(decision_no) AS latest FROM approvals
        WHERE application_id = ANY (%(applications)b::uuid[]) GROUP BY application_id
    """
    rows = await run_async(session, statement, {"applications": list(applications)})
    return {row.application_id: row.latest for row in rows}


def versions() -> sa.Subquery:
    """What is compared with renewal: by application, how many approvals and withdrawals of them are known."""
    withdrawn = sa.func.count().filter(Approval.status == ApprovalStatus.withdrawn)
    known = sa.select(Approval.application_id.label("id"), (sa.func.count() + withdrawn).label("version"))
    return known.group_by(Approval.application_id).subquery()


async def find_present_entries(session: AsyncSession, keys: Collection[Key]) -> Sequence[LedgerEntry]:
    """Find the numbers of these approvals that are valid."""
    statement = sa.select(LedgerEntry).where(
        sa.tuple_(LedgerEntry.application_id, LedgerEntry.decision_no).in_(list(keys)), LedgerEntry.state == "valid"
    )
    return (await session.scalars(statement)).all()


async def find_failed(session: AsyncSession, keys: Collection[Key]) -> Sequence[Approval]:
    """Find those of these approvals that could not be numbered."""
    statement = sa.select(Approval).where(_KEY.in_(list(keys)), Approval.status == ApprovalStatus.failed)
    return (await session.scalars(statement)).all()


async def lock_approvals(session: AsyncSession, keys: Iterable[Key]) -> dict[Key, Approval]:
    statement = (
        sa.select(Approval)
        .where(_KEY.in_(list(keys)))
        .order_by(Approval.application_id, Approval.decision_no)
        .with_for_update()
    )
    return {(row.application_id, row.decision_no): row for row in await session.scalars(statement)}


async def find_entries(session: AsyncSession, keys: Iterable[Key]) -> dict[Key, LedgerEntry]:
    statement = sa.select(LedgerEntry).where(
        sa.tuple_(LedgerEntry.application_id, LedgerEntry.decision_no).in_(list(keys))
    )
    return {(row.application_id, row.decision_no): row for row in await session.scalars(statement)}


async def numbering_figures(session: AsyncSession) -> NumberingFigures:
    return NumberingFigures(*(await session.execute(FIGURES)).one())


async def find_entry(session: AsyncSession, number: str) -> LedgerEntry | None:
    """Find the number in whatever form; of two that differ in case or kind of bracket the one that was typed.

    A search takes ① for 1; but it is a mark, and no digit of another number.
    """
    marks = sa.func.regexp_replace(LedgerEntry.number, f"[^{NUMERALS}]", "", "g")
    statement = sa.select(LedgerEntry).where(
        search_key(LedgerEntry.number) == search_key(search(number)),
        marks == "".join(_NUMERALS.findall(number)),
    )
    exact = LedgerEntry.lookup == lookup_key(number)
    return await session.scalar(statement.order_by(exact.desc(), LedgerEntry.number).limit(1))


async def find_successor(session: AsyncSession, number: str) -> LedgerEntry | None:
    """Find the valid entry that has taken this number's place, directly or through void ones in between."""
    chain = sa.select(LedgerEntry.number, LedgerEntry.state).where(LedgerEntry.replaces == number).cte(recursive=True)
    following = sa.select(LedgerEntry.number, LedgerEntry.state).where(LedgerEntry.replaces == chain.c.number)
    chain = chain.union(following)
    valid = sa.select(chain.c.number).where(chain.c.state == "valid").limit(1)
    return await session.scalar(sa.select(LedgerEntry).where(LedgerEntry.number.in_(valid)))


async def lock_series(session: AsyncSession) -> None:
    """Lock the series: until the end of the transaction nobody else changes a series or gives a number."""
    await session.execute(LOCK_SERIES)


async def find_series(session: AsyncSession, series_id: UUID) -> Series | None:
    return await session.get(Series, series_id)


async def active_series(session: AsyncSession) -> Sequence[Series]:
    return (await session.scalars(sa.select(Series).where(Series.active))).all()


async def find_given(session: AsyncSession, printed: Sequence[Output]) -> str | None:
    """Find a number of the ledger that one of these outputs would print again, or one that a search takes for it.

    Reads the ledger once.
    """
    return await _find_printed(session, LedgerEntry.number, LedgerEntry.lookup, printed)


async def find_replaced(session: AsyncSession, printed: Sequence[Output]) -> str | None:
    """Find a number of the registry, as far as renewals name what they replace, that one of these would print."""
    columns = (Approval.replaces, LedgerEntry.replaces)
    known = sa.union_all(*(sa.select(column).where(column.is_not(None)) for column in columns)).subquery().c.replaces
    return await _find_printed(session, known, sa.func.normalize(known, sa.literal_column("NFKC")), printed)


async def _find_printed(session: AsyncSession, number: Any, lookup: Any, printed: Sequence[Output]) -> str | None:
    printed = [replace(output, sought=True) for output in printed]
    # The conditions leave hardly more than what is printed; what they cannot say is asked of the output itself.
    rows = await session.stream_scalars(
        sa.select(number).where(sa.or_(*(_may_print(output, number, lookup) for output in printed)))
    )
    async for found in rows:
        if any(output.prints(found) for output in printed):
            await rows.close()
            return str(found)
    return None


def _may_print(output: Output, number: Any, lookup: Any) -> sa.ColumnElement[bool]:
    # A lookup key is a sought key but for capitals, spaces and what marks are folded into; folding these costs twenty
    # times as much, and a ledger has millions of rows.
    width = len(output.slots)
    spaced = sa.and_(sa.func.char_length(lookup) > width, lookup.contains(" "))
    key = sa.case((spaced, search_key(number)), else_=sa.func.lower(lookup))

    def piece(at: int, width: int) -> Any:
        return sa.func.substr(key, at + 1, width).collate("C")

    literals = (slot.character if slot.character.isalnum() and slot.character != "〇" else "_" for slot in output.slots)
    texts = (piece(at, len(next(iter(texts)))).in_(texts) for at, texts in output.texts)
    serial = piece(output.serial_at, len(output.lowest)) >= output.lowest
    return sa.and_(key.like("".join(literals)), serial, *texts)


async def count_failed(session: AsyncSession) -> dict[str, int]:
    """Count the approvals that could not be numbered, by post."""
    statement = sa.select(Approval.post, sa.func.count()).where(Approval.status == "failed").group_by(Approval.post)
    return dict((await session.execute(statement)).all())


def series_named(name: str) -> sa.Select[Any]:
    """Select the ids of the series with this in their name."""
    return sa.select(Series.id).where(contains(Series.name, name))


async def series_names(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, str]:
    return dict((await session.execute(sa.select(Series.id, Series.name).where(Series.id.in_(ids)))).all())


async def list_series(session: AsyncSession, page: PageRequest) -> Sequence[Series]:
    return (await session.scalars(keyset(sa.select(Series), page, Series.created_at, Series.id))).all()


async def list_counters(session: AsyncSession, series_ids: Collection[UUID]) -> Sequence[Counter]:
    statement = sa.select(Counter).where(Counter.series_id.in_(series_ids)).order_by(Counter.series_id, Counter.period)
    return (await session.scalars(statement)).all()


async def reopen_failed(session: AsyncSession) -> None:
    """Let whatever could not be numbered under the old series be tried again under the new ones."""
    await session.execute(
        sa.update(Approval)
        .where(Approval.status == ApprovalStatus.failed)
        .values(status=ApprovalStatus.waiting, failure_code=None)
    )


async def count_series(session: AsyncSession) -> list[SeriesCount]:
    """Count the whole ledger out, by series and period."""
    return [SeriesCount(*row) for row in await session.execute(SERIES_COUNTS)]


async def find_gaps(session: AsyncSession, limit: int) -> list[Gap]:
    """Find the first missing serials of each series and period, at most `limit` of each, in order."""
    return [Gap(*row) for row in await session.execute(GAPS, {"limit": limit})]


async def count_unnumbered(session: AsyncSession) -> tuple[int, int]:
    """Count the approvals that wait, and those that failed."""
    waiting, failed = (await session.execute(UNNUMBERED)).one()
    return waiting, failed


async def oldest_unnumbered(session: AsyncSession) -> Approval | None:
    return await session.scalar(
        sa.select(Approval).where(Approval.status.in_(("waiting", "failed"))).order_by(Approval.approved_at).limit(1)
    )
