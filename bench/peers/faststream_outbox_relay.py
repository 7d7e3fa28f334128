"""faststream-outbox at its best: 50 workers, terminal statements a hundred at a time; to RabbitMQ by FastStream."""

import asyncio
import json
import logging
import sys
import time

import uvloop
from faststream.rabbit import ExchangeType, RabbitBroker, RabbitExchange
from faststream_outbox import OutboxBroker, make_outbox_table
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

WARM = 400
WORKERS = 50


async def main() -> None:
    logging.disable(logging.WARNING)
    given = json.load(sys.stdin)
    engine = create_async_engine(given["database_url"].replace("+psycopg", "+asyncpg"), pool_size=WORKERS + 10)
    metadata = MetaData()
    table = make_outbox_table(metadata, table_name="outbox")
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    rabbit = RabbitBroker(given["amqp_url"])
    outbox = OutboxBroker(engine, outbox_table=table)
    exchange = RabbitExchange(given["exchange"], type=ExchangeType.TOPIC, durable=True)
    left, done = 0, asyncio.Event()

    @outbox.subscriber(
        "events", max_workers=WORKERS, fetch_batch_size=200, terminal_flush_batch_size=100, min_fetch_interval=0.01
    )
    async def relay(body: str) -> None:
        nonlocal left
        await rabbit.publish(body.encode(), exchange=exchange, routing_key=given["key"], persist=True)
        left -= 1
        if not left:
            done.set()

    await rabbit.connect()
    sessions = async_sessionmaker(engine)
    for count in (WARM, given["count"]):
        left = count
        done.clear()
        async with sessions() as session, session.begin():
            for _ in range(count):
                await outbox.publish(given["body"], queue="events", session=session)
        wall, processor = time.perf_counter(), time.process_time()
        await outbox.start()
        await done.wait()
        elapsed, spent = time.perf_counter() - wall, time.process_time() - processor
        await outbox.stop()
    print(json.dumps({"rate": given["count"] / elapsed, "cpu": 1e6 * spent / given["count"]}))


uvloop.run(main())
