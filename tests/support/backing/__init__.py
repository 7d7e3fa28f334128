"""PostgreSQL, RabbitMQ and an S3 store for tests: fixtures `backing`, `postgres`, `rabbitmq`, `s3`, `vhost`.

They come from the first that works: URLs in the environment (names: `environment.VARIABLES`), containers of a Docker
engine, programs of this machine. `BACKING=env|docker|local` forces one. None works: an error that says what to
install. Only what the collected tests ask for is started, all of it at once, and everything is stopped at the end.
"""

import os
import signal
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

import pytest

from tests.support.backing.clients import Postgres, RabbitMQ
from tests.support.backing.containers import DockerBacking
from tests.support.backing.environment import EnvironmentBacking
from tests.support.backing.local import LocalBacking
from tests.support.backing.provider import Provider, S3Address, Unusable

__all__ = ["Backing", "Postgres", "RabbitMQ", "S3Address", "backing", "postgres", "rabbitmq", "s3", "vhost"]

_WAYS: dict[str, type[Provider]] = {"env": EnvironmentBacking, "docker": DockerBacking, "local": LocalBacking}


class Backing:
    """The services, each started when first asked for."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._threads = ThreadPoolExecutor(3, thread_name_prefix="backing")
        self._starting: dict[str, Future[Any]] = {}
        self._starters: dict[str, Callable[[], object]] = {
            "postgres": lambda: Postgres(provider.start_postgres(), provider),
            "rabbitmq": lambda: RabbitMQ(provider),
            "s3": provider.start_s3,
        }

    def start(self, names: Collection[str]) -> None:
        """Begins to start those of `names` that are ours, and does not wait for them."""
        for name in self._starters.keys() & names - self._starting.keys():
            self._starting[name] = self._threads.submit(self._starters[name])

    @property
    def postgres(self) -> Postgres:
        return cast("Postgres", self._started("postgres"))

    @property
    def rabbitmq(self) -> RabbitMQ:
        return cast("RabbitMQ", self._started("rabbitmq"))

    @property
    def s3(self) -> S3Address:
        return cast("S3Address", self._started("s3"))

    def close(self) -> None:
        self._threads.shutdown()
        if not self._provider.disposable and "postgres" in self._starting:
            self.postgres.drop_all()
        self._provider.close()

    def _started(self, name: str) -> object:
        self.start([name])
        try:
            return self._starting[name].result()
        except Unusable as error:
            raise pytest.UsageError(f"{name}: {error}") from error


def choose() -> Provider:
    forced = os.environ.get("BACKING")
    if forced and forced not in _WAYS:
        raise pytest.UsageError(f"BACKING={forced}: one of {', '.join(_WAYS)}, or unset")
    reasons = []
    for name in [forced] if forced else _WAYS:
        try:
            return _WAYS[name]()
        except Unusable as error:
            reasons.append(f"{name}: {error}")
    raise pytest.UsageError("no backing services. " + "; ".join(reasons))


@pytest.fixture(scope="session")
def backing(request: pytest.FixtureRequest) -> Iterator[Backing]:
    provider = choose()
    provider.small_disks = True
    services = Backing(provider)
    # A terminated run must stop what it started, as one ended by Ctrl-C does.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        services.start({name for item in request.session.items for name in getattr(item, "fixturenames", ())})
        yield services
    finally:
        services.close()
        signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def postgres(backing: Backing) -> Postgres:
    return backing.postgres


@pytest.fixture(scope="session")
def rabbitmq(backing: Backing) -> RabbitMQ:
    return backing.rabbitmq


@pytest.fixture(scope="session")
def s3(backing: Backing) -> S3Address:
    return backing.s3


@pytest.fixture
async def vhost(rabbitmq: RabbitMQ) -> AsyncIterator[str]:
    """The AMQP URL of a vhost of the test's own."""
    url = await rabbitmq.create_vhost()
    yield url
    await rabbitmq.delete_vhost(url)
