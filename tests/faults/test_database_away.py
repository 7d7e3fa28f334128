"""A service's database gone, silent, read-only, full: nothing acknowledged is lost, and nobody has to help."""

import asyncio
from functools import partial
from uuid import uuid4

import psycopg

from deploy.embedded.platform import SERVICES
from shared.persistence.pings import FRESH_SECONDS
from tests.support.backing import Postgres
from tests.support.sql import read_only, throw_out
from tests.support.stack import Stack
from tests.support.wait import until
from tests.support.witness import Witness


async def read_all(witness: Witness) -> None:
    """Every service is asked, and none refuses."""
    with witness.never_refused():
        for case in witness.cases:
            await witness.caller.read("renewal", f"/applications/{case.id}", "enterprise")
            await witness.caller.read("review", f"/items/{case.id}", "reviewer")
            await witness.caller.read("certnumber", "/proof", "reviewer")
            await witness.caller.read("enterprise", "/me", "enterprise")


async def lacks_database(stack: Stack, process: str) -> bool:
    return "database" in (await stack.failing(process) or ())


async def has_rested(stack: Stack, service: str) -> bool:
    """Whether the api's connections have not been used for longer than those that a pool trusts."""
    query = """
        SELECT 1 FROM pg_stat_activity
        WHERE application_name = %s AND state_change > now() - make_interval(secs => %s)
    """
    values = (f"{service}-api", 2 * FRESH_SECONDS)
    async with await psycopg.AsyncConnection.connect(stack.urls[service].replace("+psycopg", "")) as connection:
        return await (await connection.execute(query, values)).fetchone() is None


async def test_all_thrown_out(stack: Stack, witness: Witness) -> None:
    """As when a server hands over: no pool gives out a connection that is dead."""
    await read_all(witness)
    for name in SERVICES:
        throw_out(stack.urls[name])
    await read_all(witness)
    await witness.rounds()


async def test_killed_under_load(stack: Stack, witness: Witness, postgres: Postgres) -> None:
    async with witness.load(), postgres.killed():
        await until(partial(lacks_database, stack, "renewal-worker"), what="a worker to say so")
    await witness.rounds()


async def test_connections_that_lead_nowhere_any_more(stack: Stack, witness: Witness) -> None:
    await read_all(witness)
    for name in SERVICES:
        # What has just answered is not asked whether it is still there.
        await until(partial(has_rested, stack, name), what="connections that have rested for a while")
        assert await stack.network[f"{name} database"].half_open()
    await read_all(witness)
    await witness.rounds()


async def test_read_only(stack: Stack, witness: Witness) -> None:
    """What only reads goes on. What writes is told when to come again, and the worker what it lacks."""
    await read_all(witness)
    with read_only(stack.urls["renewal"]):
        path, key = f"/applications/{witness.cases[0].id}/submission", {"Idempotency-Key": uuid4().hex}
        answer = await witness.caller.once("POST", "renewal", path, "enterprise", json={"revision": 0}, headers=key)
        assert answer is None
        await read_all(witness)
        await until(partial(lacks_database, stack, "renewal-worker"), what="the worker to say so")
        # Decided meanwhile, which is another service's; taken when the database is whole again.
        rounds = asyncio.create_task(witness.rounds())
        await until(lambda: all(case.steps[-1] == "reject" for case in witness.cases), what="decisions")
    await rounds


async def test_full(stack: Stack, witness: Witness, postgres: Postgres) -> None:
    """The desk's disk is full: it refuses, loses nothing, and goes on by itself when there is room."""
    case = witness.cases[0]

    async def refused() -> bool:
        # Every look at an item leaves a row in the trail.
        return await witness.caller.once("GET", "review", f"/items/{case.id}", "reviewer") is None

    async with postgres.full():
        await until(refused, interval=0, what="the first write for which there is no room")
        await witness.caller.read("renewal", f"/applications/{case.id}", "enterprise")
        rounds = asyncio.create_task(witness.rounds())
        await until(lambda: witness.caller.refusals["review 503"] > 3, what="decisions that are refused")
    await rounds
