"""FastStream's consumer with a handler that does nothing: parsed by pydantic, acknowledged one by one."""

import asyncio
import json
import logging
import sys
import time
from datetime import datetime
from uuid import UUID

import uvloop
from faststream.rabbit import Channel, RabbitBroker, RabbitQueue
from pydantic import BaseModel

WARM = 400


class Image(BaseModel):
    kind: str
    sha256: str
    width: int
    height: int


class Submitted(BaseModel):
    application_id: UUID
    application_number: str
    change_no: int
    revision: int
    decision_no: int
    status: str
    person: str
    person_index: str
    enterprise_id: UUID
    enterprise_name: str
    post: str
    post_name: str
    certificate_number: str | None
    images: tuple[Image, ...]
    added_at: datetime
    submitted_at: datetime | None


class Envelope(BaseModel):
    id: UUID
    source: str
    type: str
    subject: str
    time: datetime
    dataschema: str
    traceparent: str | None = None
    data: Submitted


async def main() -> None:
    logging.disable(logging.WARNING)
    given = json.load(sys.stdin)
    broker = RabbitBroker(given["amqp_url"], default_channel=Channel(prefetch_count=400))
    left, moved = given["count"], 0
    began: tuple[float, float] | None = None
    result: asyncio.Future[dict[str, float]] = asyncio.get_running_loop().create_future()

    @broker.subscriber(RabbitQueue(given["queue"], declare=False))
    async def take(_: Envelope) -> None:
        nonlocal left, moved, began
        left -= 1
        if began is None:
            if left < given["count"] - WARM:
                began = time.perf_counter(), time.process_time()
            return
        moved += 1
        if left == 0:
            elapsed, spent = time.perf_counter() - began[0], time.process_time() - began[1]
            result.set_result({"rate": moved / elapsed, "cpu": 1e6 * spent / moved})

    await broker.start()
    print(json.dumps(await result))
    await broker.stop()


uvloop.run(main())
