"""Work for a running installation: clerks who submit applications and a reviewer who approves them, until told to stop.

What fails on the way is counted and forgotten, as a clerk would try the next person; what was accepted never is.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import date, timedelta
from typing import Any

import httpx2

from deploy.journey import (
    Api,
    StepFailed,
    import_people,
    log_in_enterprise,
    log_in_reviewer,
    register_enterprise,
    submit_application,
)
from deploy.synthetic import id_number, person_name

POST = "10"
CLERKS = 3
PEOPLE = 6000
CLERK_PAUSE = 0.2
FAILURE_PAUSE = 1.0
PASSWORD = "Load-2026-pass"  # noqa: S105 - of enterprises that exist only in this run
# Less than the ten minutes that a token lives.
TOKEN_SECONDS = 300.0
SETTLE_SECONDS = 180.0
FAILURES = (StepFailed, httpx2.HTTPError)


class Login:
    """A token that is renewed before it runs out."""

    def __init__(self, log_in: Callable[[], Awaitable[str]]) -> None:
        self._log_in = log_in
        self._token = ""
        self._since = float("-inf")

    async def token(self) -> str:
        """Raises what the log-in raises."""
        if time.monotonic() - self._since > TOKEN_SECONDS:
            self._token = await self._log_in()
            self._since = time.monotonic()
        return self._token


class Load:
    """`accepted` holds the application of every submission that was answered with success, and when."""

    def __init__(self, api: Api, username: str, password: str) -> None:
        self.accepted: dict[str, float] = {}
        self.failures = 0
        self._api = api
        self._reviewer = Login(lambda: log_in_reviewer(api, username, password))
        self._enterprises: list[Login] = []
        self._people: Iterator[str] = iter(())
        self._owner: dict[str, Login] = {}
        self._clerks: list[asyncio.Task[None]] = []
        self._reviewing: list[asyncio.Task[None]] = []

    async def prepare(self) -> None:
        """Import people and register enterprises."""
        people = [id_number("female", date(1980, 1, 1) + timedelta(days=n // 2), n % 2) for n in range(PEOPLE)]
        lines = [f"{person},{person_name(n)},,," for n, person in enumerate(people)]
        await import_people(self._api, await self._reviewer.token(), lines)
        self._people = iter(people)
        for number in range(CLERKS):
            taxpayer, _ = await register_enterprise(self._api, f"试运行企业{number}", PASSWORD)
            self._enterprises.append(Login(lambda taxpayer=taxpayer: self._log_in(taxpayer)))  # type: ignore[misc]

    async def _log_in(self, taxpayer: str) -> str:
        return str((await log_in_enterprise(self._api, taxpayer, PASSWORD))["access_token"])

    def start(self) -> None:
        """Let the clerks submit and the reviewer approve, until `stop` or `finish`."""
        self._clerks = [asyncio.create_task(self._submit(enterprise)) for enterprise in self._enterprises]
        self._reviewing = [asyncio.create_task(self._review())]

    async def _submit(self, enterprise: Login) -> None:
        while True:
            try:
                # Pictures may not repeat.
                seed = random.getrandbits(48)
                application = await submit_application(
                    self._api, await enterprise.token(), next(self._people), POST, seed
                )
            except FAILURES:
                self.failures += 1
                await asyncio.sleep(FAILURE_PAUSE)
            else:
                self._owner[application["id"]] = enterprise
                self.accepted[application["id"]] = time.monotonic()
                await asyncio.sleep(CLERK_PAUSE)

    async def _review(self) -> None:
        while True:
            with suppress(*FAILURES):
                token = await self._reviewer.token()
                page = await self._api.call("GET", "review", "/items?status=pending_review&limit=100", token=token)
                items = [{key: item[key] for key in ("application_id", "revision")} for item in page["items"]]
                if items:
                    body = {"action": "approve", "items": items}
                    await self._api.call("POST", "review", "/decisions", token=token, json=body)
            await asyncio.sleep(0.3)

    async def recover(self, since: float) -> float:
        """Wait until an application accepted after `since` has its number; returns the seconds from then on.

        Raises TimeoutError.
        """
        async with asyncio.timeout(SETTLE_SECONDS):
            while True:
                fresh = next((one for one, moment in self.accepted.items() if moment > since), None)
                with suppress(*FAILURES):
                    if fresh and await self._status(fresh) == "certified":
                        return time.monotonic() - since
                await asyncio.sleep(0.2)

    async def _status(self, application: str) -> str:
        token = await self._owner[application].token()
        return str((await self._api.call("GET", "renewal", f"/applications/{application}", token=token))["status"])

    async def finish(self) -> None:
        """Submit nothing more; returns when everything submitted has its number. Raises TimeoutError."""
        await _end(self._clerks)
        async with asyncio.timeout(SETTLE_SECONDS):
            while not await self._all_certified():  # noqa: ASYNC110 - in other processes
                await asyncio.sleep(1)
        await self.stop()

    async def _all_certified(self) -> bool:
        """A submission whose answer was lost counts as well; a draft was never submitted."""
        return {one["status"] for one in (await self.applications()).values()} <= {"draft", "certified"}

    async def stop(self) -> None:
        """End the clerks and the reviewer where they stand."""
        await _end([*self._clerks, *self._reviewing])

    async def applications(self) -> dict[str, Any]:
        """Collect all enterprises' applications by id, as their lists show them; waits for a service that is away."""
        found: dict[str, Any] = {}
        for enterprise in self._enterprises:
            cursor: str | None = ""
            while cursor is not None:
                try:
                    page = await self._api.call(
                        "GET", "renewal", f"/applications?limit=100{cursor}", token=await enterprise.token()
                    )
                except FAILURES:
                    await asyncio.sleep(1)
                    continue
                found |= {one["id"]: one for one in page["items"]}
                cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None
        return found

    async def picture(self, application: str) -> bytes:
        """Fetch one of the application's pictures, by the link to the store that the platform answers with."""
        token = await self._owner[application].token()
        return bytes(
            await self._api.call("GET", "renewal", f"/applications/{application}/images/id-front", token=token)
        )


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
