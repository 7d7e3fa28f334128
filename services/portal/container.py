"""The portal's container: settings, the API's gateway, templates, cookies, and what of the API is kept for a while."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from services.portal.api.renewal import PostRead
from services.portal.api.review import ReasonRead
from services.portal.cookies import Cookies
from services.portal.gateway import Gateway
from services.portal.known import KnownSessions
from services.portal.pages import Pages
from services.portal.settings import PortalSettings
from shared.observability.readiness import Readiness
from shared.web.door import Door

T = TypeVar("T")


class Kept(Generic[T]):
    """An answer that hardly ever changes, asked for again when it is older than `lifetime` seconds."""

    def __init__(self, lifetime: float = 300.0) -> None:
        self._lifetime = lifetime
        self._kept: tuple[float, T] | None = None

    async def get(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return what is kept, or what `ask` answers now. Raises what `ask` raises."""
        if self._kept is None or time.monotonic() - self._kept[0] > self._lifetime:
            self._kept = (time.monotonic(), await ask())
        return self._kept[1]


@dataclass(kw_only=True)
class Portal(Readiness):
    """Holds what the pages are made with, once per process. `reference.py` reads `posts` and `reasons`."""

    settings: PortalSettings
    gateway: Gateway
    pages: Pages
    cookies: Cookies
    door: Door
    known: KnownSessions = field(default_factory=KnownSessions)
    posts: Kept[list[PostRead]] = field(default_factory=Kept)
    reasons: Kept[list[ReasonRead]] = field(default_factory=Kept)
