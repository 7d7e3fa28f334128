"""The proof that every series is 1..N: computed from the ledger itself, never from what the numbering believes."""

from collections import defaultdict
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from services.certnumber.models import Approval
from services.certnumber.schemas import Proof, SeriesProof, UnnumberedApproval
from shared.values.clock import Clock

MAX_EXAMPLES = 10

# A ledger row has a counter (foreign key), so the counters name all series and periods there are.
COUNTS = sa.text("""
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
        CROSS JOIN LATERAL generate_series(before + 1, least(serial - 1, before + :examples)) AS missing
    ) AS gaps
    WHERE position <= :examples ORDER BY series_id, period, missing
""")

UNNUMBERED = sa.text("""
    SELECT count(*) FILTER (WHERE status = 'waiting') AS waiting, count(*) FILTER (WHERE status = 'failed') AS failed
    FROM approvals WHERE status IN ('waiting', 'failed')
""")


async def prove(session: AsyncSession, clock: Clock) -> Proof:
    series = [
        SeriesProof.model_validate(
            {**row, "gapless": row["gaps"] == 0 and row["duplicates"] == 0 and row["highest"] == row["counter"]}
        )
        for row in (await session.execute(COUNTS)).mappings()
    ]
    if any(entry.gaps for entry in series):
        examples: defaultdict[tuple[UUID, int], list[int]] = defaultdict(list)
        for row in await session.execute(GAPS, {"examples": MAX_EXAMPLES}):
            examples[row.series_id, row.period].append(row.missing)
        series = [
            entry.model_copy(update={"gap_examples": examples[entry.series_id, entry.period]}) for entry in series
        ]
    counts = (await session.execute(UNNUMBERED)).one()
    oldest = await session.scalar(
        sa.select(Approval).where(Approval.status.in_(("waiting", "failed"))).order_by(Approval.approved_at).limit(1)
    )
    return Proof(
        gapless=all(entry.gapless for entry in series),
        series=series,
        waiting=counts.waiting,
        failed=counts.failed,
        oldest_waiting=UnnumberedApproval.model_validate(oldest, from_attributes=True) if oldest else None,
        oldest_waiting_seconds=_age(oldest, clock),
    )


def _age(approval: Approval | None, clock: Clock) -> int | None:
    if approval is None or approval.approved_at is None:
        return None
    return max(0, int((clock.now() - approval.approved_at).total_seconds()))
