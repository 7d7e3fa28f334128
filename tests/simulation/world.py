"""The platform of a simulated year: its processes, their relays and numbering, and what outlives a restart."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import httpx2
import sqlalchemy as sa

from deploy.compose.rotate import STEPS
from deploy.embedded.platform import SERVICES, Platform, build_platform
from deploy.embedded.preflight import service_settings
from deploy.journey import Api
from services.certnumber.numbering.waker import SWEEP_SECONDS, Waker
from services.renewal.container import RenewalContainer
from shared.messaging import Message, Relay
from shared.messaging.tables import OutboxMessage
from shared.persistence.rotation import reencrypt
from shared.runtime.container import Container
from shared.runtime.settings import new_key
from tests.simulation.agenda import Agenda
from tests.simulation.chance import Chance, seconds
from tests.simulation.network import CALM, FAIR, Network
from tests.simulation.store import Inline, MemoryStore
from tests.support.platform import PATIENT

LEASE = timedelta(seconds=30)
# A relay that is refused comes again after this, and so does one whose broker is away.
BACKOFF, PATIENCE = timedelta(seconds=6), timedelta(minutes=1)
RELAY_DIES, WAKE_UP_LOST = 0.005, 0.02
# Longer than anything is under way.
IN_FLIGHT = timedelta(hours=3)
COMPARISONS = 2

BASE = "http://platform"


class Violation(Exception):
    """Something that must hold does not."""


class _RelayDied(ConnectionError):
    """The relay's process is gone, after the broker had its messages and before it knew."""


class _Line:
    """A relay's connection to the broker; `refused` tells whether it took all of the last batch. A relay that `dies`
    does so when it has published."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.refused = self.dies = False

    async def publish(self, messages: Sequence[Message]) -> list[Exception | None]:
        results = await self._network.publish(messages)
        if self.dies:
            self.dies = False
            raise _RelayDied
        self.refused = any(results)
        return results


class _Planned(Waker):
    """Puts the numbering on the agenda: soon after a wake-up, or with the next sweep where that is lost."""

    def __init__(self, world: "World", inner: Waker) -> None:
        super().__init__()
        self._world = world
        self._inner = inner
        self._source = world.chance.of(f"numbering {world.starts}")
        self._is_planned = False

    def wake(self) -> None:
        if self._is_planned:
            return
        self._is_planned = True
        agenda = self._world.agenda
        if self._source.random() < WAKE_UP_LOST:
            sweep = timedelta(seconds=SWEEP_SECONDS)
            agenda.after(sweep * ceil(self._source.random() * 3) / 3, self._number)
        else:
            agenda.after(seconds(self._source, 0.05, 2), self._number)

    async def join(self) -> None:
        return

    async def _number(self) -> None:
        self._is_planned = False
        if self._world.containers["certnumber"].waker is self:
            await self._inner._act()
        else:
            self._world.containers["certnumber"].waker.wake()

    async def _act(self) -> None:
        raise NotImplementedError

    async def sweep(self) -> None:
        raise NotImplementedError


class World:
    """`accepted` counts what people were told is done; `refused` what they were told is not, by code."""

    platform: Platform
    api: Api

    def __init__(self, agenda: Agenda, chance: Chance, network: Network, urls: Mapping[str, str], var: Path) -> None:
        self.agenda = agenda
        self.chance = chance
        self.network = network
        self.urls = urls
        self.store = MemoryStore(agenda)
        self.keys = {"data_keys": [f"k1:{new_key()}"], "signing_keys": [f"s1:{new_key()}"]}
        self.starts = 0
        self._index_key = new_key()
        self._var = var
        self._source = chance.of("relays")
        self._lines: dict[str, _Line] = {}
        self._relays: dict[str, Relay] = {}
        self._awake: set[str] = set()
        self._open = ExitStack()

    @property
    def containers(self) -> dict[str, Any]:
        return self.platform.containers

    @property
    def renewal(self) -> RenewalContainer:
        container: RenewalContainer = self.containers["renewal"]
        return container

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.platform = build_platform(self.urls, self._var, demo=True, clock=self.agenda, overrides=self._settings())
        transport = httpx2.ASGITransport(app=self.platform.app)
        async with httpx2.AsyncClient(transport=transport, base_url=BASE, timeout=None) as self.client:
            self.api = Api(self.client, BASE)
            self._start()
            try:
                yield
            finally:
                self._open.close()
                await self.platform.close()

    async def restart(self) -> None:
        """End all processes and start them anew: what they only had in memory is gone.

        That is all in their containers; the apps are code, and take long to build.
        """
        self._open.close()
        settings = service_settings(self.urls, self._var, demo=True, overrides=self._settings())
        for name, (_, build) in SERVICES.items():
            await self.containers[name].close()
            options = {"eager": True} if name == "certnumber" else {}
            container = build(settings[name], clock=self.agenda, client=self.platform.client, **options)
            self.containers[name] = self.platform.apps[name].state.container = container
        self._start()

    def _settings(self) -> dict[str, Any]:
        keys = {name: ",".join(values) for name, values in self.keys.items()}
        return {"rate_limits": False, "database_pool": 4, "index_key": self._index_key, **PATIENT, **keys}

    def _start(self) -> None:
        self.starts += 1
        self.renewal.store, self.renewal.decoders = self.store, Inline()  # type: ignore[assignment]
        certnumber = self.containers["certnumber"]
        certnumber.waker = _Planned(self, certnumber.waker)
        # What was asked for before a restart is found by the sweep.
        certnumber.waker.wake()
        self.network.consumers = {
            consumer.queue.name: consumer
            for name, (service, _) in SERVICES.items()
            for consumer in service.consumers(self.containers[name])
        }
        self._awake = set()
        for name, container in self.containers.items():
            self._lines[name] = _Line(self.network)
            self._relays[name] = Relay(container.outbox, container.database, self._lines[name])
            self._open.enter_context(container.outbox.announced_to(partial(self._wake, name)))
            self._wake(name)

    # --- relays

    def _wake(self, name: str, delay: timedelta | None = None) -> None:
        if name not in self._awake:
            self._awake.add(name)
            delay = seconds(self._source, 0.02, 0.5) if delay is None else delay
            self.agenda.after(delay, partial(self._drain, name, self.starts))

    async def _drain(self, name: str, start: int) -> None:
        if start != self.starts:
            return
        self._awake.discard(name)
        if self.network.weather is not CALM and self._source.random() < RELAY_DIES:
            if self._source.random() < 0.5:
                await self._hold(name)
                self._wake(name, LEASE + BACKOFF)
                return
            self._lines[name].dies = True
        try:
            claimed = await self._relays[name].drain()
        except ConnectionError:
            self._wake(name, PATIENCE)
            return
        if self._lines[name].refused:
            self._wake(name, BACKOFF)
        elif claimed == 200:
            self._wake(name)

    async def _hold(self, name: str) -> None:
        """Leave what a relay of the version before leaves that dies between its claim and the broker: a lease."""
        held = sa.update(OutboxMessage).where(OutboxMessage.due_at <= sa.func.now())
        async with self.containers[name].database.transaction() as session:
            await session.execute(held.values(lease=_NOBODY, due_at=sa.func.now() + LEASE))

    # --- keys

    async def rotate(self, name: str, step: str) -> None:
        """Take one step of a rotation, as an operator does: change the list of keys, and restart."""
        self.keys[name] = STEPS[step](self.keys[name])
        await self.restart()

    async def reencrypt(self) -> None:
        """Bring all that is stored under the first data key."""
        for name, (service, _) in SERVICES.items():
            container: Container = self.containers[name]
            for encrypted in service.encrypted:
                async for _ in reencrypt(container.database, container.cipher, encrypted):
                    pass

    # --- looking

    async def fetch(self, service: str, statement: str, **values: Any) -> Sequence[sa.RowMapping]:
        async with self.containers[service].database.transaction() as session:
            rows: Sequence[sa.RowMapping] = (await session.execute(sa.text(statement), values)).mappings().all()
        return rows

    async def outboxes(self) -> int:
        rows = [await self.fetch(name, "SELECT count(*) AS number FROM outbox") for name in SERVICES]
        return sum(row["number"] for [row] in rows)

    async def settle(self, compare: Any) -> None:
        """Let everything arrive that is under way, in calm weather, and services make up for what was lost."""
        self.network.weather = CALM
        await self.agenda.run_until(self.agenda.entered + IN_FLIGHT)
        for _ in range(COMPARISONS):
            # Younger changes may be under way, by the services' settings.
            await self.agenda.run_until(self.agenda.entered + timedelta(minutes=3))
            await compare(self)
        for _ in range(600):
            await self.agenda.run_until(self.agenda.entered + timedelta(seconds=5))
            if self.network.is_empty and not await self.outboxes():
                break
        else:
            raise Violation("events are still under way after calm weather")

    def clear_up(self) -> None:
        """Let the weather be as usual again."""
        self.network.weather = FAIR


_NOBODY = sa.text("'00000000-0000-4000-8000-000000000000'::uuid")
