"""Logins, and when they end: access tokens after minutes, browser sessions when idle, all after a day's work."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from shared.auth.tokens import LEEWAY_SECONDS
from tests.simulation.world import Violation, World

Credentials = Callable[[], Awaitable[dict[str, Any]]]

_MOMENT = timedelta(seconds=2)


class Login:
    """A program that is logged in to a service whenever it needs to be."""

    def __init__(self, world: World, service: str, credentials: Credentials) -> None:
        self.world = world
        self.service = service
        self.credentials = credentials
        self._pair: dict[str, Any] = {}
        self._fresh_until = self._over = world.agenda.entered

    async def token(self) -> str:
        """A good access token: the one at hand, the next of the session, or that of a new login."""
        now = self.world.agenda.entered
        if now >= self._over:
            self._pair = await self.open("/sessions")
            self._over = now + timedelta(hours=self.world.containers[self.service].settings.refresh_hours)
        elif now >= self._fresh_until:
            body = {"refresh_token": self._pair["refresh_token"]}
            self._pair = await self.world.api.call("POST", self.service, "/sessions/refresh", json=body)
        else:
            return str(self._pair["access_token"])
        self._fresh_until = now + timedelta(seconds=self._pair["expires_in"])
        return str(self._pair["access_token"])

    async def open(self, path: str) -> dict[str, Any]:
        answer: dict[str, Any] = await self.world.api.call(
            "POST", self.service, path, json=await self.credentials(), expect=201
        )
        return answer

    async def call(self, method: str, service: str, path: str, **request: Any) -> Any:
        return await self.world.api.call(method, service, path, token=await self.token(), **request)


class Probe:
    """Opens a session of each kind and tries, at the very moments, whether each has ended that should have."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._world = login.world
        self._settings = login.world.containers[login.service].settings

    async def begin(self) -> None:
        settings, opened = self._settings, self._world.agenda.entered
        access, over = timedelta(minutes=settings.access_minutes), timedelta(hours=settings.refresh_hours)
        idle, leeway = timedelta(minutes=settings.browser_idle_minutes), timedelta(seconds=LEEWAY_SECONDS)
        often = idle - timedelta(minutes=2)
        # An access token, and the refresh tokens after it.
        pair = await self._login.open("/sessions")
        me = partial(self._me, pair["access_token"])
        self._at(opened + access, me, 200)
        self._at(opened + access + leeway + _MOMENT, me, 401)
        self._at(opened + 2 * access, partial(self._spend_twice, pair["refresh_token"]))
        # Nobody comes before the session ends, or too late.
        for delay, status in ((over - _MOMENT, 200), (over + _MOMENT, 401)):
            other = await self._login.open("/sessions")
            self._at(opened + delay, partial(self._refresh, other["refresh_token"]), status)
        # A browser that is used, one that is left, and one that is used until the end.
        browser = await self._login.open("/browser-sessions")
        see = partial(self._see, browser["session_id"])
        self._at(opened + idle - _MOMENT, see, 200)
        self._at(opened + 2 * idle - 2 * _MOMENT, see, 200)
        self._at(opened + 3 * idle, see, 401)
        busy = await self._login.open("/browser-sessions")
        moment = opened + often
        while moment < opened + over:
            self._at(moment, partial(self._see, busy["session_id"]), 200)
            moment += often
        self._at(opened + over + _MOMENT, partial(self._see, busy["session_id"]), 401)

    def _at(self, moment: datetime, act: Callable[..., Awaitable[object]], *arguments: Any) -> None:
        self._world.agenda.at(moment, partial(act, *arguments))

    async def _me(self, token: str, status: int) -> None:
        await self._expect(status, "GET", "/me", token=token)

    async def _refresh(self, token: str, status: int) -> Any:
        return await self._expect(status, "POST", "/sessions/refresh", json={"refresh_token": token})

    async def _see(self, session_id: str, status: int) -> None:
        await self._expect(status, "POST", "/browser-sessions/access", json={"session_id": session_id})

    async def _spend_twice(self, token: str) -> None:
        """A refresh token that comes again ends its session for whoever holds it."""
        following = await self._refresh(token, 200)
        await self._refresh(token, 401)
        await self._refresh(following["refresh_token"], 401)
        await self._me(following["access_token"], 401)

    async def _expect(self, status: int, method: str, path: str, **request: Any) -> Any:
        try:
            answer = await self._world.api.call(method, self._login.service, path, expect=status, **request)
        except Exception as error:
            raise Violation(f"a login: {error}, not {status}") from error
        self._world.network.counts["logins that ended when due"] += status == 401
        return answer
