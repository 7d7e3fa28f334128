"""What a service's code is given: settings, database, clock, keys; built once per process."""

from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2
from limits.aio.strategies import MovingWindowRateLimiter

from shared.auth.access import BearerCallers
from shared.auth.guard import Guard
from shared.auth.sessions import Sessions
from shared.auth.tokens import SigningKeys, TokenVerifier
from shared.messaging.outbox import Outbox
from shared.observability.readiness import Readiness
from shared.persistence.cipher import FieldCipher
from shared.persistence.db import Database
from shared.runtime.settings import IssuerSettings, Settings, parse_key, parse_keys
from shared.values.clock import Clock, SystemClock
from shared.web.door import Door
from shared.web.ratelimit import new_limiter


@dataclass(kw_only=True)
class Container(Readiness):
    """The parts every service has; `signing` and `sessions` only one that issues tokens, `limiter` only where calls
    are limited in this process."""

    settings: Settings
    database: Database
    clock: Clock
    cipher: FieldCipher
    callers: BearerCallers
    door: Door
    outbox: Outbox
    signing: SigningKeys | None = None
    sessions: Sessions | None = None
    limiter: MovingWindowRateLimiter | None = None

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
    """Build a service's container. `client` fetches other services' JWKS, `own` are the parts only this service has."""
    clock = clock or SystemClock()
    database = Database(settings.database_url.get_secret_value(), pool_size=settings.database_pool)
    cipher = FieldCipher(
        parse_keys(settings.data_keys.get_secret_value()), parse_key(settings.index_key.get_secret_value())
    )
    signing = sessions = None
    if isinstance(settings, IssuerSettings):
        signing = SigningKeys(service, parse_keys(settings.signing_keys.get_secret_value()))
        sessions = Sessions(clock, signing, settings, Guard(database, clock, cipher, settings))
    verifier = TokenVerifier(clock, settings.jwks_urls, own=signing, client=client)
    return kind(
        service=service,
        settings=settings,
        database=database,
        clock=clock,
        cipher=cipher,
        callers=BearerCallers(service, verifier, cipher, sessions),
        door=Door(settings.requests_at_once, settings.requests_wait_seconds),
        outbox=Outbox(service),
        signing=signing,
        sessions=sessions,
        limiter=new_limiter() if settings.rate_limits else None,
        dependencies={"database": database.ping},
        **own,
    )
