"""Time: instants in UTC, business days in Asia/Shanghai."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")


class Clock(Protocol):
    def now(self) -> datetime:
        """Tell the present instant, aware, in UTC."""


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


def business_day(moment: datetime) -> date:
    """Find the calendar day on which `moment` falls in Asia/Shanghai."""
    return moment.astimezone(SHANGHAI).date()


def start_of_business_day(day: date) -> datetime:
    """Find the instant (UTC) at which `day` begins in Asia/Shanghai."""
    return datetime.combine(day, time(), tzinfo=SHANGHAI).astimezone(UTC)


def end_of_business_day(day: date) -> datetime:
    """Find the last instant (UTC) of `day` in Asia/Shanghai."""
    return start_of_business_day(day + timedelta(days=1)) - timedelta(microseconds=1)
