"""The pages of how the review goes, and of the proof that numbers have no gap."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Response

from services.portal.api.certnumber import Proof
from services.portal.api.review import DayRead, StatisticsRead, WaitingRead
from services.portal.context import DeskReader, Staff
from services.portal.routing import page_router
from shared.errors import NotFound

router = page_router()

WINDOWS = (7, 30, 90)
DECISIONS = {"approved": "通过", "rejected": "驳回", "withdrawn": "撤回"}
# Of the drawing, in its own units.
WIDTH, HEIGHT = 960, 240


@dataclass(frozen=True)
class Bar:
    """A rectangle of the drawing, counted from the left and from the top."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Column:
    """A day: its bars, the middle of it, the top of its highest bar, and its label where there is room for one."""

    bars: Sequence[Bar]
    middle: float
    top: float
    total: int
    label: str


@dataclass(frozen=True)
class Chart:
    """Decisions per day, one upon the other. `marks` are (height, number) of the scale."""

    columns: Sequence[Column]
    marks: Sequence[tuple[float, int]]


def scale(highest: int) -> int:
    """Find a round number, 2 at least, that the highest column fits under."""
    zeros = len(str(highest)) - 1
    steps = (int(f"{step}{'0' * zeros}") for step in (1, 2, 3, 4, 6, 8, 10))
    return max(2, next(step for step in steps if step >= highest))


def counts(day: DayRead) -> dict[str, int]:
    """Count the day's decisions by kind, in the order of DECISIONS."""
    return {"approved": day.approved, "rejected": day.rejected, "withdrawn": day.withdrawn}


def chart(days: Sequence[DayRead]) -> Chart:
    """Draw `days` of the API's statistics, the last one today."""
    top = scale(max(sum(counts(day).values()) for day in days))
    step = WIDTH / len(days)
    every = -(-len(days) // 10)
    columns = []
    for position, day in enumerate(days):
        bars: list[Bar] = []
        y = float(HEIGHT)
        for kind, count in counts(day).items():
            height = HEIGHT * count / top
            if height:
                y -= height
                bars.append(
                    Bar(kind, round((position + 0.15) * step, 1), round(y, 1), round(step * 0.7, 1), round(height, 1))
                )
        label = f"{day.day:%m-%d}" if (len(days) - 1 - position) % every == 0 else ""
        total = sum(counts(day).values())
        columns.append(Column(bars, round((position + 0.5) * step, 1), round(y, 1), total, label))
    return Chart(columns, [(HEIGHT - HEIGHT * mark / top, mark) for mark in (0, top // 2, top)])


def span(seconds: int) -> str:
    """Say a time that has passed, in its largest unit."""
    for size, unit in ((86400, "天"), (3600, "小时"), (60, "分钟")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} 秒"


def waiting_label(band: WaitingRead) -> str:
    """Say days since submission in words; the upper end is not included."""
    if band.to_days is None:
        return f"{band.from_days} 天以上"
    if band.from_days == 0:
        return f"不满 {band.to_days} 天"
    return f"{band.from_days} 天以上，不满 {band.to_days} 天"


@router.get("/review/statistics")
async def show_statistics(context: DeskReader, days: int = 30) -> Response:
    if days not in WINDOWS:
        raise NotFound
    figures = await context.get(StatisticsRead, "/review/v1/statistics", params={"days": days})
    return context.page(
        "statistics/dashboard.html",
        days=days,
        windows=WINDOWS,
        waiting=[(waiting_label(band), band.count) for band in figures.waiting],
        reasons=[(reason.label, reason.count) for reason in figures.reasons],
        figures=figures,
        decided=[(day.day, counts(day)) for day in figures.decided],
        totals={kind: sum(counts(day)[kind] for day in figures.decided) for kind in DECISIONS},
        kinds=DECISIONS,
        chart=chart(figures.decided),
        width=WIDTH,
        height=HEIGHT,
    )


@router.get("/review/proof")
async def show_proof(context: Staff) -> Response:
    proof = await context.get(Proof, "/certnumber/v1/proof")
    seconds = proof.oldest_waiting_seconds
    return context.page("statistics/proof.html", proof=proof, waited=None if seconds is None else span(seconds))
