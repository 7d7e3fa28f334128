"""What an operator, and a backup, is told of the queues."""

import subprocess
import sys

import aio_pika

from shared.contracts.topology import QUEUES as TABLE
from shared.messaging import RabbitMQ
from shared.runtime.settings import new_key
from tests.support.backbone import FIRST, QUEUES, SECOND, Pinged, Ponged
from tests.support.events import message
from tests.support.processes import ROOT, base_environment
from tests.support.wait import until

EMPTY = {"ready": 0, "retry": 0, "dead": 0}


async def test_counts_what_waits_wherever_it_waits(vhost: str) -> None:
    transport = RabbitMQ(vhost, QUEUES, name="test")
    assert await transport.depths() == {FIRST.name: EMPTY, SECOND.name: EMPTY}
    assert await transport.publish([message(Pinged(name="both")), message(Ponged(name="first"))]) == [None, None]
    async with await aio_pika.connect(vhost) as connection:
        exchange = (await connection.channel()).default_exchange
        await exchange.publish(aio_pika.Message(b"dead"), SECOND.dead)
    found = {FIRST.name: EMPTY | {"ready": 2}, SECOND.name: EMPTY | {"ready": 1, "dead": 1}}

    async def counted() -> bool:
        return await transport.depths() == found

    await until(counted, what="the broker to count them")
    await transport.close()


def test_the_command_prints_the_whole_table(vhost: str) -> None:
    environment = {
        "DEMO": "true",
        "DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:1/none",
        "BROKER_URL": vhost,
        "DATA_KEYS": f"k1:{new_key()}",
        "INDEX_KEY": new_key(),
    }
    done = subprocess.run(
        [sys.executable, "-m", "services.certnumber", "queues"],
        cwd=ROOT,
        env=base_environment() | {f"GANZHENG_{name}": value for name, value in environment.items()},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [f"{queue.name}\tready 0\tretry 0\tdead 0" for queue in TABLE]
