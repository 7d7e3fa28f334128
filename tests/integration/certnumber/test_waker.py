import asyncio
import threading
from typing import Any
from uuid import uuid4

from services.certnumber.app import SERVICE, build
from services.certnumber.container import CertnumberContainer
from services.certnumber.numbering.waker import CeleryWaker, Waker
from shared.messaging import Consumer
from tests.support.backing import RabbitMQ
from tests.support.events import message
from tests.support.numbering import approved, deliver, fetch, new_settings, proof_of
from tests.support.wait import until

QUEUE = "certnumber.numbering"


def waking(container: CertnumberContainer) -> Consumer:
    return SERVICE.consumers(container)[0]


class TestEager:
    async def test_numbers_what_a_consumer_committed(self, container: CertnumberContainer) -> None:
        announced: list[str] = []
        with container.outbox.announced_to(lambda: announced.append("numbers")):
            for _ in range(20):
                await deliver(waking(container), [message(approved(uuid4()))])
            await container.waker.join()
        proof = await proof_of(container.database)
        assert (proof.waiting, proof.series[0].count, proof.gapless) == (0, 20, True)
        assert announced

    async def test_sweeps_what_nobody_announced(self, container: CertnumberContainer, consumer: Consumer) -> None:
        await deliver(consumer, [message(approved(uuid4()))])
        (sweep,) = SERVICE.jobs
        sweeping = asyncio.create_task(sweep(container))

        async def numbered() -> bool:
            return bool(await fetch(container.database, "SELECT 1 FROM ledger"))

        await until(numbered, what="the sweep")
        sweeping.cancel()


def hold(waker: Waker) -> threading.Event:
    """Lets nothing be sent until the event is set."""
    assert isinstance(waker, CeleryWaker)
    gate, send = threading.Event(), waker._send

    def wait_and_send(**options: Any) -> object:
        gate.wait()
        return send(**options)

    waker._send = wait_and_send  # type: ignore[assignment]
    return gate


class TestCelery:
    async def test_sends_a_few_messages_for_a_burst(self, url: str, vhost: str, rabbitmq: RabbitMQ) -> None:
        container = build(new_settings(url, broker_url=vhost))
        gate = hold(container.waker)
        for _ in range(30):
            await deliver(waking(container), [message(approved(uuid4()))])
        gate.set()
        await container.close()
        assert await rabbitmq.queue_depth(vhost, QUEUE) == 2

    async def test_leaves_the_consumer_alone_while_the_broker_is_away(self, url: str) -> None:
        container = build(new_settings(url, broker_url="amqp://nobody:nothing@127.0.0.1:1/"))
        gate = hold(container.waker)
        await deliver(waking(container), [message(approved(uuid4()))])
        gate.set()
        await container.waker.join()
        assert (await proof_of(container.database)).waiting == 1
        await container.close()

    async def test_leaves_the_sweep_to_beat(self, url: str, vhost: str) -> None:
        container = build(new_settings(url, broker_url=vhost))
        for job in SERVICE.jobs:
            await job(container)
        await container.close()
