"""A body that comes too slowly ends in a 408, and holds no connection of the database meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import uvicorn

from shared.runtime.operations import _Server
from shared.web.middleware import Pace
from tests.integration.web.service import SERVICE, Service, running
from tests.support.backing import Postgres
from tests.support.platform import service_database
from tests.support.wait import until

# So short that a sender who has stopped is given up at once.
IMPATIENT = Pace(grace=0.01)


@pytest.fixture
async def impatient(postgres: Postgres) -> AsyncIterator[Service]:
    with service_database(postgres, SERVICE) as url:
        async with running(url, pace=IMPATIENT) as started:
            yield started


def _headers(**more: str) -> dict[str, str]:
    return {"Content-Type": "application/json", **more}


class _Sender:
    """What a client sends of a request, message by message; then it stops without leaving."""

    def __init__(self, path: str, *parts: bytes, headers: dict[str, str]) -> None:
        self.waiting = asyncio.Event()
        self.sent: list[dict[str, Any]] = []
        self._parts = list(parts)
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("10.0.0.1", 1),
            "server": ("service", 80),
        }

    async def receive(self) -> dict[str, Any]:
        if self._parts:
            return {"type": "http.request", "body": self._parts.pop(0), "more_body": True}
        self.waiting.set()
        await asyncio.Event().wait()
        raise AssertionError("never set")

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])


@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "k"}], ids=["without a key", "with a key"])
async def test_no_connection_is_held_while_a_body_is_awaited(service: Service, key: dict[str, str]) -> None:
    token, _ = await service.token(uuid4())
    for path in ("/things", "/own-things"):
        sender = _Sender(path, b'{"name": ', headers=_headers(**key, **token))
        task = asyncio.create_task(service.app(sender.scope, sender.receive, sender.send))
        await sender.waiting.wait()
        assert service.container.database.pool_usage()[0] == 0, path
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("path", ["/things", "/own-things", "/upload"])
@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "k"}], ids=["without a key", "with a key"])
async def test_a_body_that_stops_is_given_up(impatient: Service, path: str, key: dict[str, str]) -> None:
    kind = "multipart/form-data; boundary=x" if path == "/upload" else "application/json"
    sender = _Sender(path, b"--x\r\n" if path == "/upload" else b'{"name": ', headers={"Content-Type": kind, **key})
    if path == "/upload":
        sender.scope["method"] = "PUT"
    await impatient.app(sender.scope, sender.receive, sender.send)
    assert sender.status == 408
    headers = dict(sender.sent[0]["headers"])
    assert headers[b"connection"] == b"close"
    assert headers[b"content-type"] == b"application/problem+json"
    assert b"request_timeout" in sender.sent[1]["body"]
    assert await impatient.names() == []


async def test_what_comes_in_time_is_taken_however_long_the_work_takes(impatient: Service) -> None:
    assert (await impatient.http.post("/things", json={"name": "one"})).status_code == 201
    assert await impatient.names() == ["one"]


async def test_a_real_server_closes_the_connection(impatient: Service) -> None:
    config = uvicorn.Config(impatient.app, port=0, lifespan="off", log_config=None, access_log=False)
    server = _Server(config)
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started or None, what="the server to listen")
    port = server.servers[0].sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(
            b"POST /things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        )
        answer = await reader.read()
    finally:
        writer.close()
        server.should_exit = True
        await task
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"request_timeout" in answer


def test_more_time_for_more_bytes_and_an_end_to_it() -> None:
    pace = Pace(grace=10, rate=1000, longest=60)
    assert [pace.seconds(n) for n in (0, 1000, 20_000, 10**9)] == [10, 11, 30, 60]
