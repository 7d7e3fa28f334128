"""Rate limits by address and, where somebody is logged in, by account, counted in this process.

The gateway limits across processes.
"""

import math
import time
from collections.abc import Awaitable, Callable

from fastapi import Request
from limits import RateLimitItemPerDay, parse
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
        for scope in filter(None, await container.callers.rate_scopes(request)):
            if not await container.limiter.hit(item, counted, scope):
                raise TooMany(retry_after=item.get_expiry())

    limit.__rate_limit__ = rate  # type: ignore[attr-defined]  # read by shared.web.app
    return limit


async def limit_distinct(
    request: Request, name: str, what: str, refusal: type[TooMany], *, account: int, address: int
) -> None:
    """Count `what` for whom the request counts: within 24 hours once, however often it is asked about.

    Raises `refusal` for more different ones than so many of an account or of an address.
    """
    container: WebContainer = request.app.state.container
    limiter = container.limiter
    if limiter is None:
        return
    scopes, once = await container.callers.rate_scopes(request), RateLimitItemPerDay(1)
    for scope, most in ((scopes.account, account), (scopes.address, address)):
        if scope is None or not await limiter.test(once, f"{name} seen", scope, what):
            continue
        item = RateLimitItemPerDay(most)
        if not await limiter.hit(item, name, scope):
            ends = (await limiter.get_window_stats(item, name, scope)).reset_time
            raise refusal(retry_after=max(1, math.ceil(ends - time.time())))
        await limiter.hit(once, f"{name} seen", scope, what)


def new_limiter() -> MovingWindowRateLimiter:
    """Make the counts of one process."""
    return MovingWindowRateLimiter(MemoryStorage())
