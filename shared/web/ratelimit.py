"""Rate limits by account, or by address where nobody is logged in, counted in this process.

The gateway limits across processes.
"""

from collections.abc import Awaitable, Callable

from fastapi import Request
from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from shared.errors import TooMany
from shared.web.container import WebContainer


def rate_limit(rate: str, name: str | None = None) -> Callable[[Request], Awaitable[None]]:
    """Make a FastAPI dependency of e.g. `rate_limit("30/minute")`. Routes with one `name` share the count.

    The dependency raises TooMany.
    """
    item = parse(rate)

    async def limit(request: Request) -> None:
        container: WebContainer = request.app.state.container
        if container.limiter is None:
            return
        # By route, not by path: whoever tries one number after another must meet the limit.
        counted = name or request.scope["route"].path
        if not await container.limiter.hit(item, counted, await container.callers.rate_scope(request)):
            raise TooMany(retry_after=item.get_expiry())

    limit.__rate_limit__ = rate  # type: ignore[attr-defined]  # read by shared.web.app
    return limit


def new_limiter() -> MovingWindowRateLimiter:
    """Make the counts of one process."""
    return MovingWindowRateLimiter(MemoryStorage())
