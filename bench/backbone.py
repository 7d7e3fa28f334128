"""Events on their way out and in, against bare loops that do the same work outside, and against other libraries.

Each contestant is a process of its own, on uvloop; all have the same broker, topic exchange, quorum queue and bodies,
and a database that nobody has used before.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from uuid import uuid4

import aio_pika
import sqlalchemy as sa

from bench.contestants import Circumstances
from bench.run import Measurement, compare
from services.review.app import build as build_review
from services.review.settings import ReviewSettings
from shared.contracts.topology import CERTNUMBER_APPROVALS, QUEUES, REVIEW_APPLICATIONS
from shared.messaging import Message, Queue, RabbitMQ
from shared.messaging.tables import PlatformBase
from shared.persistence.db import migrate
from shared.runtime.settings import new_key
from tests.integration.review.desk import Application
from tests.support.backing import Backing
from tests.support.events import message
from tests.support.numbering import approved, environment
from tests.support.processes import ROOT, base_environment

EVENTS = 6000
PEOPLE = 400
CHUNK = 200
# Where `make bench` installs what bench/peers needs.
PEERS = ROOT / "var" / "bench" / "bin" / "python"
_KEYS = {
    "data_keys": f"k1:{new_key()}",
    "index_key": new_key(),
    "signing_keys": f"s1:{new_key()}",
    "database_url": "postgresql+psycopg://",
}


async def backbone(backing: Backing, rounds: int) -> None:
    """Measure publishing and consuming, and print."""
    url = await backing.rabbitmq.create_vhost()
    broker = RabbitMQ(url, QUEUES, name="renewal")
    await broker.declare()
    course = _Course(backing, url, broker)
    await compare(
        "Outbox to broker",
        "events/s",
        "bare: publish",
        {
            "bare: publish": course.sends("publish"),
            "bare: select, publish, delete": course.sends("forward"),
            "our relay": course.sends("relay"),
            **course.peers({"txoutbox": "txoutbox_relay", "faststream-outbox": "faststream_outbox_relay"}),
        },
        rounds,
    )
    await compare(
        "Broker to effect",
        "events/s",
        "bare: parse only",
        {
            "bare: parse only": course.takes("parse", REVIEW_APPLICATIONS),
            "bare: parse, inbox in bulk": course.takes("inbox", REVIEW_APPLICATIONS),
            "our consumer: inbox": course.takes("empty", REVIEW_APPLICATIONS),
            "our desk: inbox, projection": course.takes("desk", REVIEW_APPLICATIONS),
            "our approvals: inbox, queue": course.takes("approvals", CERTNUMBER_APPROVALS),
            **course.peers({"FastStream, no effect": "faststream_consumer"}, filled=REVIEW_APPLICATIONS),
        },
        rounds,
    )
    await broker.close()
    await backing.rabbitmq.delete_vhost(url)


class _Course:
    """What all contestants run on."""

    def __init__(self, backing: Backing, url: str, broker: RabbitMQ) -> None:
        self._postgres = backing.postgres
        self._url = url
        self._broker = broker
        sealing = build_review(ReviewSettings(demo=True, **_KEYS))  # type: ignore[arg-type]
        applications = [
            Application(sealing, number % PEOPLE, application_number=f"HZ{number:08d}") for number in range(EVENTS)
        ]
        submitted = [application.submitted() for application in applications]
        self._events = {
            REVIEW_APPLICATIONS: [message(event) for event in submitted],
            CERTNUMBER_APPROVALS: [message(approved(uuid4())) for _ in range(EVENTS)],
        }
        self._body = self._events[REVIEW_APPLICATIONS][0].body.decode()

    def sends(self, name: str) -> Measurement:
        return self._measurement([sys.executable, "-m", "bench.contestants", name], _tables, {})

    def takes(self, name: str, queue: Queue) -> Measurement:
        build = partial(migrate, queue.service) if name in {"desk", "approvals"} else _tables
        own = environment("") if queue is CERTNUMBER_APPROVALS else {}
        keys = {name: own.get(f"GANZHENG_{name.upper()}", _KEYS[name]) for name in ("data_keys", "index_key")}
        command = [sys.executable, "-m", "bench.contestants", name]
        return self._measurement(command, build, keys | {"signing_keys": _KEYS["signing_keys"]}, queue)

    def peers(self, scripts: dict[str, str], *, filled: Queue | None = None) -> dict[str, Measurement]:
        if not PEERS.exists():
            print("\nWithout other libraries, which `make bench` installs.")
            return {}
        return {
            name: self._measurement([str(PEERS), str(ROOT / "bench" / "peers" / f"{script}.py")], None, {}, filled)
            for name, script in scripts.items()
        }

    def _measurement(
        self,
        command: Sequence[str],
        build: Callable[[str], object] | None,
        settings: dict[str, str],
        filled: Queue | None = None,
    ) -> Measurement:
        async def measure() -> float:
            await self._purge()
            if filled is not None:
                await self._fill(self._events[filled])
            # Peers make tables of their own.
            template = self._postgres.template(f"bench_{command[-1]}", build) if build else None
            with self._postgres.temporary(template) as database_url:
                given = Circumstances(database_url, self._url, EVENTS, self._body, settings)
                process = await asyncio.create_subprocess_exec(
                    *command, cwd=ROOT, env=base_environment(),
                    stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                )  # fmt: skip
                output, _ = await process.communicate(json.dumps(asdict(given)).encode())
                if process.returncode:
                    raise RuntimeError(f"{command[-1]} ended with {process.returncode}")
            result = json.loads(output)
            print(f"  {command[-1].rpartition('/')[2]:32} {result['rate']:8,.0f}/s {result['cpu']:6.0f} µs")
            return float(result["rate"])

        return measure

    async def _purge(self) -> None:
        async with await aio_pika.connect(self._url) as connection:
            channel = await connection.channel()
            for queue in (REVIEW_APPLICATIONS, CERTNUMBER_APPROVALS):
                await (await channel.get_queue(queue.name)).purge()

    async def _fill(self, messages: Sequence[Message]) -> None:
        for start in range(0, len(messages), CHUNK):
            results = await self._broker.publish(messages[start : start + CHUNK])
            if any(results):
                raise RuntimeError(f"the broker took not all of it: {results}")


def _tables(url: str) -> None:
    engine = sa.create_engine(url)
    PlatformBase.metadata.create_all(engine)
    engine.dispose()
