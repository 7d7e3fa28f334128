"""What only the S3 store can get wrong: its URLs, and a server that is away or silent."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx2
import pytest

from deploy.embedded.postgres import free_port
from shared.files.storage import MinioStore, ObjectStore, StoreUnavailable
from shared.files.storage.minio import StoreTimings
from tests.integration.files.test_contract import minio_store
from tests.support.backing import S3Address
from tests.support.keys import keys_in

FIVE_MINUTES = timedelta(minutes=5)


def store_at(port: int, public_endpoint: str | None = None, **timings: float) -> MinioStore:
    address = f"127.0.0.1:{port}"
    return MinioStore(
        address, "key", "secret-key", "images", False, "us-east-1", public_endpoint, StoreTimings(**timings)
    )


def every_call(store: ObjectStore) -> list[Coroutine[Any, Any, object]]:
    return [
        store.put("a/b", b"x", "image/png"),
        store.get("a/b"),
        store.delete("a/b"),
        keys_in(store, "", timedelta(0)),
        store.ready(),
        store.ensure_bucket(),
    ]


class TestPresignedURL:
    async def test_opens_the_object_to_anybody(self, s3: S3Address) -> None:
        store = minio_store(s3, f"urls-{uuid4().hex[:8]}", public_endpoint=s3.url)
        await store.ensure_bucket()
        await store.put("a/b.png", b"image", "image/png")
        url = await store.presigned_url("a/b.png", FIVE_MINUTES)
        assert url is not None
        async with httpx2.AsyncClient(trust_env=False) as client:
            answer = await client.get(url)
            assert (answer.status_code, answer.content) == (200, b"image")
            assert answer.headers["content-type"] == "image/png"
            assert (await client.get(url.replace("b.png", "c.png"))).status_code == 403
            assert (await client.get(url.partition("?")[0])).status_code == 403

    async def test_names_the_public_server_without_asking_any(self) -> None:
        url = await store_at(free_port(), "https://s3.example.cn").presigned_url("a/b.png", timedelta(minutes=3))
        assert url is not None
        parts = urlsplit(url)
        assert (parts.scheme, parts.netloc, parts.path) == ("https", "s3.example.cn", "/images/a/b.png")
        assert parse_qs(parts.query)["X-Amz-Expires"] == ["180"]
        assert "/us-east-1/s3/" in parse_qs(parts.query)["X-Amz-Credential"][0]

    async def test_lives_five_minutes_at_most(self) -> None:
        with pytest.raises(ValueError, match="at most"):
            await store_at(free_port(), "https://s3.example.cn").presigned_url(
                "a/b", FIVE_MINUTES + timedelta(seconds=1)
            )

    @pytest.mark.parametrize("endpoint", ["s3.example.cn", "ftp://s3.example.cn", "https://", "https://example.cn/s3"])
    def test_refuses_a_public_endpoint_it_cannot_sign_for(self, endpoint: str) -> None:
        with pytest.raises(ValueError, match="public endpoint"):
            store_at(9000, endpoint)


class TestUnavailable:
    async def test_when_nobody_listens(self) -> None:
        for call in every_call(store_at(free_port())):
            with pytest.raises(StoreUnavailable):
                await call

    async def test_when_the_server_stays_silent(self) -> None:
        """A request is made once, not once more."""
        requests = 0

        async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal requests
            requests += 1
            await reader.read()  # until the client has enough
            writer.close()

        async with await asyncio.start_server(keep_silent, "127.0.0.1", 0) as server:
            store = store_at(server.sockets[0].getsockname()[1], read=0.5, deadline=120)
            answers = await asyncio.gather(*every_call(store), return_exceptions=True)
        assert [type(answer) for answer in answers] == [StoreUnavailable] * len(answers)
        assert requests == len(answers)

    async def test_when_the_server_drips(self) -> None:
        """Bytes that keep coming, too slowly to end, reset every socket timeout; the deadline stands."""
        stop, stopped = asyncio.Event(), asyncio.Event()

        async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while not stop.is_set():
                writer.write(b".")
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), 0.2)
            writer.close()
            await writer.wait_closed()
            stopped.set()

        async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
            with pytest.raises(StoreUnavailable):
                await store_at(server.sockets[0].getsockname()[1], deadline=1).get("a/b")
            stop.set()
            await stopped.wait()

    async def test_when_the_bucket_is_missing(self, s3: S3Address) -> None:
        store = minio_store(s3, f"absent-{uuid4().hex[:8]}")
        with pytest.raises(StoreUnavailable, match="missing"):
            await store.ready()
        with pytest.raises(StoreUnavailable, match="NoSuchBucket"):
            await store.get("a/b")

    async def test_when_our_key_is_wrong(self, s3: S3Address) -> None:
        store = MinioStore(s3.endpoint, s3.access_key, "not-the-secret", "images", s3.secure, "us-east-1", None)
        with pytest.raises(StoreUnavailable) as refused:
            await store.get("a/b")
        assert "not-the-secret" not in str(refused.value)

    def test_waits_fifteen_seconds_at_most(self) -> None:
        default = StoreTimings()
        assert 2 * default.connect + default.read <= default.deadline < 15
