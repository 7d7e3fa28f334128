"""The load and its checker (deploy/load): they find nothing where nothing is wrong, and each kind of broken promise
where one is made."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from deploy.load.checker import KINDS, Checker, Kind
from deploy.load.history import History, Operation
from deploy.load.people import Load
from tests.support.backing import Postgres
from tests.support.platform import REVIEWER, REVIEWER_PASSWORD, Harness, embedded_harness
from tests.support.wait import PATIENCE, until


class World:
    """A platform that has been used, and what those who used it know."""

    def __init__(self, harness: Harness, file: Path) -> None:
        self.harness = harness
        self.history = History(file)
        self.load = Load(harness.api, self.history, 1, (REVIEWER, REVIEWER_PASSWORD), clerks=3)

    async def use(self) -> None:
        await self.harness.reviewer()
        await self.load.prepare()
        self.load.start()
        await until(self._enough, what="some of everything")
        await self.load.stop()
        assert await self.checker().quiet(PATIENCE) < PATIENCE

    def _enough(self) -> bool:
        done = self.history.count()
        decided = {one.asked["action"] for one in self.history.of("decide") if one.outcome == "ok"}
        return len(decided) == 3 and done["submit", "ok"] > 10 and done["verify", "ok"] > 3 and done["cancel", "ok"] > 0

    def checker(self) -> Checker:
        return Checker(self.history, self.load.administrator, self.load.clerks, once=True)

    async def found(self) -> set[Kind]:
        verdict = await self.checker().check()
        return {kind for kind in KINDS if verdict.found[kind]}

    async def execute(self, service: str, statement: str) -> None:
        async with self.harness.platform.containers[service].database.engine.begin() as connection:
            assert (await connection.execute(sa.text(statement))).rowcount

    def one(self, what: str) -> Operation:
        return next(one for one in self.history.of(what) if one.outcome == "ok")


@pytest.fixture(scope="module")
async def world(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    directory = tmp_path_factory.mktemp("load")
    async with embedded_harness(postgres, directory) as harness:
        world = World(harness, directory / "history.jsonl")
        await world.use()
        yield world
        world.history.close()


async def test_nothing_is_found_where_nothing_is_wrong(world: World) -> None:
    verdict = await world.checker().check()
    assert verdict, "\n".join(verdict.tell(world.history))
    assert all(verdict.checked[what] for what in ("enterprises", "applications", "pictures", "looks", "numbers"))


@pytest.mark.parametrize("what", ["submit", "cancel", "decide", "draft"])
async def test_what_was_acknowledged_and_is_not_there_is_lost(world: World, what: str) -> None:
    """As if one more had been acknowledged."""
    known = world.one(what)
    with world.history.operation(known.client, what, known.subject, **known.asked) as forged:
        forged.outcome, forged.answer = "ok", known.answer
        if what == "draft":
            forged.subject = "00000000-0000-0000-0000-000000000000"
    assert "lost" in await world.found()
    world.history.operations.remove(forged)


@pytest.mark.parametrize("what", ["submit", "cancel", "decide", "draft"])
async def test_what_nobody_asked_for_is_doubled(world: World, what: str) -> None:
    """As if one had never been asked for, and no other that may be it."""
    known, all_of_them = world.one(what), list(world.history.operations)
    others = [one for one in all_of_them if one.what != what or one.outcome != "unknown"]
    world.history.operations[:] = [one for one in others if one is not known]
    assert "doubled" in await world.found()
    world.history.operations[:] = all_of_them


@pytest.mark.parametrize(
    ("kind", "service", "breaking", "mending"),
    [
        ("gaps", "certnumber", "UPDATE counters SET last = last + 1", "UPDATE counters SET last = last - 1"),
        ("stuck", "review", "UPDATE decisions SET outcome = 'asked' WHERE outcome = 'accepted'",
         "UPDATE decisions SET outcome = 'accepted' WHERE outcome = 'asked'"),
        ("contradictory", "review", "UPDATE items SET decision_no = decision_no + 1",
         "UPDATE items SET decision_no = decision_no - 1"),
        ("contradictory", "renewal", "UPDATE history SET change_no = -1 WHERE change_no = 1",
         "UPDATE history SET change_no = 1 WHERE change_no = -1"),
    ],
)  # fmt: skip
async def test_what_two_services_say_otherwise(
    world: World, kind: Kind, service: str, breaking: str, mending: str
) -> None:
    await world.execute(service, breaking)
    assert kind in await world.found()
    await world.execute(service, mending)


async def test_an_answer_that_nobody_should_get(world: World) -> None:
    client = next(iter(world.load.clerks.values()))
    with world.history.operation(client.name, "submit", "nowhere") as operation:
        await client.act(operation, "GET", "renewal", "/applications/00000000-0000-0000-0000-000000000000")
    assert await world.found() == {"improper"}
    world.history.operations.remove(operation)
    world.history.improper.clear()
