"""The portal's client of the HTTP API. Every refusal becomes an ApiProblem; a gateway that is away is one as well."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import httpx2
from pydantic import TypeAdapter, ValidationError

from services.portal.api import Answer
from services.portal.api.renewal import ReasonRead
from shared.observability.telemetry import current_traceparent, get_logger
from shared.web.door import aside

log = get_logger(__name__)

TIMEOUT = httpx2.Timeout(30.0, connect=5.0)
T = TypeVar("T")


class FieldError(Answer):
    field: str
    message: str


class ProblemDocument(Answer):
    """Holds what RFC 9457 says, and what some refusals add: seconds to wait, and how many others do; whether the next
    login needs a captcha, kinds of pictures that are missing, posts that have a series already, reasons against a
    person."""

    code: str = "unavailable"
    detail: str = "服务暂时不可用，请稍后再试"
    errors: Sequence[FieldError] = ()
    retry_after: int | None = None
    ahead: int | None = None
    captcha_required: bool = False
    kinds: Sequence[str] = ()
    posts: Sequence[str] = ()
    reasons: Sequence[ReasonRead] = ()


class ApiProblem(Exception):
    """A problem document of the API."""

    def __init__(self, status: int, document: ProblemDocument) -> None:
        self.status = status
        self.document = document
        self.code = document.code
        self.detail = document.detail
        minutes = -(-(document.retry_after or 0) // 60)
        if minutes > 120:
            self.detail += f"（约{-(-minutes // 60)}小时后）"
        elif document.retry_after and document.retry_after >= 60:
            self.detail += f"（约{minutes}分钟后）"
        super().__init__(self.code)

    @property
    def errors(self) -> dict[str, str]:
        """What is wrong, by field."""
        return {error.field: error.message for error in self.document.errors}


class Refused(ApiProblem):
    """What the API will not do (400 to 499): the page asked from explains it, unlike an outage."""


def _problem_of(response: httpx2.Response) -> ApiProblem:
    try:
        document = ProblemDocument.model_validate_json(response.content)
    except ValidationError:
        document = ProblemDocument()
    kind = Refused if response.status_code < 500 else ApiProblem
    return kind(response.status_code, document)


class UnexpectedAnswer(Exception):
    """An answer that lacks what the portal reads of it. Says where, and nothing of what the answer holds."""


@cache
def _reader(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)


def read(model: type[T], content: bytes | str) -> T:
    """Read JSON as this type. Raises UnexpectedAnswer."""
    key: Any = model
    try:
        answer: T = _reader(key).validate_json(content)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['type']}" for fault in error.errors(include_input=False)]
    else:
        return answer
    # Here, because the last resort says no exception's text.
    log.error("gateway.unexpected_answer", model=str(model), faults=faults[:20])
    raise UnexpectedAnswer(f"{model}: {', '.join(faults)}")


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
        """Ask `/api{path}`, and give the answer with its body still to be read. Raises ApiProblem for 400 and above.

        `address` is that of the browser the call is made for: limits count by it.
        """
        # On the way to us nothing is packed: it is not far, and an import's lines are read as they come.
        own = {"X-Forwarded-For": address, "traceparent": current_traceparent(), "Accept-Encoding": "identity"}
        if token is not None:
            own["Authorization"] = f"Bearer {token}"
        try:
            # Others may have our place meanwhile: the services' own doors say how much is asked of them.
            async with (
                aside(),
                self.client.stream(
                    method, f"/api{path}", headers={**own, **(headers or {})}, timeout=TIMEOUT, **request
                ) as response,
            ):
                if response.status_code >= 400:
                    await response.aread()
                    raise _problem_of(response)
                yield response
        except httpx2.TransportError as error:
            log.warning("gateway.unavailable", error=type(error).__name__)
            raise ApiProblem(503, ProblemDocument()) from None

    async def fetch(self, method: str, path: str, **request: Any) -> httpx2.Response:
        """Ask as `stream` does, and read the body."""
        async with self.stream(method, path, **request) as response:
            await response.aread()
            return response

    async def call(self, model: type[T], method: str, path: str, **request: Any) -> T:
        """Ask as `stream` does, and read the JSON as `model`. Raises ApiProblem, UnexpectedAnswer."""
        return read(model, (await self.fetch(method, path, **request)).content)

    async def ping(self) -> None:
        """Raise an exception of httpx2 when the gateway or the service behind it does not answer."""
        (await self.client.get("/api/enterprise/v1/healthz", timeout=5)).raise_for_status()
