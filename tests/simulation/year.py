"""Simulates a year: plans it, lets it pass, and looks at the end of each month whether all that must hold does."""

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

from deploy.embedded.platform import SERVICES
from shared.observability.telemetry import bind_trace
from shared.persistence.db import migrate
from shared.values.clock import start_of_business_day
from tests.simulation import database, jobs
from tests.simulation.agenda import Agenda
from tests.simulation.chance import Chance, drawn_from, seconds
from tests.simulation.checks import Checks
from tests.simulation.enterprises import Enterprises
from tests.simulation.logins import Probe
from tests.simulation.network import Network
from tests.simulation.people import People
from tests.simulation.reviewers import Reviewers
from tests.simulation.world import Violation, World
from tests.support.backing import Postgres

# The turn of the year is in the middle.
FIRST, END = date(2026, 7, 1), date(2027, 7, 1)
TURN = date(2027, 1, 1)


@dataclass
class Report:
    """What a year was; `digest` is of its event history, byte for byte."""

    seed: int
    applications: int
    seconds: float = 0.0
    digest: str = ""
    violation: str = ""
    states: dict[str, int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        verdict = f"VIOLATED {self.violation}" if self.violation else "all holds"
        figures = [f"{name} {number}" for name, number in (*self.states.items(), *sorted(self.counts.items()))]
        return (
            f"SEED={self.seed} APPLICATIONS={self.applications}: {verdict}\n"
            f"  {', '.join(figures)}\n  {self.seconds:.0f} s, history {self.digest}"
        )


async def simulate(postgres: Postgres, seed: int, applications: int, log: TextIO | None = None) -> Report:
    """Let a year pass on databases of its own; what does not hold is in the report."""
    report, started = Report(seed, applications), time.perf_counter()
    with ExitStack() as stack:
        # A directory of its own: what an earlier run has left there would not be drawn.
        var = Path(stack.enter_context(TemporaryDirectory()))
        urls = {
            name: stack.enter_context(postgres.temporary(postgres.template(f"template_{name}", partial(migrate, name))))
            for name in SERVICES
        }
        for url in urls.values():
            database.prepare(url)
        agenda, chance = Agenda(start_of_business_day(FIRST)), Chance(seed)
        network = Network(agenda, chance.of("network"), log)
        stack.enter_context(drawn_from(seed))
        stack.enter_context(database.told(agenda, urls.values()))
        bind_trace(None)
        world = World(agenda, chance, network, urls, var)
        async with world.running():
            try:
                await _Year(world, applications).live()
            except Violation as violation:
                report.violation = f"at {agenda.local()}: {violation}"
            except Exception as error:
                error.add_note(f"SEED={seed} APPLICATIONS={applications} at {agenda.local()}")
                raise
            rows = await world.fetch("renewal", "SELECT status, count(*) AS n FROM applications GROUP BY 1 ORDER BY 1")
            report.states = {row["status"]: row["n"] for row in rows}
    report.counts, report.digest = network.counts, network.history.hexdigest()
    report.seconds = time.perf_counter() - started
    return report


def working_days(applications: int) -> list[date]:
    """Weekdays of the year, all or as many as so few applications are worth; always those about its turn."""
    days = [FIRST + timedelta(days=n) for n in range(2, (END - FIRST).days - 14)]
    weekdays = [day for day in days if day.weekday() < 5]
    wanted = max(12, min(len(weekdays), applications // 8))
    chosen = {weekdays[n * len(weekdays) // wanted] for n in range(wanted)}
    return sorted(chosen | {TURN - timedelta(days=1), TURN})


class _Year:
    def __init__(self, world: World, applications: int) -> None:
        self._world = world
        self._applications = applications
        self._source = world.chance.of("year")
        self._reviewers = Reviewers(world)
        people = People(world.chance.of("people"), self._reviewers.login, FIRST, END)
        self._enterprises = Enterprises(world, people)
        self._people = people
        self._checks = Checks(world, self._enterprises, self._reviewers)
        self._days = working_days(applications)

    async def live(self) -> None:
        agenda = self._world.agenda
        await self._reviewers.begin()
        await self._enterprises.register(max(2, min(40, self._applications // 200)))
        await self._plan()
        for month in _months():
            await agenda.run_until(start_of_business_day(month) + timedelta(hours=1))
            await self._world.settle(jobs.compare)
            await self._checks.look(self._longest_wait())
            self._world.clear_up()
            for url in self._world.urls.values():
                database.tidy(url)

    async def _plan(self) -> None:
        world, agenda = self._world, self._world.agenda
        at_limit = [self._any_day() for _ in range(max(2, self._applications // 200))]
        self._enterprises.plan_birthdays(await self._people.at_their_limit(at_limit))
        for day, share in zip(self._days, self._shares(), strict=True):
            agenda.at(start_of_business_day(day) + timedelta(hours=5), partial(self._open, day, share))
        self._reviewers.plan_new_year(TURN)
        for keys, start in (("data_keys", 40), ("signing_keys", 90), ("data_keys", 220), ("signing_keys", 270)):
            self._plan_rotation(keys, FIRST + timedelta(days=start + self._source.randrange(20)))
        logins = [self._reviewers.login, *self._enterprises.logins]
        for login in (*logins[:2], *self._source.sample(logins, min(len(logins), self._applications // 1000))):
            agenda.at(start_of_business_day(self._any_day()) + timedelta(hours=7), Probe(login).begin)
        for _ in range(max(2, min(6, self._applications // 100))):
            self._plan_trouble(world)

    async def _open(self, day: date, share: int) -> None:
        """Do what the night leaves to do, and plan the working day."""
        jobs.plan_round(self._world)
        await self._people.provide(share)
        self._enterprises.plan_day(day, share)
        self._reviewers.plan_day(day)

    def _plan_rotation(self, keys: str, day: date) -> None:
        """What docs/operations.md says, on four nights; before the old key is dropped nothing waits that needs it."""
        night = start_of_business_day(day) + timedelta(hours=3)
        rotate = partial(self._world.rotate, keys)
        self._world.agenda.at(night, partial(rotate, "add"))
        self._world.agenda.at(night + timedelta(days=1), partial(rotate, "promote"))
        if keys == "data_keys":
            self._world.agenda.at(night + timedelta(days=2), self._world.reencrypt)
        self._world.agenda.at(night + timedelta(days=3), partial(rotate, "drop"))

    def _plan_trouble(self, world: World) -> None:
        """A broker that is away, consumers that stand still, and a restart; each at any time of a working day."""

        async def broker() -> None:
            world.network.away_until = world.agenda.entered + seconds(self._source, 300, 1800)

        async def consumers() -> None:
            world.network.stopped_until = world.agenda.entered + seconds(self._source, 1800, 4 * 3600)

        for act in (broker, consumers, world.restart):
            day = start_of_business_day(self._source.choice(self._days))
            world.agenda.at(day + timedelta(hours=8) + seconds(self._source, 0, 8 * 3600), act)

    def _shares(self) -> list[int]:
        """How many applications come on each working day: more before the turn of the year."""
        weights = [
            self._source.uniform(0.5, 1.5) * (2 if TURN - timedelta(days=45) <= day <= TURN else 1)
            for day in self._days
        ]
        shares = [int(self._applications * weight / sum(weights)) for weight in weights]
        for position in range(self._applications - sum(shares)):
            shares[position % len(shares)] += 1
        return shares

    def _any_day(self) -> date:
        return FIRST + timedelta(days=self._source.randrange(8, (END - FIRST).days - 20))

    def _longest_wait(self) -> timedelta:
        """Some working days, however far apart they are."""
        gaps = [after - before for before, after in zip(self._days, self._days[1:], strict=False)]
        return 4 * max(gaps) + timedelta(days=1)


def _months() -> Sequence[date]:
    """The day after each month."""
    return [date(FIRST.year + (FIRST.month + n) // 12, (FIRST.month + n) % 12 + 1, 1) for n in range(12)]
