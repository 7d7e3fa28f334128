"""The broker silent, out of memory, out of disk: the APIs go on, events wait, and all is said when it can be."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial

from shared.contracts.topology import RENEWAL_DECISIONS
from tests.support.backing import RabbitMQ
from tests.support.stack import Stack
from tests.support.wait import until
from tests.support.witness import Case, Witness


async def lacks(stack: Stack, process: str, *checks: str) -> bool:
    return set(checks) <= (await stack.failing(process) or set())


async def waiting(witness: Witness, service: str) -> float:
    """How many events of the service wait to be said."""
    text = (await witness.caller.http.get(f"{witness.operations[f'{service}-worker']}/metrics")).text
    [line] = [line for line in text.splitlines() if line.startswith("ganzheng_outbox_rows{")]
    return float(line.split()[-1])


async def some_wait(witness: Witness, service: str, least: int) -> bool:
    return await waiting(witness, service) >= least


async def decide_all(witness: Witness) -> None:
    """Every application is rejected, and no request of that is refused."""
    with witness.never_refused():
        await asyncio.gather(*(witness.decide(case, "reject") for case in witness.cases))


async def go_on(witness: Witness) -> None:
    """From there once around."""

    async def one(case: Case) -> None:
        await witness.reach(case)
        await witness.submit(case)
        await witness.decide(case, "approve")
        await witness.reach(case)
        await witness.decide(case, "withdraw")

    await asyncio.gather(*map(one, witness.cases))


async def test_a_black_hole(stack: Stack, witness: Witness) -> None:
    async with stack.network["review broker"].silent():
        await decide_all(witness)
        await until(partial(lacks, stack, "review-worker", "broker", "relay"), interval=0.2, what="it to be noticed")
        assert await some_wait(witness, "review", len(witness.cases))
        assert await stack.failing("renewal-worker") == set()
    await go_on(witness)


async def test_out_of_memory(stack: Stack, witness: Witness, rabbitmq: RabbitMQ) -> None:
    """Publishers wait, acknowledgements flow."""
    async with AsyncExitStack() as alarm:
        with stack.processes.running["renewal-worker"].paused():
            await decide_all(witness)
            await until(lambda: _none_waits(witness), what="the decisions to lie at renewal's door")
            await alarm.enter_async_context(rabbitmq.alarmed())
        await until(partial(some_wait, witness, "renewal", len(witness.cases)), what="answers that wait")
        for case in witness.cases:
            found = await witness.caller.read("renewal", f"/applications/{case.id}", "enterprise")
            assert found["status"] == "rejected"
            await witness.submit(case)
        await until(partial(_acknowledged, stack), interval=0.2, what="acknowledgements to flow")
        assert await some_wait(witness, "renewal", 2 * len(witness.cases))
    await witness.rounds()


async def test_out_of_disk(stack: Stack, witness: Witness, rabbitmq: RabbitMQ) -> None:
    """It takes nothing until there is room, and needs nobody then."""
    async with rabbitmq.full():
        await decide_all(witness)
        await until(partial(lacks, stack, "review-worker", "relay"), interval=0.2, what="it to be noticed")
        assert await some_wait(witness, "review", len(witness.cases))
    await go_on(witness)


async def test_killed_under_load(stack: Stack, witness: Witness, rabbitmq: RabbitMQ) -> None:
    async with witness.load(), rabbitmq.killed():
        pass
    # Beat has a connection that the broker forgot, and has to be heard all the same.
    async with stack.nobody_woken():
        await witness.approve_all()
    await witness.withdraw_all()


async def _none_waits(witness: Witness) -> bool:
    return await waiting(witness, "review") == 0


async def _acknowledged(stack: Stack) -> bool:
    return await stack.rabbitmq.unacknowledged(stack.broker_url, RENEWAL_DECISIONS.name) == 0
