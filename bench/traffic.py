"""HTTP traffic that costs little to make: hand-written HTTP/1.1 on connections that are kept, in processes of its own.

A load generator that shares two cores with what it measures must not be the half of what it measures.
"""

import asyncio
import contextlib
import multiprocessing
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvloop

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
RETRY_AFTER = re.compile(rb"retry-after: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    """What came back: status, seconds from the request to the end of its answer, and when that was (`perf_counter` of
    the machine). `retry_after` is None where the answer names none; a connection that broke has status 0."""

    status: int
    seconds: float
    at: float
    request: int
    retry_after: int | None = None


@dataclass
class Connection:
    """One connection to a server on this machine, opened when it is needed."""

    port: int
    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = field(default=None, init=False)

    async def ask(self, request: bytes, number: int) -> Answer:
        started = time.perf_counter()
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self.port)
            reader, writer = self._streams
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = LENGTH.search(head)
            await reader.readexactly(int(length[1]) if length else 0)
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return Answer(0, time.perf_counter() - started, time.perf_counter(), number)
        if b"connection: close" in head.lower():
            self.close()
        now, wait = time.perf_counter(), RETRY_AFTER.search(head)
        return Answer(int(head[9:12]), now - started, now, number, int(wait[1]) if wait else None)

    def close(self) -> None:
        if self._streams is not None:
            with contextlib.suppress(OSError):
                self._streams[1].close()
            self._streams = None


def request_of(method: str, path: str, token: str = "", body: bytes = b"", **headers: str) -> bytes:
    """Write a request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def closed_loop(ports: Sequence[int], requests: Iterator[bytes], clients: int) -> list[Answer]:
    """Let so many clients ask one after the other until the requests are used up."""
    numbered, answers = enumerate(requests), []

    async def client(port: int) -> None:
        connection = Connection(port)
        for number, request in numbered:
            answers.append(await connection.ask(request, number))
        connection.close()

    await asyncio.gather(*(client(ports[index % len(ports)]) for index in range(clients)))
    return answers


def apart(work: Callable[..., Any], *arguments: Any) -> "Apart":
    """Begin `await work(*arguments)` in a process of its own."""
    return Apart(work, arguments)


class Apart:
    """Work in another process, whose answer is waited for without blocking."""

    def __init__(self, work: Callable[..., Any], arguments: Sequence[Any]) -> None:
        context = multiprocessing.get_context("spawn")
        self._receiver, sender = context.Pipe(duplex=False)
        self._process = context.Process(target=_run, args=(sender, work, arguments), daemon=True)
        self._process.start()
        sender.close()

    async def answer(self) -> Any:
        """Give what the work gave. Raises EOFError if it died."""
        try:
            return await asyncio.to_thread(self._receiver.recv)
        finally:
            await asyncio.to_thread(self._process.join)


def _run(sender: Any, work: Callable[..., Any], arguments: Sequence[Any]) -> None:
    sender.send(uvloop.run(work(*arguments)))
