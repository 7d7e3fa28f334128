"""Rate limits by client address, counted in this process; the gateway limits across processes."""

from collections.abc import Awaitable, Callable

from fastapi import Request
from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from shared.errors import TooMany


def rate_limit(rate: str) -> Callable[[Request], Awaitable[None]]:
    """FastAPI dependency for e.g. `rate_limit("30/minute")`. Raises TooMany."""
    item = parse(rate)

    async def limit(request: Request) -> None:
        container = request.app.state.container
        if not container.settings.rate_limits:
            return
        limiter: MovingWindowRateLimiter = container.limiter
        client = request.client.host if request.client else "unknown"
        # By route, not by path: whoever tries one number after another must meet the limit.
        if not await limiter.hit(item, request.scope["route"].path, client):
            raise TooMany(retry_after=item.get_expiry())

    limit.__rate_limit__ = rate  # type: ignore[attr-defined]  # read by shared.openapi
    return limit


def new_limiter() -> MovingWindowRateLimiter:
    return MovingWindowRateLimiter(MemoryStorage())
