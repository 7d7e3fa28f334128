"""One side of a comparison as a process: `python -m bench.contestants NAME` with its circumstances as JSON on standard
input prints the events it moved in a second, and the processor time of each in µs, as JSON.

Each moves some first, so that connections, plans and caches are there.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import uuid4

import aio_pika
import psycopg
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractIncomingMessage

from services.certnumber.app import build as build_certnumber
from services.certnumber.consumers import SUBSCRIPTIONS as CERTNUMBER
from services.review.app import build as build_review
from services.review.consumers import SUBSCRIPTIONS as REVIEW
from services.review.settings import ReviewSettings
from shared.contracts.renewal import RenewalSubmitted
from shared.contracts.topology import QUEUES, REVIEW_APPLICATIONS
from shared.messaging import Consumer, Message, Outbox, Outcome, RabbitMQ, Relay, Subscription
from shared.messaging.events import EnvelopeOf
from shared.messaging.topology import EXCHANGE
from shared.observability.telemetry import configure_logging
from shared.persistence.db import Database
from shared.runtime.eventloop import run
from tests.support.numbering import Asleep, new_settings

WINDOW = 200
WARM = 400
EVENT = RenewalSubmitted.routing_key()
PREFETCH = 400

Result = dict[str, float]
Work = Callable[[int], Awaitable[None]]


@dataclass(frozen=True)
class Circumstances:
    """`body` is an event of the usual size, which goes to `exchange` under `key`, from there to `queue`; `settings` are
    those of the service that consumes."""

    database_url: str
    amqp_url: str
    count: int
    body: str
    settings: dict[str, str]
    exchange: str = EXCHANGE
    key: str = REVIEW_APPLICATIONS.address(EVENT)
    queue: str = REVIEW_APPLICATIONS.name

    @property
    def dsn(self) -> str:
        return self.database_url.replace("+psycopg", "")


async def _timed(given: Circumstances, work: Work, fill: Work | None = None) -> Result:
    for count in (WARM, given.count):
        if fill is not None:
            await fill(count)
        wall, processor = time.perf_counter(), time.process_time()
        await work(count)
    elapsed, spent = time.perf_counter() - wall, time.process_time() - processor
    return {"rate": given.count / elapsed, "cpu": 1e6 * spent / given.count}


async def _channel(given: Circumstances) -> AbstractChannel:
    return await (await aio_pika.connect(given.amqp_url)).channel(publisher_confirms=True, on_return_raises=True)


async def _send(exchange: AbstractExchange, key: str, bodies: Sequence[bytes]) -> None:
    mode = aio_pika.DeliveryMode.PERSISTENT
    messages = [aio_pika.Message(body, message_id=str(uuid4()), delivery_mode=mode) for body in bodies]
    await asyncio.gather(*(exchange.publish(message, key, mandatory=True) for message in messages))


async def publish(given: Circumstances) -> Result:
    """Publish to the topic exchange with confirms, as anyone would with aio-pika; no database."""
    exchange, body = await (await _channel(given)).get_exchange(given.exchange), given.body.encode()

    async def work(count: int) -> None:
        for _ in range(0, count, WINDOW):
            await _send(exchange, given.key, [body] * WINDOW)

    return await _timed(given, work)


def _filling(given: Circumstances) -> Work:
    async def fill(count: int) -> None:
        async with await psycopg.AsyncConnection.connect(given.dsn) as connection:
            await connection.execute("DELETE FROM outbox")
            await connection.execute(
                "INSERT INTO outbox (event_id, routing_key, envelope)"
                " SELECT gen_random_uuid(), %s, %s FROM generate_series(1, %s)",
                [EVENT, given.body, count],
            )

    return fill


async def forward(given: Circumstances) -> Result:
    """Do what a relay has to, with psycopg and aio-pika and nothing else: SELECT, publish, DELETE, batch by batch."""
    exchange = await (await _channel(given)).get_exchange(given.exchange)
    connection = await psycopg.AsyncConnection.connect(given.dsn)

    async def work(count: int) -> None:
        for _ in range(0, count, WINDOW):
            async with connection.transaction():
                cursor = await connection.execute(
                    "SELECT id, envelope FROM outbox ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED", [WINDOW]
                )
                rows = await cursor.fetchall()
                await _send(exchange, given.key, [envelope.encode() for _, envelope in rows])
                await connection.execute("DELETE FROM outbox WHERE id = ANY(%s)", [[row_id for row_id, _ in rows]])

    return await _timed(given, work, _filling(given))


async def relay(given: Circumstances) -> Result:
    """Ours, as a worker runs it."""
    database = Database(given.database_url)
    broker = RabbitMQ(given.amqp_url, QUEUES, name="renewal")
    ours = Relay(Outbox("bench"), database, broker)

    async def work(_count: int) -> None:
        await ours.empty()

    result = await _timed(given, work, _filling(given))
    await broker.close()
    await database.close()
    return result


class _Stopwatch:
    """Times what is done after the first WARM of `count`."""

    def __init__(self, count: int) -> None:
        self._count = self._left = count
        self._began: tuple[float, float] | None = None
        self._moved = 0
        self.result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

    def note(self, count: int) -> None:
        wall, processor = time.perf_counter(), time.process_time()
        self._left -= count
        if self._began is None:
            if self._left < self._count - WARM:
                self._began = wall, processor
            return
        self._moved += count
        if self._left <= 0 and not self.result.done():
            elapsed, spent = wall - self._began[0], processor - self._began[1]
            self.result.set_result({"rate": self._moved / elapsed, "cpu": 1e6 * spent / self._moved})


async def parse(given: Circumstances) -> Result:
    """Read what comes as the contract, acknowledge it, and do nothing with it."""
    channel, watch, kind = await _channel(given), _Stopwatch(given.count), EnvelopeOf[RenewalSubmitted]

    async def take(delivery: AbstractIncomingMessage) -> None:
        kind.model_validate_json(delivery.body)
        await delivery.ack()
        watch.note(1)

    await channel.set_qos(prefetch_count=PREFETCH)
    await (await channel.get_queue(given.queue)).consume(take)
    return await watch.result


async def inbox(given: Circumstances) -> Result:
    """Read, write the inbox's rows in bulk, commit and acknowledge: what any consumer that takes an event once does."""
    channel, watch, kind = await _channel(given), _Stopwatch(given.count), EnvelopeOf[RenewalSubmitted]
    connection = await psycopg.AsyncConnection.connect(given.dsn)
    arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
    await channel.set_qos(prefetch_count=PREFETCH)
    await (await channel.get_queue(given.queue)).consume(arrived.put)
    while not watch.result.done():
        batch = [await arrived.get()]
        while not arrived.empty():
            batch.append(arrived.get_nowait())
        ids = [kind.model_validate_json(delivery.body).id for delivery in batch]
        async with connection.transaction():
            await connection.execute("INSERT INTO inbox (queue, event_id) SELECT 'bench', unnest(%s::uuid[])", [ids])
        await batch[-1].ack(multiple=True)
        watch.note(len(batch))
    return await watch.result


async def _consume(given: Circumstances, consumer: Consumer) -> Result:
    watch, process = _Stopwatch(given.count), consumer.process

    async def noted(messages: Sequence[Message]) -> list[Outcome]:
        outcomes = await process(messages)
        watch.note(len(messages))
        return outcomes

    consumer.process = noted  # type: ignore[method-assign]
    broker = RabbitMQ(given.amqp_url, QUEUES, name=consumer.queue.service)
    consuming = asyncio.create_task(broker.consume(consumer))
    result = await watch.result
    consuming.cancel()
    await asyncio.gather(consuming, return_exceptions=True)
    return result


async def empty(given: Circumstances) -> Result:
    """Ours, with a handler that does nothing: what the backbone itself costs."""

    async def nothing(*_: object) -> None:
        return None

    database = Database(given.database_url)
    return await _consume(
        given, Consumer(Subscription(REVIEW_APPLICATIONS, {RenewalSubmitted: nothing}), None, database)
    )


async def desk(given: Circumstances) -> Result:
    """Ours: the desk's items and revisions of `renewal.submitted`."""
    container = build_review(ReviewSettings(demo=True, database_url=given.database_url, **given.settings))  # type: ignore[arg-type]
    return await _consume(given, Consumer(REVIEW[0], container, container.database))


async def approvals(given: Circumstances) -> Result:
    """Ours: the numbering's waiting approvals of `renewal.approved`."""
    container = build_certnumber(new_settings(given.database_url, **given.settings), eager=True)
    container.waker = Asleep()
    return await _consume(given, Consumer(CERTNUMBER[0], container, container.database))


CONTESTANTS = {each.__name__: each for each in (publish, forward, relay, parse, inbox, empty, desk, approvals)}


def main() -> int:
    configure_logging("ERROR")
    result = run(CONTESTANTS[sys.argv[1]](Circumstances(**json.load(sys.stdin))))
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
