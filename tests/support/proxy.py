"""A TCP proxy in front of one server that does to connections what networks do: wait, go silent, break.

It runs in a thread of its own, so a test that waits for a process does not stand in that process's way.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from threading import Thread
from typing import Any, Literal
from urllib.parse import urlsplit

from deploy.embedded.postgres import free_port

Direction = Literal["up", "down"]
"""up: what the client says to the server; down: what the server says to the client."""

CHUNK = 64 * 1024
# Closed so, a socket sends a reset, and what it still held is gone.
_RESET = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class _Link:
    """One client's connection and ours to the server."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    silent: asyncio.Event = field(default_factory=asyncio.Event)
    """set: nothing comes through any more, for ever"""

    def break_off(self, *, reset: bool = True) -> None:
        for writer in (self.client, self.server):
            if reset:
                with suppress(OSError):
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                writer.transport.abort()
            else:
                writer.close()


class Proxy:
    """Listens on `port` of 127.0.0.1. The blocks below are what happens to connections as long as they last."""

    def __init__(self, loop: asyncio.AbstractEventLoop, host: str, port: int) -> None:
        self._loop = loop
        self.target = (host, port)
        self.port = free_port()
        self._links: set[_Link] = set()
        self._refusing = False
        self._open: dict[Direction, asyncio.Event] = {}
        self._delay: dict[Direction, float] = {"up": 0.0, "down": 0.0}
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def url(self, url: str) -> str:
        """The same address, by way of this proxy."""
        parts = urlsplit(url)
        login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        return parts._replace(netloc=f"{login}127.0.0.1:{self.port}").geturl()

    # --- what happens to connections

    @asynccontextmanager
    async def silent(self, *directions: Direction) -> AsyncIterator[None]:
        """A black hole: every connection stays open, new ones are taken, and nothing comes through in these directions
        (both by default). In the end what was held comes through."""
        for direction in directions or ("up", "down"):
            await self._do(self._open[direction].clear)
        try:
            yield
        finally:
            for direction in directions or ("up", "down"):
                await self._do(self._open[direction].set)

    @asynccontextmanager
    async def slow(self, seconds: float, *directions: Direction) -> AsyncIterator[None]:
        """What comes through does so after that time."""
        for direction in directions or ("down",):
            self._delay[direction] = seconds
        try:
            yield
        finally:
            for direction in directions or ("down",):
                self._delay[direction] = 0.0
            await self.reset()

    @asynccontextmanager
    async def down(self) -> AsyncIterator[None]:
        """Nobody listens, and who was connected is no more."""
        await self._call(self._stop_listening())
        await self.reset()
        try:
            yield
        finally:
            await self._call(self._listen())

    async def half_open(self) -> int:
        """The connections of now go silent for ever without being closed; new ones work. Gives how many there were."""

        def go_silent() -> int:
            for link in self._links:
                link.silent.set()
            return len(self._links)

        return int(await self._do(go_silent))

    async def reset(self) -> None:
        """Break all connections off; what was under way is gone."""
        await self._do(partial(self._break_all, reset=True))

    async def cut(self) -> None:
        """Close all connections in good order."""
        await self._do(partial(self._break_all, reset=False))

    # --- at work

    def _break_all(self, *, reset: bool) -> None:
        for link in self._links:
            link.break_off(reset=reset)

    async def _do(self, act: Callable[[], Any]) -> Any:
        async def run() -> Any:
            return act()

        return await self._call(run())

    async def _call(self, work: Any) -> Any:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def start(self) -> None:
        for direction in ("up", "down"):
            self._open[direction] = asyncio.Event()
            self._open[direction].set()
        await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def stop(self) -> None:
        await self._stop_listening()
        self._break_all(reset=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._link(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._tasks.discard(task)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_server, server = await asyncio.open_connection(*self.target)
        except OSError:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
            return
        link = _Link(writer, server)
        for side in (writer, server):
            side.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._links.add(link)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._forward(link, reader, server, "up"))
                both.create_task(self._forward(link, from_server, writer, "down"))
        except* OSError:
            pass
        finally:
            self._links.discard(link)
            link.break_off()

    async def _forward(
        self, link: _Link, source: asyncio.StreamReader, sink: asyncio.StreamWriter, direction: Direction
    ) -> None:
        while data := await source.read(CHUNK):
            if delay := self._delay[direction]:
                await _pass(delay)
            await self._open[direction].wait()
            if link.silent.is_set():
                await asyncio.Event().wait()
            sink.write(data)
            await sink.drain()
        if link.silent.is_set():
            # Nobody is told that the other end has gone, either.
            await asyncio.Event().wait()
        with suppress(OSError):
            sink.write_eof()


async def _pass(seconds: float) -> None:
    """Let time pass, which is what slow means."""
    passed = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, passed.set)
    await passed.wait()


@dataclass
class Proxies:
    """Proxies by name, all in one thread."""

    loop: asyncio.AbstractEventLoop
    between: bool = True
    all: dict[str, Proxy] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Proxy:
        return self.all[name]

    def before(self, name: str, url: str) -> str:
        """`url` by way of a new proxy of that name, or as it is where there are none."""
        if not self.between:
            return url
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        proxy = Proxy(self.loop, parts.hostname, parts.port)
        asyncio.run_coroutine_threadsafe(proxy.start(), self.loop).result()
        self.all[name] = proxy
        return proxy.url(url)


@contextmanager
def proxies(*, between: bool = True) -> Iterator[Proxies]:
    """Proxies to put before addresses; unless `between`, addresses stay as they are."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="proxies", daemon=True)
    thread.start()
    made = Proxies(loop, between)
    with ExitStack() as undo:
        undo.callback(loop.close)
        undo.callback(thread.join)
        undo.callback(loop.call_soon_threadsafe, loop.stop)
        yield made
        for proxy in made.all.values():
            asyncio.run_coroutine_threadsafe(proxy.stop(), loop).result()
