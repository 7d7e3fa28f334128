"""The in-process transport behaves like a connection: it streams, breaks off and notices who leaves."""

import asyncio
import gc
from collections.abc import AsyncIterator

import anyio
import httpx2
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from deploy.embedded.transport import InProcess

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}


def part(body: bytes, *, more: bool = True) -> dict[str, object]:
    return {"type": "http.response.body", "body": body, "more_body": more}


def client_of(app: ASGIApp) -> httpx2.AsyncClient:
    transport = InProcess()
    transport.app = app
    return httpx2.AsyncClient(transport=transport, base_url="http://embedded")


async def test_each_part_arrives_before_the_next_is_made() -> None:
    read = asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(START)
        await send(part(b"one"))
        await read.wait()
        await send(part(b"two", more=False))

    async with client_of(app) as client, client.stream("GET", "/") as response:
        parts = response.aiter_raw()
        assert await anext(parts) == b"one"
        read.set()
        assert [each async for each in parts] == [b"two"]


async def test_the_request_arrives_in_its_parts_and_from_the_browser() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        received = [await receive(), await receive(), await receive()]
        body = b"|".join(message["body"] for message in received)
        assert [message["more_body"] for message in received] == [True, True, False]
        line = f"{scope['method']} {scope['path']}?{scope['query_string'].decode()} {scope['client'][0]} "
        await send(START)
        await send(part(line.encode() + body, more=False))

    async def chunks() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    async with client_of(app) as client:
        headers = {"X-Forwarded-For": "192.0.2.7"}
        response = await client.post("/路?x=1", content=chunks(), headers=headers)
    assert response.text == "POST /路?x=1 192.0.2.7 a|b|"


async def test_what_escapes_the_app_is_a_broken_connection() -> None:
    async def before(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ValueError("lost")

    async def between(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(START)
        await send(part(b"one"))
        raise ConnectionAbortedError

    async with client_of(before) as client:
        with pytest.raises(httpx2.ReadError):
            await client.get("/")
    async with client_of(between) as client, client.stream("GET", "/") as response:
        parts = response.aiter_raw()
        assert await anext(parts) == b"one"
        with pytest.raises(httpx2.ReadError):
            await anext(parts)


async def test_an_app_without_an_answer_and_one_not_yet_built_are_errors() -> None:
    async def silent(_scope: Scope, _receive: Receive, _send: Send) -> None:
        pass

    async with client_of(silent) as client:
        with pytest.raises(httpx2.ReadError):
            await client.get("/")
    async with httpx2.AsyncClient(transport=InProcess(), base_url="http://embedded") as client:
        with pytest.raises(httpx2.ConnectError):
            await client.get("/")


@pytest.mark.parametrize("started", [True, False])
async def test_leaving_early_cancels_the_app(started: bool) -> None:
    called, cancelled = asyncio.Event(), asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        if started:
            await send(START)
        called.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def leave(client: httpx2.AsyncClient) -> None:
        async with client.stream("GET", "/"):
            await called.wait()

    async with client_of(app) as client:
        asking = asyncio.create_task(leave(client))
        await called.wait()
        if not started:
            asking.cancel()
        await asyncio.wait([asking])
    assert cancelled.is_set()


async def test_how_an_app_ends_that_was_left_is_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(START)
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("lost")

    async with client_of(app) as client, client.stream("GET", "/"):
        pass
    gc.collect()
    assert not caplog.records


async def test_leaving_closes_the_streams_even_when_interrupted() -> None:
    cancelled, interrupted = asyncio.Event(), asyncio.Event()
    late: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(START)
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
            await interrupted.wait()
            with pytest.raises(anyio.ClosedResourceError) as raised:
                await send(part(b"late"))
            late.set_result(raised.value)

    async with client_of(app) as client:
        response = await client.send(client.build_request("GET", "/"), stream=True)
        leaving = asyncio.create_task(response.aclose())
        await cancelled.wait()
        leaving.cancel()
        await asyncio.wait([leaving])
        interrupted.set()
        assert await late
