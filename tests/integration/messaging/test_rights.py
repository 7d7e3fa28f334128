"""The rights of an installation's definitions, on a broker that enforces them: nobody gets into another's queue."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import aio_pika
import httpx2
import pytest
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import ChannelClosed

from deploy.compose.definitions import CELERY_VHOST, VHOST, definitions
from services.certnumber.numbering.waker import CeleryWaker
from services.certnumber.tasks import create_celery
from shared.contracts.certnumber import NumberVoided
from shared.contracts.topology import PRODUCERS, QUEUES, RENEWAL_NUMBERS
from shared.messaging import Consumer, RabbitMQ, Subscription
from shared.messaging.topology import EXCHANGE
from shared.persistence.cipher import DecryptionFailed
from shared.persistence.db import Database
from tests.support.backing import RabbitMQ as Broker
from tests.support.events import message
from tests.support.numbering import new_settings
from tests.support.wait import until

SERVICES = tuple(PRODUCERS)


@dataclass
class Installation:
    """A broker with the definitions of an installation, under names that no other test has; `urls` are by service."""

    urls: dict[str, str]
    celery: str

    @asynccontextmanager
    async def channel(self, service: str) -> AsyncIterator[AbstractChannel]:
        async with await aio_pika.connect(self.urls[service]) as connection:
            yield await connection.channel(on_return_raises=True)

    def transport(self, service: str) -> RabbitMQ:
        return RabbitMQ(self.urls[service], QUEUES, name=service)


@pytest.fixture
async def installation(rabbitmq: Broker) -> AsyncIterator[Installation]:
    token = secrets.token_hex(4)
    passwords = {service: f"password-of-{service}" for service in SERVICES}
    wanted = definitions(passwords)
    vhosts = {VHOST: f"{VHOST}-{token}", CELERY_VHOST: f"{CELERY_VHOST}-{token}"}
    users = {service: f"{service}-{token}" for service in SERVICES}
    for entry in (entry for entries in wanted.values() for entry in entries):
        if "vhost" in entry:
            entry["vhost"] = vhosts[entry["vhost"]]
        if "user" in entry:
            entry["user"] = users[entry["user"]]
    for kind, names in (("vhosts", vhosts), ("users", users)):
        for entry in wanted[kind]:
            entry["name"] = names[entry["name"]]
    place = urlsplit(rabbitmq.amqp_url)
    urls = {
        service: f"amqp://{users[service]}:{passwords[service]}@{place.hostname}:{place.port}/{vhosts[VHOST]}"
        for service in SERVICES
    }
    async with httpx2.AsyncClient(base_url=rabbitmq.management_url, trust_env=False, timeout=60) as management:
        headers = {"content-type": "application/json"}
        (await management.post("/api/definitions", content=json.dumps(wanted), headers=headers)).raise_for_status()
        yield Installation(urls, urls["certnumber"].replace(vhosts[VHOST], vhosts[CELERY_VHOST]))
        for name in vhosts.values():
            (await management.delete(f"/api/vhosts/{name}")).raise_for_status()
        for name in users.values():
            (await management.delete(f"/api/users/{name}")).raise_for_status()


async def publish(channel: AbstractChannel, exchange: str, key: str) -> None:
    place = channel.default_exchange if exchange == "" else await channel.get_exchange(exchange, ensure=False)
    await place.publish(aio_pika.Message(b"forged"), key, mandatory=True)


@pytest.mark.parametrize("service", SERVICES)
async def test_nobody_publishes_into_anothers_queue(service: str, installation: Installation) -> None:
    keys = {event.routing_key() for event in PRODUCERS[service]}
    for queue in (queue for queue in QUEUES if queue.service != service):
        names = [part.name for part in queue.parts()]
        foreign = [queue.address(key) for key in queue.routing_keys if key not in keys]
        own_to_who_does_not_hear = [queue.address(key) for key in keys if key not in queue.routing_keys]
        for exchange, key in (
            *(("", name) for name in names),
            *(("amq.direct", name) for name in names),
            *((EXCHANGE, key) for key in [*names, *foreign, *own_to_who_does_not_hear[:1]]),
        ):
            async with installation.channel(service) as channel:
                with pytest.raises(ChannelClosed, match="ACCESS_REFUSED"):
                    await publish(channel, exchange, key)


@pytest.mark.parametrize("service", SERVICES)
async def test_nobody_makes_himself_another_way_in(service: str, installation: Installation) -> None:
    theirs = next(queue for queue in QUEUES if queue.service != service)

    async def bind(channel: AbstractChannel) -> None:
        queue = await channel.get_queue(theirs.name, ensure=False)
        await queue.bind(EXCHANGE, PRODUCERS[service][0].routing_key())

    async def listen(channel: AbstractChannel) -> None:
        await (await channel.get_queue(theirs.name)).get()

    async def delete(channel: AbstractChannel) -> None:
        await channel.queue_delete(theirs.name)

    async def replace(channel: AbstractChannel) -> None:
        await channel.exchange_delete(EXCHANGE)

    async def own_exchange(channel: AbstractChannel) -> None:
        await channel.declare_exchange("mine", aio_pika.ExchangeType.FANOUT)

    for way in (bind, listen, delete, replace, own_exchange):
        async with installation.channel(service) as channel:
            with pytest.raises(ChannelClosed, match="ACCESS_REFUSED"):
                await way(channel)


async def test_every_service_declares_what_is_its_own(installation: Installation) -> None:
    """Also anew, when it was deleted; and again, once it is known whose the others are."""
    for service in SERVICES:
        transport = installation.transport(service)
        own = [part.name for queue in QUEUES if queue.service == service for part in queue.parts()]
        async with installation.channel(service) as channel:
            for name in own:
                await channel.queue_delete(name)
        for _ in range(2):
            await transport.declare()
        async with installation.channel(service) as channel:
            for name in own:
                await channel.get_queue(name)


async def test_what_another_has_lost_waits_for_him(installation: Installation) -> None:
    renewal, certnumber = installation.transport("renewal"), installation.transport("certnumber")
    async with installation.channel("renewal") as channel:
        await channel.queue_delete(RENEWAL_NUMBERS.name)
    void = message(voided())
    for _ in range(2):
        (error,) = await certnumber.publish([void])
        assert error is not None
    await renewal.declare()
    assert await certnumber.publish([void]) == [None]
    await certnumber.close()
    await renewal.close()


async def test_retry_dead_letter_and_replay(installation: Installation, database: Database) -> None:
    failures: list[Exception] = [ValueError("later"), DecryptionFailed("never")]
    effects: list[Any] = []

    async def take(_container: Any, _session: Any, batch: Any) -> None:
        if failures:
            raise failures.pop(0)
        effects.extend(batch)

    renewal, certnumber = installation.transport("renewal"), installation.transport("certnumber")
    handlers = dict.fromkeys(RENEWAL_NUMBERS.events, take)
    consumer = Consumer(Subscription(RENEWAL_NUMBERS, handlers), None, database)
    task = asyncio.create_task(renewal.consume(consumer))
    try:
        assert await certnumber.publish([message(voided())]) == [None]
        (letter,) = await until(lambda: renewal.list(RENEWAL_NUMBERS.name), what="a dead letter after one retry")
        assert (letter.routing_key, letter.error) == (NumberVoided.routing_key(), "DecryptionFailed")
        assert failures == []
        assert await renewal.replay(RENEWAL_NUMBERS.name) == 1
        await until(lambda: effects, what="the effect of the replay")
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await certnumber.close()


async def test_celery_has_a_place_of_its_own(installation: Installation, rabbitmq: Broker) -> None:
    settings = new_settings("postgresql+psycopg://nobody@127.0.0.1:1/none", broker_url=installation.celery)
    waker = CeleryWaker(create_celery(settings))
    waker.wake()
    await waker.join()
    assert await rabbitmq.queue_depth(installation.celery, "certnumber.numbering") == 1


def voided() -> NumberVoided:
    return NumberVoided(application_id=uuid4(), decision_no=1, number="0070710", voided_at=datetime.now(UTC))
