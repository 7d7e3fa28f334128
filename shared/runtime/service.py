"""`python -m services.<name> COMMAND`: the same commands for every service."""

import argparse
import asyncio
import gc
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa
import uvicorn
from fastapi import FastAPI

from shared.contracts.topology import QUEUES
from shared.messaging import (
    BrokerTimings,
    Consumer,
    DeadLetters,
    Queue,
    QueueMonitor,
    RabbitMQ,
    Relay,
    Subscription,
    announce,
    listen,
)
from shared.observability.metrics import Sampler
from shared.observability.readiness import Readiness
from shared.observability.telemetry import configure_logging, get_logger
from shared.observability.tracing import configure_tracing
from shared.persistence.cipher import DecryptionFailed
from shared.persistence.db import is_migrated, migrate
from shared.persistence.rotation import Encrypted, reencrypt
from shared.runtime.commands import add_dead_letters
from shared.runtime.container import Container
from shared.runtime.eventloop import run
from shared.runtime.maintenance import keep_clean
from shared.runtime.operations import operations, sample_outbox, samplers_of
from shared.runtime.settings import IssuerSettings, ProcessSettings, Settings, explained_settings

log = get_logger(__name__)

MIGRATION_POLL = 2.0

Job = Callable[[Any], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Service:
    """Everything the runtime needs to know of a service. `jobs` run beside its consumers until cancelled; `samplers`
    set the gauges of its database whenever its worker is asked for metrics; `encrypted` are all its columns of
    ciphertext."""

    name: str
    load_settings: type[Settings]
    build: Callable[[Any], Container]
    create_app: Callable[[Any], FastAPI]
    subscriptions: Sequence[Subscription] = ()
    jobs: Sequence[Job] = ()
    samplers: Sequence[Job] = ()
    encrypted: Sequence[Encrypted] = ()

    def consumers(self, container: Container) -> list[Consumer]:
        return [Consumer(subscription, container, container.database) for subscription in self.subscriptions]

    def own_samplers(self, container: Container) -> list[Sampler]:
        """List the samplers of the service's database, for one process of the service at a time."""
        return [partial(sample, container) for sample in (sample_outbox, *self.samplers)]


async def run_worker(service: Service, container: Container) -> None:
    """Run relay, consumers and jobs of one service on RabbitMQ until cancelled.

    Raises an ExceptionGroup when a job fails or the broker holds a topology that differs from ours.
    """
    settings = container.settings
    broker = _broker(service, settings)
    relay = Relay(container.outbox, container.database, broker, stall_timeout=timedelta(seconds=settings.stall_seconds))
    consumers = service.consumers(container)
    queues = {consumer.queue.name: consumer.queue.states for consumer in consumers}
    monitor = QueueMonitor(queues, stall_timeout=settings.stall_seconds)
    container.dependencies |= {"broker": monitor.check, "relay": relay.check}
    for consumer in consumers:
        name = consumer.queue.name
        container.dependencies[f"consumer {name}"] = partial(monitor.check_consumer, name, consumer.activity)
    samplers = [*samplers_of(container), monitor.sample, *service.own_samplers(container)]
    try:
        async with operations(container, samplers, settings.host, settings.metrics_port), asyncio.TaskGroup() as group:
            group.create_task(broker.declare())
            group.create_task(broker.monitor(monitor))
            group.create_task(relay.run())
            group.create_task(listen(container.database, relay.wake))
            group.create_task(keep_clean(container))
            for consumer in consumers:
                group.create_task(broker.consume(consumer))
            for job in service.jobs:
                group.create_task(job(container))
            log.info("worker.started", service=service.name)
    finally:
        await broker.close()
        await container.close()


def _broker(service: Service, settings: Settings) -> RabbitMQ:
    if settings.broker_url is None:
        raise SystemExit("GANZHENG_BROKER_URL is not set")
    timings = BrokerTimings(heartbeat=settings.broker_heartbeat)
    return RabbitMQ(settings.broker_url.get_secret_value(), QUEUES, name=service.name, timings=timings)


async def _announce(readiness: Readiness) -> None:
    if isinstance(readiness, Container):
        await announce(readiness.outbox, readiness.database)


def serve(app: FastAPI, settings: ProcessSettings) -> None:
    """Serve HTTP on the settings' address, and operators on their port, until interrupted."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        # The access log would repeat query strings, which may hold an id number.
        access_log=False,
        server_header=False,
        forwarded_allow_ips=settings.forwarded_allow_ips,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=20,
    )

    async def until_signal() -> None:
        readiness = app.state.container
        async with operations(readiness, samplers_of(readiness), settings.host, settings.metrics_port):
            announcing = asyncio.create_task(_announce(readiness))
            try:
                await uvicorn.Server(config).serve()
            finally:
                announcing.cancel()

    configure_tracing()
    # What there is now stays: no collection has to look through it again, and what requests leave behind is little.
    gc.freeze()
    # The server raises its signal again when it is done: as an exception, so that the last spans are still exported.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        run(until_signal())


async def _worker_until_signal(service: Service, settings: Settings) -> None:
    configure_tracing()
    task = asyncio.create_task(run_worker(service, service.build(settings)))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task


def await_migration(service: str, url: str) -> None:
    """Return when `is_migrated`; a database that does not answer yet is asked again."""
    while True:
        try:
            if is_migrated(service, url):
                return
            log.info("migration.awaited", service=service)
        except sa.exc.OperationalError as error:
            log.warning("migration.awaited", service=service, error=type(error).__name__)
        time.sleep(MIGRATION_POLL)


async def manage_dead_letters(store: DeadLetters, queues: Iterable[Queue], arguments: argparse.Namespace) -> None:
    """List or replay dead letters, as the command line says.

    Raises SystemExit where the event to replay is no dead letter of any of the queues.
    """
    found = 0
    for queue in queues:
        if arguments.action == "list":
            letters = await store.list(queue.name)
            found += len(letters)
            for letter in letters:
                sys.stdout.write(f"{letter.queue}\t{letter.event_id}\t{letter.routing_key}\t{letter.error}\n")
        else:
            replayed = await store.replay(queue.name, arguments.event)
            found += replayed
            sys.stdout.write(f"{queue.name}: {replayed} replayed\n")
    if not found and arguments.action == "list":
        sys.stdout.write("no dead letters\n")
    elif not found and arguments.event is not None:
        raise SystemExit(f"no dead letter is the event {arguments.event}")


async def _dead_letters(service: Service, settings: Settings, arguments: argparse.Namespace) -> None:
    broker = _broker(service, settings)
    try:
        queues = [subscription.queue for subscription in service.subscriptions]
        await manage_dead_letters(broker, queues, arguments)
    finally:
        await broker.close()


async def _print_queues(service: Service, settings: Settings) -> None:
    broker = _broker(service, settings)
    try:
        for queue, depths in (await broker.depths()).items():
            sys.stdout.write("\t".join([queue, *(f"{state} {number}" for state, number in depths.items())]) + "\n")
    finally:
        await broker.close()


async def _reencrypt(service: Service, settings: Settings) -> None:
    container = service.build(settings)
    try:
        for encrypted in service.encrypted:
            changed = 0
            async for count in reencrypt(container.database, container.cipher, encrypted):
                changed += count
            sys.stdout.write(f"{encrypted}: {changed} changed, all under {container.cipher.current}\n")
    except DecryptionFailed as error:
        raise SystemExit(str(error)) from None
    finally:
        await container.close()


async def _unlock(service: Service, settings: Settings) -> None:
    container = service.build(settings)
    name = sys.stdin.readline().strip()
    try:
        async with container.database.transaction() as session:
            unlocked = container.sessions is not None and await container.sessions.guard.unlock(session, name)
    finally:
        await container.close()
    if not unlocked:
        raise SystemExit("no failed login is counted for this name")


def main(service: Service, commands: Callable[[Any], dict[str, Callable[[Any], None]]] | None = None) -> None:
    """Parse the command line and run. `commands(subparsers)` adds a service's own commands to the common ones."""
    parser = argparse.ArgumentParser(prog=f"python -m services.{service.name}")
    subparsers = parser.add_subparsers(dest="command", required=True)
    subparsers.add_parser("api", help="serve HTTP")
    subparsers.add_parser("worker", help="relay outbox rows and consume events")
    subparsers.add_parser("migrate", help="bring the database to the newest revision")
    subparsers.add_parser("await-migration", help="wait until the database has this version's revision; only reads")
    subparsers.add_parser("queues", help="count what waits in every queue of the platform")
    add_dead_letters(subparsers)
    if service.encrypted:
        subparsers.add_parser("reencrypt", help="bring all stored ciphertext under the first data key")
    if issubclass(service.load_settings, IssuerSettings):
        subparsers.add_parser("unlock", help="forget the failed logins of the account named on standard input")
    own = commands(subparsers) if commands else {}
    arguments = parser.parse_args()
    with explained_settings():
        settings = service.load_settings()
    configure_logging(settings.log_level)
    match arguments.command:
        case "api":
            serve(service.create_app(service.build(settings)), settings)
        case "worker":
            run(_worker_until_signal(service, settings))
        case "migrate":
            migrate(service.name, settings.database_url.get_secret_value())
        case "await-migration":
            await_migration(service.name, settings.database_url.get_secret_value())
        case "dead-letters":
            run(_dead_letters(service, settings, arguments))
        case "queues":
            run(_print_queues(service, settings))
        case "reencrypt":
            run(_reencrypt(service, settings))
        case "unlock":
            run(_unlock(service, settings))
        case name:
            own[name](arguments)
