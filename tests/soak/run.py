"""One soak: the stack under load, faults from a seed, the wait until nothing is left to be done, the verdict."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2

from deploy.embedded.postgres import free_port
from deploy.journey import Api
from deploy.load.checker import Checker, Verdict
from deploy.load.history import History
from deploy.load.people import Load
from tests.soak import figures
from tests.soak.faults import Rig, on_the_node
from tests.soak.schedule import COPIES, Fault, draw, heals
from tests.support.backing import Postgres, RabbitMQ, S3Address
from tests.support.platform import REVIEWER, REVIEWER_PASSWORD
from tests.support.processes import ClockOfItsOwn
from tests.support.stack import Stack, running_stack
from tests.support.wait import until

CLIENT_SECONDS = 10.0
"""how long a client waits for an answer"""
QUIET_SECONDS = 300.0
STANDSTILL_SECONDS = 180.0
AT_ONCE = 3
"""faults that last at one time"""

NEVER = {"GANZHENG_RESYNC_SECONDS": "86400", "GANZHENG_RESYNC_SETTLE_SECONDS": "86400"}

Say = Callable[[str], None]


async def soak(
    postgres: Postgres,
    rabbitmq: RabbitMQ,
    s3: S3Address,
    directory: Path,
    *,
    seed: int,
    say: Say,
    minutes: float | None = None,
    operations: int | None = None,
) -> Verdict:
    """Run for `minutes`, or until so many operations were acknowledged. `directory` has the logs and the history in the
    end."""
    settings: dict[str, Any] = {"GANZHENG_LOG_LEVEL": "WARNING", **({} if heals(seed) else NEVER)}
    async with running_stack(postgres, rabbitmq, s3, directory, traced=False, **settings) as stack:
        rig = _rig(stack, postgres, directory)
        history = History(directory / "history.jsonl")
        limits = httpx2.Limits(max_connections=200, max_keepalive_connections=50)
        async with httpx2.AsyncClient(timeout=CLIENT_SECONDS, trust_env=False, limits=limits) as http:
            load = Load(Api(http, "", stack.bases), history, seed, (REVIEWER, REVIEWER_PASSWORD))
            await until(stack.all_ready, interval=0.5, what="all processes to be ready")
            await load.prepare()
            async with rig.orchestrated():
                earlier = await _go(rig, load, draw(seed), say, minutes, operations)
                await rig.recovered()
                for line in _count(history):
                    say(line)
                checker = Checker(
                    history,
                    load.administrator,
                    load.clerks,
                    operations=stack.operations,
                    http=stack.http,
                    once=not heals(seed),
                )
                say(f"quiet after {await checker.quiet(QUIET_SECONDS):.1f} s")
                verdict = await checker.check()
                for line in figures.lines(stack, earlier, await stack.rabbitmq.depths(stack.broker_url)):
                    say(line)
        history.close()
        say("died: " + ", ".join(f"{name} {number} times" for name, number in rig.deaths.items()))
        say("checked: " + ", ".join(f"{number} {what}" for what, number in verdict.checked.items()))
        for line in verdict.tell(history):
            say(line)
        return verdict


def _rig(stack: Stack, postgres: Postgres, directory: Path) -> Rig:
    """With copies of the workers, and a node of its own for the clock that jumps."""
    for copy, original in COPIES.items():
        before, port = stack.processes.running[original], str(free_port())
        arguments = [copy if part == "cert@%h" else part for part in before.arguments]
        stack.processes.start(copy, *arguments, **{**before.environment, "GANZHENG_METRICS_PORT": port})
        stack.operations[copy] = f"http://127.0.0.1:{port}"
    clock = ClockOfItsOwn(directory / "clock")
    on_the_node(stack, clock)
    return Rig(stack, postgres, clock)


async def _go(
    rig: Rig, load: Load, faults: Iterator[Fault], say: Say, minutes: float | None, operations: int | None
) -> dict[str, tuple[int, float]]:
    """Load and faults, until it is time; gives what the processes had in memory at a third of it."""
    history = load.history
    began, first = time.monotonic(), history.acknowledged
    earlier: dict[str, tuple[int, float]] = {}

    def share() -> float:
        """How much of it is done, 1 in the end."""
        passed = (time.monotonic() - began) / (60 * minutes) if minutes else 0
        return max(passed, (history.acknowledged - first) / operations if operations else 0)

    load.start()
    lasting: set[asyncio.Task[None]] = set()
    for number, fault in enumerate(faults, 1):
        mark, since = history.acknowledged, history.now()

        def is_time(mark: int = mark, after: int = fault.after) -> bool:
            """For the next fault, or for the end."""
            for task in [task for task in lasting if task.done()]:
                lasting.remove(task)
                task.result()
            if not earlier and share() > 1 / 3:
                earlier.update(figures.memory(rig.stack))
            return share() >= 1 or (history.acknowledged >= mark + after and len(lasting) < AT_ONCE)

        try:
            await until(is_time, timeout=STANDSTILL_SECONDS)
        except AssertionError:
            say(f"{history.acknowledged - mark} operations acknowledged since {since:.0f} s: it stands still")
            break
        if share() >= 1:
            break
        say(f"{history.now():7.1f} s  fault {number}, {fault}")
        lasting.add(asyncio.create_task(rig.inflict(fault)))
    await asyncio.gather(*lasting)
    await load.stop()
    return earlier


def _count(history: History) -> list[str]:
    """How often what ended how."""
    count = history.count()
    told = []
    for what in dict.fromkeys(what for what, _ in count):
        outcomes = ", ".join(f"{count[what, outcome]} {outcome}" for outcome in ("ok", "refused", "unknown"))
        told.append(f"  {what:10} {outcomes}")
    unanswered = ", ".join(f"{number} {what}" for what, number in history.unanswered.most_common())
    return [
        f"{history.acknowledged} operations acknowledged in {history.now():.0f} s",
        *told,
        f"  asked again after: {unanswered}",
    ]


def new_seed() -> int:
    return random.SystemRandom().randrange(1_000_000)
