"""What happens by time alone. `JOBS` is where a new one joins: a test holds it against the services' own lists."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from deploy.embedded.platform import SERVICES
from services.certnumber import app as certnumber
from services.enterprise import app as enterprise
from services.enterprise.service import tell_digest
from services.renewal import app as renewal
from services.renewal.pictures.service import ORPHAN_AGE, sweep_orphans
from services.renewal.registry.sealing import seal_stored
from services.renewal.service.resync import Reminder as ApprovalReminder
from services.renewal.service.resync import tell_digests
from services.review import app as review
from services.review.service.resync import Reminder as DecisionReminder
from shared.auth.sessions import ENDED_RETENTION
from shared.runtime.container import Container
from shared.runtime.maintenance import INBOX_RETENTION, clean, keep_clean
from shared.web.idempotency import RETENTION
from tests.simulation.chance import seconds
from tests.simulation.world import Violation, World

Work = Callable[[World], Awaitable[None]]


@dataclass(frozen=True)
class Job:
    """`loops` are the services' own jobs that do `work` again and again; here the agenda does, once a round."""

    name: str
    loops: tuple[Callable[..., Any], ...]
    work: Work


async def _clean(world: World) -> None:
    for name in SERVICES:
        container: Container = world.containers[name]
        kept = await _young(world, name)
        await clean(container.database, container.sessions)
        for table, number in (await _young(world, name)).items():
            if number != kept[table]:
                raise Violation(f"{name}: cleaning took {kept[table] - number} of {table} that are not old")
        if old := {table: number for table, number in (await _old(world, name)).items() if number}:
            raise Violation(f"{name}: older than they may be: {old}")


_AGES = {
    "inbox": ("received_at", INBOX_RETENTION),
    "idempotency_keys": ("created_at", RETENTION),
    "sessions": ("expires_at", ENDED_RETENTION),
}


def _kept_by(world: World, service: str) -> dict[str, tuple[str, timedelta]]:
    return {k: v for k, v in _AGES.items() if k != "sessions" or world.containers[service].sessions is not None}


async def _count(world: World, service: str, relation: str) -> dict[str, int]:
    kept = _kept_by(world, service)
    columns = [
        f"(SELECT count(*) FROM {table} WHERE {column} {relation} now() - CAST(:{table} AS interval)) AS {table}"  # noqa: S608
        for table, (column, _) in kept.items()
    ]
    ages = {table: age for table, (_, age) in kept.items()}
    [row] = await world.fetch(service, f"SELECT {', '.join(columns)}", **ages)
    return dict(row)


async def _young(world: World, service: str) -> dict[str, int]:
    return await _count(world, service, ">=")


async def _old(world: World, service: str) -> dict[str, int]:
    return await _count(world, service, "<")


async def _sweep_pictures(world: World) -> None:
    await sweep_orphans(world.renewal)
    named = {row["object_key"] for row in await world.fetch("renewal", "SELECT DISTINCT object_key FROM images")}
    before = world.agenda.entered - ORPHAN_AGE
    if orphans := [key for key, at in world.store.written.items() if at <= before and key not in named]:
        raise Violation(f"pictures of nobody, older than a day: {orphans[:3]}")


async def _seal(world: World) -> None:
    await seal_stored(world.renewal)


async def _tell(world: World) -> None:
    for container, tell in ((world.renewal, tell_digests), (world.containers["enterprise"], tell_digest)):
        async with container.database.transaction() as session:
            await tell(container, session)


async def _remind(world: World) -> None:
    for container, kind in ((world.renewal, ApprovalReminder), (world.containers["review"], DecisionReminder)):
        async with container.database.transaction() as session:
            await kind(container).remind(session)


async def _number(world: World) -> None:
    world.containers["certnumber"].waker.wake()


JOBS = (
    Job("what is old is deleted", (keep_clean,), _clean),
    Job("pictures of nobody are removed", (renewal.keep_store_clean,), _sweep_pictures),
    Job("numbers that hold an id number are sealed", (renewal.keep_numbers_sealed,), _seal),
    Job("services compare what they know", (renewal.keep_others_in_step, enterprise.keep_others_in_step), _tell),
    Job("what has no answer is asked again", (renewal.keep_asking, review.keep_asking), _remind),
    Job("what no wake-up announced is numbered", (certnumber.sweep,), _number),
)


def plan_round(world: World) -> None:
    """Put every job on the agenda once, one after the other from now on, in an order that chance decides."""
    source = world.chance.of(f"jobs {world.agenda.local()}")
    delay = timedelta()
    for job in source.sample(JOBS, len(JOBS)):
        delay += seconds(source, 30, 120)
        world.agenda.after(delay, partial(job.work, world))


async def compare(world: World) -> None:
    """What services do about what they have not heard, now."""
    await _tell(world)
    await _remind(world)
    await _number(world)
