"""The portal's client of the HTTP API. Every refusal becomes an ApiProblem; a gateway that is away is one as well."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from shared.observability.telemetry import current_traceparent, get_logger

log = get_logger(__name__)

TIMEOUT = httpx2.Timeout(30.0, connect=5.0)


class ApiProblem(Exception):
    """A problem document (RFC 9457) of the API."""

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        self.status = status
        self.document = document
        self.code = str(document.get("code", "unavailable"))
        self.detail = str(document.get("detail", "服务暂时不可用，请稍后再试"))
        wait = document.get("retry_after", 0)
        if isinstance(wait, int) and wait >= 60:
            self.detail += f"（约{-(-wait // 60)}分钟后）"
        super().__init__(self.code)

    @property
    def errors(self) -> dict[str, str]:
        """What is wrong, by field."""
        return {error["field"]: error["message"] for error in self.document.get("errors", ())}


class Refused(ApiProblem):
    """What the API will not do (400 to 499): the page asked from explains it, unlike an outage."""


def _problem_of(response: httpx2.Response) -> ApiProblem:
    try:
        document = response.json()
    except ValueError:
        document = {}
    if not isinstance(document, dict):
        document = {}
    kind = Refused if response.status_code < 500 else ApiProblem
    return kind(response.status_code, document)


UNAVAILABLE = {"code": "unavailable", "detail": "服务暂时不可用，请稍后再试"}


@dataclass(frozen=True)
class Gateway:
    """`client` knows the gateway's address."""

    client: httpx2.AsyncClient

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        address: str,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        **request: Any,
    ) -> AsyncIterator[httpx2.Response]:
        """The answer of `/api{path}` with its body still to be read. Raises ApiProblem for 400 and above.

        `address` is that of the browser the call is made for: limits count by it.
        """
        own = {"X-Forwarded-For": address, "traceparent": current_traceparent()}
        if token is not None:
            own["Authorization"] = f"Bearer {token}"
        try:
            async with self.client.stream(
                method, f"/api{path}", headers={**own, **(headers or {})}, timeout=TIMEOUT, **request
            ) as response:
                if response.status_code >= 400:
                    await response.aread()
                    raise _problem_of(response)
                yield response
        except httpx2.TransportError as error:
            log.warning("gateway.unavailable", error=type(error).__name__)
            raise ApiProblem(503, UNAVAILABLE) from None

    async def fetch(self, method: str, path: str, **request: Any) -> httpx2.Response:
        """As `stream`, with its body read."""
        async with self.stream(method, path, **request) as response:
            await response.aread()
            return response

    async def call(self, method: str, path: str, **request: Any) -> Any:
        """The answer's JSON; None where it is empty."""
        response = await self.fetch(method, path, **request)
        return response.json() if response.content else None

    async def ping(self) -> None:
        """Raises when the gateway or the service behind it does not answer."""
        (await self.client.get("/api/enterprise/v1/healthz", timeout=5)).raise_for_status()
