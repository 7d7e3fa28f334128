"""The loop that every process runs on."""

import asyncio
import logging

import uvloop

from shared.runtime import eventloop


def test_is_uvloop_and_leaves_the_logging_alone() -> None:
    server = logging.getLogger("uvicorn")
    before = (server.level, list(server.handlers), server.propagate)

    async def kind() -> type:
        return type(asyncio.get_running_loop())

    assert eventloop.run(kind()) is uvloop.Loop
    assert (server.level, list(server.handlers), server.propagate) == before
