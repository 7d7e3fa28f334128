"""How the HTTP clients of this process reach the platform: without a network."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx2
from starlette.types import ASGIApp, Message, Scope


class InProcess(httpx2.AsyncBaseTransport):
    """Calls an ASGI app. Answers arrive as they are sent (httpx2.ASGITransport collects them first), and whoever closes
    one early cancels its making.

    `app` is set once it exists. What escapes the app is a ReadError, like a connection that a server breaks off.
    """

    app: ASGIApp | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.app is None:
            raise httpx2.ConnectError("the platform is not built yet")
        exchange = _Exchange(self.app, request)
        try:
            start = await exchange.begin()
        except BaseException:
            await exchange.aclose()
            raise
        return httpx2.Response(start["status"], headers=start["headers"], stream=exchange)


class _Exchange(httpx2.AsyncByteStream):
    """One request; iterated, it is the body of the answer."""

    def __init__(self, app: ASGIApp, request: httpx2.Request) -> None:
        self._body = aiter(_stream(request))
        self._body_ended = False
        # No buffer: the app does not run ahead of who reads.
        self._sent, self._messages = anyio.create_memory_object_stream[Message]()
        self._task = asyncio.create_task(self._run(app, _scope(request)))
        # Whoever leaves early does not hear how it ended, and asyncio is not to log that as forgotten.
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def begin(self) -> Message:
        """The message with which the answer starts. Raises ReadError."""
        async for message in self._messages:
            return message
        await self._finish()
        raise httpx2.ReadError("the app ended without an answer")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for message in self._messages:
            yield message.get("body", b"")
        await self._finish()

    async def aclose(self) -> None:
        self._task.cancel()
        try:
            await asyncio.wait([self._task])
        finally:
            self._sent.close()
            self._messages.close()

    async def _finish(self) -> None:
        try:
            await self._task
        except Exception as error:
            raise httpx2.ReadError("the app broke off") from error

    async def _run(self, app: ASGIApp, scope: Scope) -> None:
        async with self._sent:
            await app(scope, self._receive, self._sent.send)

    async def _receive(self) -> Message:
        async for chunk in self._body:
            return {"type": "http.request", "body": chunk, "more_body": True}
        if self._body_ended:
            # A client that leaves is a cancelled task, never a message.
            await anyio.sleep_forever()
        self._body_ended = True
        return {"type": "http.request", "body": b"", "more_body": False}


def _stream(request: httpx2.Request) -> httpx2.AsyncByteStream:
    if not isinstance(request.stream, httpx2.AsyncByteStream):
        raise TypeError("an asynchronous client sends asynchronous bodies")
    return request.stream


def _scope(request: httpx2.Request) -> dict[str, Any]:
    # As a gateway's upstream would see it: the browser that the portal asks for.
    address = request.headers.get("X-Forwarded-For", "127.0.0.1")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": request.url.raw_path.split(b"?")[0],
        "query_string": request.url.query,
        "server": (request.url.host, request.url.port),
        "client": (address, 0),
        "root_path": "",
    }
