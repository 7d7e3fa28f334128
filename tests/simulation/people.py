"""Who is in the platform's data: people whose age, and whose certificates, end in the course of the year or do not."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random

from deploy.journey import import_people
from deploy.synthetic import id_number, person_name
from shared.values.idnumber import Sex
from tests.simulation.logins import Login
from tests.simulation.world import Violation

FREE_POSTS = ("30", "40", "50", "60", "70", "80", "81", "90")
ALL_POSTS = ("10", "11", "12", "13", "20", "21", "22", "23", *FREE_POSTS)
YEARS: dict[Sex, int] = {"female": 55, "male": 60}
CHUNK = 500


def birthday(born: date, years: int) -> date:
    """The day on which somebody completes so many years; of the 29th of February the 28th in a common year."""
    try:
        return born.replace(year=born.year + years)
    except ValueError:
        return date(born.year + years, 2, 28)


@dataclass
class Person:
    """`posts` are those that are still to be applied for."""

    id_number: str
    sex: Sex
    born: date
    posts: list[str] = field(default_factory=list)

    @property
    def last_day(self) -> date:
        """The last day on which the person may submit."""
        return birthday(self.born, YEARS[self.sex])


class People:
    """Imports people as they are needed, the way a registrar does."""

    def __init__(self, source: Random, registrar: Login, first: date, last: date) -> None:
        self._source = source
        self._registrar = registrar
        self._first = first
        self._last = last
        self._born: Counter[tuple[Sex, date]] = Counter()
        self._serial = 0
        self._waiting: list[Person] = []

    async def provide(self, applications: int) -> None:
        """See to it that so many more can be applied for."""
        wanted = applications - sum(len(person.posts) for person in self._waiting)
        people, lines = [], []
        while wanted > 0:
            person, rows = self._draw()
            people.append(person)
            lines += rows
            wanted -= len(person.posts)
        await self._import(lines)
        self._waiting += people

    async def at_their_limit(self, days: Sequence[date]) -> list[Person]:
        """People without certificates, whose last day each of these is; each has two posts to be applied for."""
        people = []
        for day in days:
            sex: Sex = self._source.choice(("female", "male"))
            born = day.replace(year=day.year - YEARS[sex])
            people.append(Person(self._number(sex, born), sex, born, ["30", "60"]))
        await self._import([self._line(person) for person in people])
        return people

    def next(self) -> tuple[Person, str]:
        """Somebody, and a post to apply for."""
        position = self._source.randrange(len(self._waiting))
        person = self._waiting[position]
        post = person.posts.pop()
        if not person.posts:
            self._waiting[position] = self._waiting[-1]
            self._waiting.pop()
        return person, post

    def _draw(self) -> tuple[Person, list[str]]:
        source = self._source
        sex: Sex = source.choice(("female", "male"))
        if source.random() < 0.15:
            last = self._first + timedelta(days=source.randrange(-30, 400))
            born = last.replace(year=last.year - YEARS[sex], day=min(last.day, 28))
        else:
            born = date(1973, 1, 1) + timedelta(days=source.randrange(30 * 365))
        posts = [source.choice(ALL_POSTS), *source.sample(FREE_POSTS, source.choice((0, 0, 1)))]
        person = Person(self._number(sex, born), sex, born, posts)
        held = source.choices(((), (posts[0],), ("30",), ("10",), ("40", "70", "90")), (75, 10, 6, 5, 4))[0]
        rows = []
        for post in held:
            until = self._first + timedelta(days=source.randrange(-60, 800))
            rows.append(self._line(person, post, f"OLD{self._serial:08d}", until.isoformat()))
        return person, rows or [self._line(person)]

    def _number(self, sex: Sex, born: date) -> str:
        self._born[sex, born] += 1
        return id_number(sex, born, self._born[sex, born] - 1)

    def _line(self, person: Person, post: str = "", number: str = "", until: str = "") -> str:
        self._serial += 1
        return f"{person.id_number},{person_name(self._serial % 10_000)},{post},{number},{until}"

    async def _import(self, lines: Sequence[str]) -> None:
        for start in range(0, len(lines), CHUNK):
            token = await self._registrar.token()
            report = await import_people(self._registrar.world.api, token, list(lines[start : start + CHUNK]))
            if report["failed"]:
                raise Violation(f"the registry's import refused rows: {report}")
