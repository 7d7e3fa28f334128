"""Every process replaced under load, and a node whose clock jumps: nobody is refused, and nothing is lost."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from deploy.embedded.platform import SERVICES
from deploy.embedded.postgres import free_port
from services.certnumber.models import Approval
from shared.persistence.db import Database
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
    names = [f"{service}-{part}" for part in ("api", "worker") for service in SERVICES]
    async with witness.load():
        for name in (*names, "celery-worker", "celery-beat"):
            await replace(stack, name)
    # A connection may be closed by who goes just as it is used again: whoever calls asks again.
    assert not [what for what in witness.caller.refusals if what.split()[1].isdigit()]


@pytest.mark.parametrize("hours", [1, -1])
async def test_a_clock_that_jumps(stack: Stack, witness: Witness, hours: int, tmp_path: Path) -> None:
    """On the node of renewal's worker and of the numbering, in the midst of their work."""
    clock = ClockOfItsOwn(tmp_path / "clock")
    node = ("renewal-worker", "celery-worker", "celery-beat")
    for name in node:
        await replace(stack, name, **clock.environment)
    try:
        await witness.rounds()
        clock.jump(timedelta(hours=hours))
        await witness.rounds()
        await witness.check()
        # Nobody announces this one: beat has to go on beating, whatever its clock says.
        await numbered(stack, await approve_silently(stack))
        await witness.begin()
        clock.jump(timedelta())
        await witness.rounds()
    finally:
        for name in node:
            await replace(stack, name, LD_PRELOAD="", PYTHONPATH=str(ROOT))


async def approve_silently(stack: Stack) -> object:
    """A row that waits for its number, without a wake-up."""
    now = datetime.now(UTC)
    row = {
        "application_id": uuid4(),
        "decision_no": 1,
        "status": "waiting",
        "post": "10",
        "post_name": "土建施工员",
        "enterprise_name": "九江测试建设有限公司",
        "holder_masked": "张*",
        "approved_at": now,
        "created_at": now,
    }
    database = Database(stack.urls["certnumber"], pool_size=1)
    async with database.transaction() as session:
        await session.execute(sa.insert(Approval).values(row))
    await database.close()
    return row["application_id"]


async def numbered(stack: Stack, application: object) -> None:
    database = Database(stack.urls["certnumber"], pool_size=1)

    async def is_numbered() -> bool:
        async with database.transaction() as session:
            row = sa.select(Approval.status).where(Approval.application_id == application)
            return await session.scalar(row) == "numbered"

    await until(is_numbered, interval=0.2, what="the sweep to find the row")
    await database.close()
