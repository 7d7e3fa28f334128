"""What the HTTP side needs of a service's container, `app.state.container`; shared.runtime's is one."""

from typing import NamedTuple, Protocol

from fastapi import Request
from limits.aio.strategies import MovingWindowRateLimiter
from starlette.types import Scope

from shared.observability.readiness import Verdict
from shared.persistence.cipher import FieldCipher
from shared.persistence.db import Database
from shared.web.door import Caller, Door


class RateScopes(NamedTuple):
    """For whom a request counts where calls are limited: where it comes from, and the account that sends it, if any.

    Each has a count of its own: neither many accounts at one address nor one account at many addresses get more.
    """

    address: str
    account: str | None


class Callers(Protocol):
    """Tells requests apart by who sends them; all answers are opaque."""

    async def idempotency_scope(self, request: Request) -> str:
        """Name whose idempotency keys the request's are: nobody else's answer is ever given again."""

    async def rate_scopes(self, request: Request) -> RateScopes:
        """Name for whom the request counts where calls are limited."""

    def standing(self, scope: Scope) -> Caller:
        """Tell who sends a request by what is known here and now, for its place at the door."""


class WebContainer(Protocol):
    """`limiter` is None where calls are not limited here."""

    @property
    def service(self) -> str: ...

    @property
    def database(self) -> Database: ...

    @property
    def cipher(self) -> FieldCipher: ...

    @property
    def callers(self) -> Callers: ...

    @property
    def door(self) -> Door: ...

    @property
    def limiter(self) -> MovingWindowRateLimiter | None: ...

    async def judge(self) -> Verdict: ...
