"""Five times the load that the machine can serve: `MINUTES=10 make bench ONLY=overload`; half a minute without MINUTES.

An API process of renewal with its PostgreSQL, and what comes to it, from a process of its own. First the peak: clients
that each wait for their answer. Then five times as much in an open loop: requests come when they come, whatever becomes
of those before; then half of the peak. A tenth are submissions, a twentieth reviewers, a fifth strangers, the rest
enterprises that look at their applications. Every submission that was answered with 200 is looked up afterwards.
"""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import cast
from uuid import UUID

import psycopg

from bench.renewal import Renewal, renewal, submission_of
from bench.traffic import Answer, Connection, apart, request_of
from tests.support.backing import Backing

TIMES = 5
PEAK = 1500
# As many as are worked on at once: none of them is told to come again.
CLIENTS = 16
# Strangers are not let in by the API, but by its door.
GOOD = frozenset({200, 401})
CALM_SECONDS = 12.0
# A server may take so long in the calm; who does after the storm has not recovered yet.
SLOW = 0.5
ROOT = "/api/renewal/v1"
# The kind, what it is about, and what came of it.
Told = tuple[str, UUID | None, Answer]


@dataclass(frozen=True)
class Mix:
    """Who comes: enterprises by their tokens, with drafts (application, enterprise) to be submitted once each, a
    reviewer, and strangers."""

    tokens: Mapping[UUID, str]
    reviewer: str
    drafts: Sequence[tuple[UUID, UUID]]
    seed: int

    def requests(self) -> Iterator[tuple[str, UUID | None, bytes]]:
        """Give one request after the other, for ever."""
        dice, drafts = random.Random(self.seed), iter(self.drafts)
        posts = request_of("GET", f"{ROOT}/posts", self.reviewer)
        stranger = request_of("GET", f"{ROOT}/posts")
        while True:
            rolled = dice.random()
            draft = next(drafts, None) if rolled < 0.1 else None
            if draft is not None:
                yield "submissions", draft[0], submission_of(*draft, self.tokens)
            elif rolled < 0.15:
                yield "reviewers", None, posts
            elif rolled < 0.35:
                yield "strangers", None, stranger
            else:
                application, enterprise = dice.choice(self.drafts)
                path = f"{ROOT}/applications/{application}"
                yield "enterprises", None, request_of("GET", path, self.tokens[enterprise])


async def one_after_the_other(port: int, mix: Mix, count: int) -> tuple[float, list[Told]]:
    """Send requests by clients that each wait for the answer before; seconds, and what was answered."""
    numbered = enumerate(islice(mix.requests(), count))
    told: list[Told] = []

    async def client() -> None:
        connection = Connection(port)
        for number, (kind, about, request) in numbered:
            told.append((kind, about, await connection.ask(request, number)))
        connection.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return time.perf_counter() - began, told


async def at_their_time(port: int, mix: Mix, rate: float, seconds: float) -> tuple[float, list[Told]]:
    """Send `rate` requests a second, whatever becomes of those before; when the last was sent, and the answers."""
    free: list[Connection] = []
    told: list[Told] = []
    tasks: set[asyncio.Task[None]] = set()

    async def ask(kind: str, about: UUID | None, request: bytes, number: int) -> None:
        connection = free.pop() if free else Connection(port)
        told.append((kind, about, await connection.ask(request, number)))
        free.append(connection)

    began = time.perf_counter()
    for number, request in enumerate(islice(mix.requests(), int(rate * seconds))):
        ahead = began + number / rate - time.perf_counter()
        if ahead > 0.001:
            await asyncio.sleep(ahead)
        task = asyncio.create_task(ask(*request, number))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    ended = time.perf_counter()
    await asyncio.gather(*tasks)
    for connection in free:
        connection.close()
    return ended, told


async def overload(backing: Backing, _rounds: int) -> None:
    """Measure a machine that is asked for five times what it can do, and print."""
    seconds = 60 * float(os.environ.get("MINUTES", "0.5"))
    async with renewal(backing, 1) as running:
        port = running.ports[0]
        elapsed, told = cast(
            tuple[float, list[Told]], await apart(one_after_the_other, port, _mix(running, PEAK, 1), PEAK).answer()
        )
        if any(answer.status not in GOOD for _, _, answer in told):
            raise RuntimeError(f"below its peak it answers {Counter(answer.status for _, _, answer in told)}")
        peak = PEAK / elapsed
        each = 1000 * running.spent() / PEAK
        print(f"\nOverload: a peak of {peak:.0f} requests/s, {each:.1f} ms of the API's processor time each")
        mix = _mix(running, int(TIMES * peak * seconds), 2)
        storm, calm = mix, _mix(running, int(CALM_SECONDS * peak), 3)
        ended, stormy = cast(
            tuple[float, list[Told]], await apart(at_their_time, port, storm, TIMES * peak, seconds).answer()
        )
        _, calmed = cast(
            tuple[float, list[Told]], await apart(at_their_time, port, calm, peak / 2, CALM_SECONDS).answer()
        )
        _report(peak, seconds, ended, stormy, calmed)
        print(f"  accepted submissions that are lost: {_lost(running.url, [*stormy, *calmed])}")


def _mix(running: Renewal, requests: int, seed: int) -> Mix:
    drafts = running.drafts.make(max(100, int(0.11 * requests)))
    return Mix(running.tokens, running.reviewer, drafts, seed)


def _report(peak: float, seconds: float, ended: float, stormy: Sequence[Told], calmed: Sequence[Told]) -> None:
    accepted = [answer for _, _, answer in stormy if answer.status in GOOD]
    shed = [answer for _, _, answer in stormy if answer.status == 503]
    others = Counter(answer.status for _, _, answer in stormy if answer.status not in {*GOOD, 503})
    served = sum(answer.at <= ended for answer in accepted) / seconds
    came = len(stormy) / seconds
    print(f"  {came:.0f}/s came for {seconds:.0f} s, {served:.0f}/s were served: {served / peak:.2f} of the peak")
    for name, answers in (("accepted", accepted), ("told to come again", shed)):
        took = ", ".join(f"p{share} {_at(answers, share):.0f} ms" for share in (50, 95, 99, 100))
        print(f"  {name}: {took}")
    waits = sorted(answer.retry_after or 0 for answer in shed) or [0]
    print(f"  Retry-After from {waits[0]} to {waits[-1]} s; other answers: {dict(others)}")
    for kind in ("reviewers", "enterprises", "submissions", "strangers"):
        own = [answer for each, _, answer in stormy if each == kind]
        print(f"  {kind:12} {sum(answer.status in GOOD for answer in own) / len(own):.2f} let in of {len(own)}")
    late = [answer.at - ended for _, _, answer in calmed if answer.status not in GOOD or answer.seconds > SLOW]
    print(f"  normal again after {max(late, default=0.0):.1f} s")


def _at(answers: Sequence[Answer], share: int) -> float:
    ordered = sorted(answer.seconds for answer in answers)
    return 1000 * ordered[share * (len(ordered) - 1) // 100] if ordered else 0.0


def _lost(url: str, told: Sequence[Told]) -> int:
    """Count the submissions that were answered with 200 and are not there, or told of by other than one event."""
    done = [about for kind, about, answer in told if kind == "submissions" and answer.status == 200]
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        found = connection.execute(
            "SELECT count(*) FROM applications WHERE id = ANY(%s) AND status = 'pending_review'"
            " AND 1 = (SELECT count(*) FROM history h WHERE h.application_id = applications.id AND action = 'submit')"
            " AND 1 = (SELECT count(*) FROM submissions s WHERE s.application_id = applications.id)",
            (done,),
        ).fetchone()
        said = connection.execute("SELECT count(*) FROM outbox").fetchone()
    if found is None or said is None or said[0] < len(done):
        raise RuntimeError("the events of accepted submissions are not all there")
    return len(done) - int(found[0])
