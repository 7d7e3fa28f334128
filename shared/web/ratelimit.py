"""Rate limits by account, or by address where nobody is logged in, counted in this process.

The gateway limits across processes.
"""

from collections.abc import Awaitable, Callable

from fastapi import Request
from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from shared.errors import TooMany, Unauthenticated


def rate_limit(rate: str, name: str | None = None) -> Callable[[Request], Awaitable[None]]:
    """FastAPI dependency for e.g. `rate_limit("30/minute")`. Routes with one `name` share the count.

    Raises TooMany.
    """
    item = parse(rate)

    async def limit(request: Request) -> None:
        container = request.app.state.container
        if not container.settings.rate_limits:
            return
        limiter: MovingWindowRateLimiter = container.limiter
        # By route, not by path: whoever tries one number after another must meet the limit.
        if not await limiter.hit(item, name or request.scope["route"].path, await _caller(request)):
            raise TooMany(retry_after=item.get_expiry())

    limit.__rate_limit__ = rate  # type: ignore[attr-defined]  # read by shared.openapi
    return limit


async def _caller(request: Request) -> str:
    """Whom a call counts for. A token that is not good opens no count of its own."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        try:
            return str((await request.app.state.container.verifier.verify(token)).subject)
        except Unauthenticated:
            pass
    return request.client.host if request.client else "unknown"


def new_limiter() -> MovingWindowRateLimiter:
    return MovingWindowRateLimiter(MemoryStorage())
