"""The proof that every series is 1..N: computed from the ledger itself, never from what the numbering believes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.certnumber import queries
from services.certnumber.models import Approval, NumberingFigures, SeriesCount
from shared.values.clock import Clock

MAX_EXAMPLES = 10


@dataclass(frozen=True)
class Evidence:
    """What the ledger says at a moment, by series and period; `oldest` is the oldest approval without a number."""

    at: datetime
    series: Sequence[SeriesCount]
    missing: Mapping[tuple[UUID, int], Sequence[int]]
    waiting: int
    failed: int
    oldest: Approval | None


async def prove(session: AsyncSession, clock: Clock) -> Evidence:
    """Count the ledger out, name the first serials missing of each series, and who has no number yet."""
    series = await queries.count_series(session)
    missing: defaultdict[tuple[UUID, int], list[int]] = defaultdict(list)
    if any(count.gaps for count in series):
        for gap in await queries.find_gaps(session, MAX_EXAMPLES):
            missing[gap.series_id, gap.period].append(gap.missing)
    waiting, failed = await queries.count_unnumbered(session)
    return Evidence(clock.now(), series, missing, waiting, failed, await queries.oldest_unnumbered(session))


async def read_figures(session: AsyncSession) -> NumberingFigures:
    """Read what can be measured without reading the ledger."""
    return await queries.numbering_figures(session)
