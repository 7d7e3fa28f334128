"""What a service's code is given: settings, database, clock, keys. Built once per process."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx2
from limits.aio.strategies import MovingWindowRateLimiter

from shared.auth.sessions import Sessions
from shared.auth.tokens import SigningKeys, TokenVerifier
from shared.messaging.outbox import Outbox
from shared.observability.telemetry import get_logger
from shared.persistence.cipher import FieldCipher
from shared.persistence.db import Database
from shared.runtime.settings import IssuerSettings, Settings, parse_key, parse_keys
from shared.values.clock import Clock, SystemClock
from shared.web.ratelimit import new_limiter

log = get_logger(__name__)

Check = Callable[[], Awaitable[None]]


class Unready(Exception):
    """Names what fails."""


@dataclass(kw_only=True)
class Readiness:
    """`dependencies` are what readiness asks, by name; each raises when it is away."""

    service: str
    dependencies: dict[str, Check] = field(default_factory=dict)

    async def failing_dependencies(self) -> list[str]:
        failed = []
        for name, check in self.dependencies.items():
            try:
                await check()
            except Exception as error:
                log.warning("readiness.failed", dependency=name, error=type(error).__name__)
                failed.append(name)
        return failed

    async def check(self) -> None:
        """Raises Unready, for a process that is several services."""
        if failed := await self.failing_dependencies():
            raise Unready(", ".join(failed))


@dataclass(kw_only=True)
class Container(Readiness):
    settings: Settings
    database: Database
    clock: Clock
    cipher: FieldCipher
    verifier: TokenVerifier
    outbox: Outbox
    signing: SigningKeys | None = None
    limiter: MovingWindowRateLimiter = field(default_factory=new_limiter)
    sessions: Sessions | None = None

    async def close(self) -> None:
        await self.database.close()


C = TypeVar("C", bound=Container)


def build_container(
    kind: type[C],
    service: str,
    settings: Settings,
    *,
    clock: Clock | None = None,
    client: httpx2.AsyncClient | None = None,
    **own: Any,
) -> C:
    """A service's container. `client` fetches other services' JWKS, `own` are the parts only this service has."""
    clock = clock or SystemClock()
    database = Database(settings.database_url.get_secret_value(), pool_size=settings.database_pool)
    signing = sessions = None
    if isinstance(settings, IssuerSettings):
        signing = SigningKeys(service, parse_keys(settings.signing_keys.get_secret_value()))
        sessions = Sessions(database, clock, signing, settings)
    data_keys = parse_keys(settings.data_keys.get_secret_value())
    return kind(
        service=service,
        settings=settings,
        database=database,
        clock=clock,
        cipher=FieldCipher(data_keys, parse_key(settings.index_key.get_secret_value())),
        verifier=TokenVerifier(clock, settings.jwks_urls, own=signing, client=client),
        outbox=Outbox(service),
        signing=signing,
        sessions=sessions,
        dependencies={"database": database.ping},
        **own,
    )
