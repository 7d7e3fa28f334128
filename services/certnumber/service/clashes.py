"""Whether a series prints numbers of others: asked before one is saved, and shown of those that were saved before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.certnumber import queries
from services.certnumber.domain import Layout, SeriesRule, approval_year
from services.certnumber.errors import SeriesClash
from services.certnumber.models import Series
from services.certnumber.overlap import CENTURY, Output, common_number, outputs, posts_of

# What decides which numbers a series prints.
PRINTING = ("layout", "posts", "yearly", "active")


@dataclass(frozen=True)
class Clash:
    """A number that a series and another active one would both print."""

    number: str
    other: Series


@dataclass(frozen=True)
class Press:
    """The active series with what they may yet print."""

    active: Sequence[Series]
    rules: Mapping[UUID, SeriesRule]
    counters: Mapping[UUID, Mapping[int, int]]
    years: range

    @classmethod
    async def load(cls, session: AsyncSession, now: datetime, active: Sequence[Series]) -> "Press":
        """Read the counters of these series, and for which years numbers may yet be wanted."""
        counters: dict[UUID, dict[int, int]] = {series.id: {} for series in active}
        for counter in await queries.list_counters(session, counters.keys()):
            counters[counter.series_id][counter.period] = counter.last
        oldest = await queries.oldest_unnumbered(session)
        # Word of an approval may be on its way over the end of a year.
        first = approval_year(now) - 1
        if oldest is not None and oldest.approved_at is not None:
            first = min(first, approval_year(oldest.approved_at))
        rules = {series.id: _rule(series) for series in active}
        return cls(active, rules, counters, range(first, approval_year(now) + CENTURY - 1))

    def posts(self, series: Series) -> frozenset[str]:
        """List the posts that a series numbers."""
        return posts_of(self.rules[series.id], self.rules.values())

    def prints(self, series: Series, posts: frozenset[str] | None = None) -> list[Output]:
        """List what a series may yet print, for all its posts or for these."""
        posts = self.posts(series) if posts is None else posts
        found = outputs(self.rules[series.id], posts, self.counters[series.id], self.years)
        return [output for output in found if not output.is_empty]

    def clash(self, series: Series, printed: Sequence[Output]) -> Clash | None:
        """Find a number that another active series would print too."""
        for other in self.active:
            if other.id != series.id:
                theirs = self.prints(other)
                common = (common_number(one, another) for one in printed for another in theirs)
                number = next(filter(None, common), None)
                if number is not None:
                    return Clash(number, other)
        return None


async def refuse_clashes(
    session: AsyncSession, now: datetime, series: Series, old: Mapping[str, object] | None
) -> None:
    """Check what the change from `old` (None: a new series) lets be printed that was not before.

    Others' numbers are those of the other active series, those of the ledger, and those of the registry that renewals
    have named. Raises SeriesClash.
    """
    others = [other for other in await queries.active_series(session) if other.id != series.id]
    press = await Press.load(session, now, [*others, series] if series.active else others)
    if series.active and (old is None or any(old[name] != getattr(series, name) for name in PRINTING)):
        advice = "请修改编号格式，例如换一段固定文字"
        await _refuse_printing(session, press, series, press.prints(series), "layout", "按此编号格式会生成", advice)
    default = next((other for other in others if other.posts is None), None)
    left = _posts(old) - _posts({name: getattr(series, name) for name in PRINTING})
    # The posts that this series leaves fall to the default one.
    if default is not None and left and "{post}" in default.layout:
        advice = "请先修改默认规则的编号格式"
        begin = f"本规则不再用于这些岗位后，默认规则“{default.name}”会生成"
        await _refuse_printing(session, press, default, press.prints(default, left), "posts", begin, advice)


async def _refuse_printing(
    session: AsyncSession, press: Press, series: Series, printed: Sequence[Output], field: str, begin: str, advice: str
) -> None:
    if not printed:
        return
    clash = press.clash(series, printed)
    if clash is not None:
        detail = f"{begin}编号 {clash.number}，启用的规则“{clash.other.name}”也会生成它。{advice}"
        raise SeriesClash(field, detail, number=clash.number, series_id=clash.other.id, series=clash.other.name)
    number = await queries.find_given(session, printed)
    if number is not None:
        raise SeriesClash(field, f"{begin}编号 {number}，而它已经发出，不能再用。{advice}", number=number)
    number = await queries.find_replaced(session, printed)
    if number is not None:
        raise SeriesClash(field, f"{begin}编号 {number}，而它是平台数据中已有证书的编号。{advice}", number=number)


def _rule(series: Series) -> SeriesRule:
    posts = None if series.posts is None else frozenset(series.posts)
    return SeriesRule(series.id, Layout(series.layout), posts, series.yearly)


def _posts(values: Mapping[str, object] | None) -> frozenset[str]:
    """Give the posts that a series names while it is active."""
    posts = values["posts"] if values and values["active"] else None
    return frozenset(posts) if isinstance(posts, list) else frozenset()
