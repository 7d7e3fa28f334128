"""A client that wants to know what became of what it asked for: it asks again, under the same key."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection
from typing import Any
from uuid import UUID

import httpx2

from deploy.journey import Api, StepFailed
from deploy.load.history import History, Operation

# Less than the ten minutes that a token lives.
TOKEN_SECONDS = 300.0
AGAIN_SECONDS = 0.3
FAILURES = (StepFailed, httpx2.HTTPError)
# Nothing was done, and who comes later is let in.
COME_AGAIN = (408, 429)


class Client:
    """Acts under `name`, with the token that `log_in` gives. `attempts` are how often it asks for one thing; after that
    it goes on without knowing."""

    def __init__(
        self,
        name: str,
        api: Api,
        history: History,
        chance: random.Random,
        log_in: Callable[[], Awaitable[str]] | None = None,
        attempts: int = 40,
    ) -> None:
        self.name = name
        self.api = api
        self.history = history
        self.chance = chance
        self._log_in = log_in
        self._attempts = attempts
        self._token = ""
        self._since = float("-inf")

    async def token(self) -> str:
        """Raises what the log-in raises."""
        if self._log_in and self.history.now() - self._since > TOKEN_SECONDS:
            self._token = await self._log_in()
            self._since = self.history.now()
        return self._token

    async def act(
        self,
        operation: Operation,
        method: str,
        service: str,
        path: str,
        *,
        refusals: Collection[str] = (),
        attempts: int = 0,
        **request: Any,
    ) -> Any:
        """Ask until it is known, and note the outcome; what the answer holds if it is ok, else None.

        `refusals` are the codes that may come; any other one is improper.
        """
        pause = AGAIN_SECONDS
        key = {"Idempotency-Key": str(UUID(int=self.chance.getrandbits(128)))} if method == "POST" else {}
        for attempt in range(attempts or self._attempts):
            if attempt:
                await asyncio.sleep(pause)
            operation.attempts += 1
            answer = await self.once(operation, method, service, path, headers=key, **request)
            pause = AGAIN_SECONDS
            if answer is None or answer.status_code >= 500:
                continue
            if answer.status_code in COME_AGAIN:
                pause = max(pause, float(answer.headers.get("retry-after", 0)))
                continue
            if answer.status_code == 401:
                self._since = float("-inf")
                continue
            if answer.is_success:
                operation.outcome = "ok"
                return answer.json() if answer.content else {}
            code = str(answer.json().get("code")) if "json" in answer.headers.get("content-type", "") else ""
            operation.outcome, operation.answer = "refused", {"code": code}
            if code not in refusals:
                self.history.improper.append(f"{answer.status_code} {answer.text[:300]}, answered to {operation}")
            # Without a key nobody can tell whether it is an earlier attempt that is in its way.
            if operation.attempts > 1 and not key:
                operation.outcome = "unknown"
            return None
        return None

    async def once(
        self,
        what: object,
        method: str,
        service: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        **request: Any,
    ) -> httpx2.Response | None:
        """The answer, whatever it is; None, and noted, where there is none."""
        try:
            token = await self.token()
        except FAILURES:
            return None
        own = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            answer = await self.api.request(method, service, path, headers={**own, **(headers or {})}, **request)
        except httpx2.TransportError as error:
            self.history.unanswered[f"{service} {type(error).__name__}"] += 1
            return None
        if answer.status_code >= 500:
            self.history.unanswered[f"{service} {answer.status_code}"] += 1
            ours = "problem+json" in answer.headers.get("content-type", "")
            if answer.status_code == 500 or (ours and "retry-after" not in answer.headers):
                self.history.improper.append(f"{answer.status_code} {answer.text[:300]}, answered to {what}")
        return answer

    async def read(self, service: str, path: str, **query: Any) -> Any:
        """What is there, None where nothing is; asks for as long as nobody answers.

        Raises StepFailed for any other refusal.
        """
        while True:
            answer = await self.once(f"GET {service}{path}", "GET", service, path, params=query)
            if answer is None or answer.status_code >= 500 or answer.status_code in COME_AGAIN:
                await asyncio.sleep(AGAIN_SECONDS)
            elif answer.status_code == 401:
                self._since = float("-inf")
                await asyncio.sleep(AGAIN_SECONDS)
            elif answer.status_code == 404:
                return None
            elif answer.is_success:
                return answer.json() if "json" in answer.headers["content-type"] else answer.content
            else:
                raise StepFailed(f"GET {service}{path}: {answer.status_code} {answer.text[:300]}")

    async def pages(self, service: str, path: str, **query: Any) -> list[Any]:
        """All items of a list."""
        items: list[Any] = []
        while True:
            page = await self.read(service, path, limit=100, **query)
            items += page["items"]
            if not page["next_cursor"]:
                return items
            query["cursor"] = page["next_cursor"]
