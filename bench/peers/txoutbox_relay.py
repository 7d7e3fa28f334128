"""txoutbox at its best: batches of 500, 200 publications at once, no order, rows deleted when confirmed."""

import json
import sys
import time
from datetime import timedelta

import aio_pika
import asyncpg
import uvloop
from txoutbox import OutboxMessage, Relay, RelayConfig
from txoutbox.adapters.postgres import PostgresStorage

WARM = 400


async def main() -> None:
    given = json.load(sys.stdin)
    pool = await asyncpg.create_pool(given["database_url"].replace("+psycopg", ""), min_size=2, max_size=4)
    storage = PostgresStorage(pool, strict_ordering=False, delete_on_ack=True)
    await storage.create_schema()
    channel = await (await aio_pika.connect(given["amqp_url"])).channel()
    exchange = await channel.get_exchange(given["exchange"])

    async def publish(message: OutboxMessage) -> None:
        body = aio_pika.Message(message.payload, message_id=str(message.id), delivery_mode=2)
        await exchange.publish(body, given["key"], mandatory=True)

    config = RelayConfig(batch_size=500, concurrency=200, lease=timedelta(seconds=60))
    relay = Relay(storage, publish, config=config)
    body = given["body"].encode()
    for count in (WARM, given["count"]):
        async with pool.acquire() as connection, connection.transaction():
            for _ in range(count):
                await storage.insert(connection, "bench", body)
        wall, processor = time.perf_counter(), time.process_time()
        left = count
        while left > 0:
            left -= (await relay.run_once()).claimed
    elapsed, spent = time.perf_counter() - wall, time.process_time() - processor
    print(json.dumps({"rate": given["count"] / elapsed, "cpu": 1e6 * spent / given["count"]}))


uvloop.run(main())
