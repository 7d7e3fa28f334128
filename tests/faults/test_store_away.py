"""The store of pictures away, or slow beyond patience: who uploads is told when to come again, nobody else notices."""

import asyncio
from collections import Counter
from dataclasses import replace

from deploy.synthetic import jpeg
from tests.support.stack import Stack
from tests.support.wait import until
from tests.support.witness import Case, Witness


def clerk(witness: Witness) -> Witness:
    """Who uploads: what is refused to them is counted apart."""
    return replace(witness, caller=replace(witness.caller, refusals=Counter()))


async def upload(witness: Witness, case: Case, seed: int) -> bool:
    files = {"file": ("letter.jpg", jpeg(seed=seed), "image/jpeg")}
    path = f"/applications/{case.id}/images/commitment-letter"
    return await witness.caller.once("PUT", "renewal", path, "enterprise", files=files) is not None


async def look(witness: Witness, case: Case) -> bool:
    path = f"/applications/{case.id}/images/id-front"
    return await witness.caller.once("GET", "renewal", path, "enterprise") is not None


async def only_store_lacks(stack: Stack) -> bool:
    """`degraded`, which is no reason to take a process away."""
    answer = await stack.http.get(f"{stack.operations['renewal-api']}/readyz")
    return bool((answer.status_code, answer.json()) == (200, {"status": "degraded", "failed": ["store"]}))


async def test_down(stack: Stack, witness: Witness) -> None:
    case, *others = witness.cases
    await witness.decide(case, "reject")
    await witness.reach(case)
    async with stack.network["renewal store"].down():
        assert not await upload(witness, case, 101)
        assert not await look(witness, case)
        await until(lambda: only_store_lacks(stack), interval=0.2, what="the api to say so")
        with witness.never_refused():
            await asyncio.gather(*map(witness.round, others))
    await witness.upload(case, "commitment-letter", 102)
    assert await look(witness, case)
    await witness.submit(case)
    await witness.rounds()


async def test_slow(stack: Stack, witness: Witness) -> None:
    """Thirty seconds for an answer: nobody waits so long, and no other request waits for those who upload."""
    case, *others = witness.cases
    await witness.decide(case, "reject")
    await witness.reach(case)
    async with stack.network["renewal store"].slow(30):
        uploads = [asyncio.create_task(upload(clerk(witness), case, 110 + number)) for number in range(4)]
        with witness.never_refused():
            await asyncio.gather(*map(witness.round, others))
        assert not any(await asyncio.gather(*uploads))
    await witness.upload(case, "commitment-letter", 120)
    await witness.submit(case)
    await witness.rounds()
