"""Every process replaced under load, and a node whose clock jumps: nobody is refused, and nothing is lost."""

import asyncio
import secrets
from datetime import timedelta
from functools import partial
from pathlib import Path

from deploy.embedded.platform import SERVICES
from deploy.embedded.postgres import free_port
from tests.support.processes import ROOT, ClockOfItsOwn
from tests.support.stack import Stack
from tests.support.wait import until
from tests.support.witness import Witness


async def replace(stack: Stack, name: str, **environment: str) -> None:
    """Start a copy, wait until it is ready, lead new connections to it, and then stop the one before."""
    before = stack.processes.running[name]
    own = before.environment | environment
    if name not in stack.operations:
        await asyncio.to_thread(before.stop)
        stack.processes.start(name, *before.arguments, **own)
        return
    port, metrics = free_port(), free_port()
    own |= {"GANZHENG_PORT": str(port), "GANZHENG_METRICS_PORT": str(metrics)}
    # Two of one name would be one to Celery.
    arguments = [f"cert-{secrets.token_hex(4)}@%h" if part.startswith("cert") else part for part in before.arguments]
    stack.processes.start(name, *arguments, **own)
    stack.operations[name] = f"http://127.0.0.1:{metrics}"
    await until(partial(is_ready, stack, name), interval=0.2, what=f"the new {name} to be ready")
    if name.endswith("-api"):
        stack.network[name.replace("-", " ")].target = ("127.0.0.1", port)
    assert await asyncio.to_thread(before.stop) == 0, before.log.read_text()[-2000:]


async def is_ready(stack: Stack, name: str) -> bool:
    return await stack.failing(name) == set()


async def test_all_restarted_under_load(stack: Stack, witness: Witness) -> None:
    async with witness.load():
        for service in SERVICES:
            await asyncio.gather(replace(stack, f"{service}-api"), replace(stack, f"{service}-worker"))
        await asyncio.gather(replace(stack, "celery-worker"), replace(stack, "celery-beat"))
    # A connection may be closed by who goes just as it is used again: whoever calls asks again.
    assert not [what for what in witness.caller.refusals if what.split()[1].isdigit()]


async def test_a_clock_that_jumps(stack: Stack, witness: Witness, tmp_path: Path) -> None:
    """On the node of renewal's worker and of the numbering, in the midst of their work."""
    clock = ClockOfItsOwn(tmp_path / "clock")
    right = {"LD_PRELOAD": "", "PYTHONPATH": str(ROOT)}
    node = ("renewal-worker", "celery-beat")
    await asyncio.gather(*(replace(stack, name, **clock.environment) for name in node))
    try:
        for hours in (1, -1):
            clock.jump(timedelta(hours=hours))
            await witness.rounds()
        # Beat has to go on beating, whatever its clock says.
        async with stack.nobody_woken(**clock.environment):
            await witness.approve_all()
        await witness.withdraw_all()
        clock.jump(timedelta())
        await witness.rounds()
    finally:
        await asyncio.gather(*(replace(stack, name, **right) for name in (*node, "celery-worker")))
