"""The backing services answer, keep tests apart, and can fail on demand."""

import io
import socket
from urllib.parse import urlsplit

import aio_pika
import aiormq
import httpx2
import psycopg
import pytest
from minio import Minio

from tests.support.backing import Backing, Postgres, RabbitMQ, S3Address, choose
from tests.support.backing.environment import VARIABLES
from tests.support.wait import until


def query(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


class TestPostgres:
    def test_serves_many_connections(self, postgres: Postgres) -> None:
        assert query(postgres.admin_url, "select current_setting('max_connections')::int >= 300") == [(True,)]

    def test_searches_chinese_by_trigram(self, postgres: Postgres) -> None:
        with postgres.temporary() as url:
            query(url, "create extension pg_trgm")
            assert query(url, "select cardinality(show_trgm('南昌一零企业')) > 0") == [(True,)]

    def test_copies_a_template_built_once(self, postgres: Postgres) -> None:
        built: list[str] = []

        def build(url: str) -> None:
            built.append(url)
            query(url, "create table greeting as select '你好' as text")

        for _ in range(2):
            with postgres.temporary(template=postgres.template("greeting_template", build)) as url:
                assert query(url, "delete from greeting returning text") == [("你好",)]
        assert len(built) == 1

    def test_makes_a_database_anew(self, postgres: Postgres) -> None:
        url = postgres.create_database("made_twice")
        query(url, "create table leftover ()")
        url = postgres.create_database("made_twice")
        assert query(url, "select to_regclass('leftover')") == [(None,)]
        postgres.drop_database("made_twice")
        assert query(postgres.admin_url, "select 1 from pg_database where datname = 'made_twice'") == []


async def publish(url: str, queue: str, body: bytes) -> None:
    """Into a durable quorum queue, confirmed by the broker."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": "quorum"})
        message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, queue)


async def consume(url: str, queue: str) -> bytes | None:
    async with await aio_pika.connect(url) as connection:
        message = await (await (await connection.channel()).get_queue(queue)).get(fail=False)
        if message is None:
            return None
        await message.ack()
        return message.body


class TestRabbitMQ:
    async def test_counts_what_waits(self, rabbitmq: RabbitMQ, vhost: str) -> None:
        await publish(vhost, "greetings", b"1")
        await publish(vhost, "greetings", b"2")
        await until(lambda: depth_is(rabbitmq, vhost, 2), what="both messages counted")
        assert await consume(vhost, "greetings") == b"1"
        await until(lambda: depth_is(rabbitmq, vhost, 1), what="one message counted")

    async def test_keeps_vhosts_apart(self, rabbitmq: RabbitMQ, vhost: str) -> None:
        other = await rabbitmq.create_vhost()
        await publish(other, "greetings", b"other")
        with pytest.raises(aiormq.exceptions.ChannelNotFoundEntity):
            await consume(vhost, "greetings")
        await rabbitmq.delete_vhost(other)
        with pytest.raises(aio_pika.exceptions.AMQPError):
            await consume(other, "greetings")

    async def test_keeps_a_confirmed_message_over_a_restart(self, rabbitmq: RabbitMQ, vhost: str) -> None:
        await publish(vhost, "kept", b"still here")
        await rabbitmq.stop()
        broker = urlsplit(vhost)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((broker.hostname or "", broker.port or 0))
        await rabbitmq.start()
        # A quorum queue elects its leader after the broker answers.
        assert await until(lambda: consume_if_there(vhost, "kept"), what="the kept message") == b"still here"


async def depth_is(rabbitmq: RabbitMQ, vhost: str, count: int) -> bool:
    return await rabbitmq.queue_depth(vhost, "greetings") == count


async def consume_if_there(url: str, queue: str) -> bytes | None:
    try:
        return await consume(url, queue)
    except (aio_pika.exceptions.AMQPError, TimeoutError):
        return None


class TestS3:
    def test_stores_an_object_with_its_type(self, s3: S3Address) -> None:
        client = Minio(s3.endpoint, s3.access_key, s3.secret_key, secure=s3.secure, region="us-east-1")
        client.make_bucket("backing-test")
        client.put_object("backing-test", "a/b", io.BytesIO(b"image"), 5, content_type="image/png")
        answer = httpx2.get(client.presigned_get_object("backing-test", "a/b"), trust_env=False)
        assert (answer.content, answer.headers["content-type"]) == (b"image", "image/png")
        client.remove_object("backing-test", "a/b")
        client.remove_bucket("backing-test")


class TestChoice:
    @pytest.mark.parametrize(("forced", "missing"), [("env", "TEST_POSTGRES_URL"), ("docker", "Docker engine")])
    def test_names_what_is_missing(self, forced: str, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BACKING", forced)
        monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        with pytest.raises(pytest.UsageError, match=missing):
            choose()

    def test_does_not_mix_ways_when_urls_are_incomplete(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("TEST_AMQP_URL", "amqp://localhost/")
        monkeypatch.delenv("BACKING", raising=False)
        with pytest.raises(pytest.UsageError, match="TEST_POSTGRES_URL is not set"):
            _ = Backing(choose()).postgres

    def test_refuses_an_unknown_way(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BACKING", "mock")
        with pytest.raises(pytest.UsageError, match="mock"):
            choose()


class TestUntil:
    async def test_says_what_did_not_happen(self) -> None:
        with pytest.raises(AssertionError, match="the moon falls"):
            await until(lambda: False, timeout=0.1, what="the moon falls")

    async def test_leaves_the_condition_its_own_time_out(self) -> None:
        def condition() -> bool:
            raise TimeoutError("mine")

        with pytest.raises(TimeoutError, match="mine"):
            await until(condition)
