"""The demo's people are the same whenever the demo is started again, and of the age that their label says."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from deploy.embedded.demo import groups, people, welcome
from services.renewal.domain import month_anniversary

DAYS = [date(2026, 2, 28), date(2026, 3, 1), date(2026, 8, 31), date(2026, 9, 29), date(2027, 1, 30)]
LEAP_DAY = date(2028, 2, 29)
AGES = {"满55周岁": 55, "满60周岁": 60, "已过55周岁": 56, "已过60周岁": 61}


def ages(day: date) -> dict[int, date]:
    """The birth date of each group with an age of its own."""
    return {
        age: group.born for group in groups(day) for text, age in AGES.items() if text in group.label and group.born
    }


@pytest.mark.parametrize("day", DAYS)
def test_birthdays_are_on_the_first_day_itself(day: date) -> None:
    assert ages(day) == {age: day.replace(year=day.year - age) for age in AGES.values()}


@pytest.mark.parametrize("day", [*DAYS, LEAP_DAY])
def test_whoever_may_still_renew_is_not_over_age(day: date) -> None:
    born = ages(day)
    for age in (55, 60):
        assert timedelta(0) <= month_anniversary(born[age], age * 12) - day <= timedelta(days=1)
        assert month_anniversary(born[age + 1], age * 12) < day


@pytest.mark.parametrize("day", [*DAYS, LEAP_DAY])
def test_all_people_differ_and_one_of_each_group_is_shown(day: date) -> None:
    numbers = [number for _, number, _ in people(day)]
    assert len(set(numbers)) == len(numbers) > 60
    shown = welcome("http://localhost:8000", day, Path("samples"))
    assert all(group.label in shown for group in groups(day))
    assert sum(number in shown for number in numbers) == len(groups(day))
