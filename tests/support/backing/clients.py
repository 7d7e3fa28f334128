"""What tests do with PostgreSQL and RabbitMQ beside using them: databases, vhosts, outages."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from urllib.parse import urlsplit

import aio_pika
import httpx2
import psycopg
import pytest
from psycopg import sql

from tests.support.backing.provider import Provider, Unusable
from tests.support.wait import until


class Postgres:
    """`admin_url` and all URLs given out are SQLAlchemy's, `postgresql+psycopg://`, as superuser. What breaks the
    server is its provider's affair; one that is only used needs none."""

    def __init__(self, admin_url: str, provider: Provider | None = None) -> None:
        self._own_provider = provider
        self.admin_url = admin_url
        self._made: set[str] = set()
        self._has_tablespace = False
        self._templates: dict[str, str] = {}

    @property
    def _provider(self) -> Provider:
        if self._own_provider is None:
            raise Unusable("nobody here may break this server")
        return self._own_provider

    def url(self, database: str) -> str:
        return urlsplit(self.admin_url)._replace(path=f"/{database}").geturl()

    def create_database(self, name: str, *, template: str | None = None) -> str:
        """The URL of a new database, empty or a copy of `template` (nobody connected); an older one is dropped.

        Its files are copied: the default, through the log, writes all of it twice.
        """
        self.drop_database(name)
        self._execute(
            sql.SQL("create database {} template {} strategy file_copy").format(
                sql.Identifier(name), sql.Identifier(template or "template0")
            )
        )
        self._made.add(name)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        self._execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
        self._made.discard(name)

    def template(self, name: str, build: Callable[[str], object]) -> str:
        """Name a database to copy: made and handed to `build` (its URL; migrate, then disconnect) once a session.

        Another session, which may have the same server, makes its own.
        """
        if name not in self._templates:
            own = f"{name}_{secrets.token_hex(6)}"
            build(self.create_database(own))
            self._templates[name] = own
        return self._templates[name]

    @contextmanager
    def temporary(self, template: str | None = None) -> Iterator[str]:
        """The URL of a database that lasts as long as the block."""
        name = f"test_{secrets.token_hex(6)}"
        try:
            yield self.create_database(name, template=template)
        finally:
            self.drop_database(name)

    def move_to_small_disk(self, url: str) -> None:
        """Move a database to which nobody is connected to a disk that a test may fill, where there is one."""
        if self._own_provider is None or self._own_provider.tablespace is None:
            return
        if not self._has_tablespace:
            place = sql.Literal(str(self._provider.tablespace))
            self._execute(sql.SQL("CREATE TABLESPACE small LOCATION {}").format(place))
            self._has_tablespace = True
        name = sql.Identifier(urlsplit(url).path[1:])
        self._execute(sql.SQL("ALTER DATABASE {} SET TABLESPACE small").format(name))

    @asynccontextmanager
    async def full(self) -> AsyncIterator[None]:
        """Not a byte is left on the small disk as long as the block lasts. Skips the test where there is none."""
        if self._provider.tablespace is None:
            pytest.skip("a small disk has to be mounted for the database, and only root may, with BACKING=local")
        await asyncio.to_thread(self._provider.fill_postgres)
        try:
            yield
        finally:
            await asyncio.to_thread(self._provider.empty_postgres)

    @asynccontextmanager
    async def killed(self) -> AsyncIterator[None]:
        """Gone as by `kill -9` until the block ends, then there again with the same data."""
        await asyncio.to_thread(self._provider.kill_postgres)
        try:
            yield
        finally:
            await asyncio.to_thread(self._provider.revive_postgres)

    def drop_all(self) -> None:
        for name in tuple(self._made):
            self.drop_database(name)

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.admin_url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(statement)


class RabbitMQ:
    """`amqp_url` is the default vhost's; `management_url` carries user and password."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        address = provider.start_rabbitmq()
        self.amqp_url = address.amqp_url
        self.management_url = address.management_url

    async def create_vhost(self) -> str:
        """The AMQP URL of a new vhost."""
        name, user = f"test-{secrets.token_hex(6)}", urlsplit(self.management_url).username
        async with self._management() as management:
            (await management.put(f"/api/vhosts/{name}")).raise_for_status()
            everything = {"configure": ".*", "write": ".*", "read": ".*"}
            (await management.put(f"/api/permissions/{name}/{user}", json=everything)).raise_for_status()
        return urlsplit(self.amqp_url)._replace(path=f"/{name}").geturl()

    async def delete_vhost(self, amqp_url: str) -> None:
        """With its queues and messages; its connections are closed by the broker."""
        async with self._management() as management:
            (await management.delete(f"/api/vhosts{urlsplit(amqp_url).path}")).raise_for_status()

    async def delete_queue(self, amqp_url: str, queue: str) -> None:
        """As by hand, with its messages; nothing where it, or the broker, is not there."""
        async with self._management() as management:
            with suppress(httpx2.TransportError):
                await management.delete(f"/api/queues{urlsplit(amqp_url).path}/{queue}")

    async def depths(self, amqp_url: str) -> dict[str, int]:
        """Messages by queue, as the broker last counted them."""
        async with self._management() as management:
            answer = await management.get(f"/api/queues{urlsplit(amqp_url).path}")
        return {queue["name"]: queue.get("messages", 0) for queue in answer.raise_for_status().json()}

    async def queue_depth(self, amqp_url: str, queue: str) -> int:
        """Messages ready for delivery right now, without those delivered and not acknowledged."""
        async with await aio_pika.connect(amqp_url) as connection:
            declared = await (await connection.channel()).get_queue(queue)
            return declared.declaration_result.message_count or 0

    def _management(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self.management_url, trust_env=False)

    async def stop(self) -> None:
        """Its clients are disconnected at once; takes seconds all the same."""
        await asyncio.to_thread(self._provider.stop_rabbitmq)

    async def start(self) -> None:
        """Back on the same ports with the same data; returns when it answers. No harm when it runs."""
        await asyncio.to_thread(self._provider.start_rabbitmq)

    @asynccontextmanager
    async def frozen(self) -> AsyncIterator[None]:
        """Its connections stay open and nothing comes back on them, as long as the block lasts."""
        await asyncio.to_thread(self._provider.freeze_rabbitmq)
        try:
            yield
        finally:
            await asyncio.to_thread(self._provider.thaw_rabbitmq)

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    @asynccontextmanager
    async def alarmed(self) -> AsyncIterator[None]:
        """Out of memory, as it thinks, as long as the block lasts: it takes nothing from who publishes."""
        limit = ("set_vm_memory_high_watermark", "0.000001")
        await asyncio.to_thread(self._provider.control_rabbitmq, *limit)
        try:
            yield
        finally:
            await asyncio.to_thread(self._provider.control_rabbitmq, limit[0], "0.4")

    @asynccontextmanager
    async def full(self) -> AsyncIterator[None]:
        """Less is left on its disk than it insists on, and it knows, as long as the block lasts. Skips the test where
        the disk is everybody's."""
        try:
            await asyncio.to_thread(self._provider.fill_rabbitmq)
        except Unusable as problem:
            pytest.skip(str(problem))
        try:
            await until(self._lacks_disk, what="the broker to notice that its disk is full")
            yield
        finally:
            await asyncio.to_thread(self._provider.empty_rabbitmq)

    async def _lacks_disk(self) -> bool:
        async with self._management() as management:
            nodes = (await management.get("/api/nodes")).raise_for_status().json()
        return any(node["disk_free_alarm"] for node in nodes)

    @asynccontextmanager
    async def killed(self) -> AsyncIterator[None]:
        """Gone as by `kill -9` until the block ends, then there again with the same data."""
        await asyncio.to_thread(self._provider.kill_rabbitmq)
        try:
            yield
        finally:
            await self.start()

    async def unacknowledged(self, amqp_url: str, queue: str) -> int | None:
        """Messages delivered and not acknowledged, as the broker last counted them; None before it has."""
        async with self._management() as management:
            answer = await management.get(f"/api/queues{urlsplit(amqp_url).path}/{queue}")
        found: int | None = answer.raise_for_status().json().get("messages_unacknowledged")
        return found
