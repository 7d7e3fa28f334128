"""What surrounds every request, as ASGI middlewares; `surroundings` puts them in their order."""

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastapi import Response
from opentelemetry.trace import StatusCode
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.errors import TimedOut, TooLarge
from shared.observability.metrics import HTTP_REQUESTS
from shared.observability.telemetry import current_traceparent, get_logger
from shared.observability.tracing import SpanKind, span
from shared.web.compression import Compression
from shared.web.problems import failure_response

log = get_logger(__name__)

DEFAULT_BODY_LIMIT = 1024 * 1024
SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# (pattern of the path, bytes, the refusal): the first that matches counts.
BodyLimits = Sequence[tuple[str, int, type[TooLarge]]]
OnFailure = Callable[[Exception], Response]


@dataclass(frozen=True)
class Pace:
    """How slowly a body may come: after `grace` seconds at no less than `rate` bytes a second on the whole, and in no
    more than `longest` seconds. Only the time counts in which we wait for the sender."""

    grace: float = 15.0
    rate: int = 2048
    longest: float = 300.0

    def seconds(self, received: int) -> float:
        """Tell how long may have been waited in all, once so many bytes are here."""
        return min(self.longest, self.grace + received / self.rate)


def surroundings(
    service: str, limits: BodyLimits = (), on_failure: OnFailure = failure_response, pace: Pace | None = None
) -> list[Middleware]:
    """List the middlewares of an application, from the outermost on."""
    return [
        Middleware(Compression),
        Middleware(RequestTelemetry, service=service),
        Middleware(LastResort, on_failure=on_failure),
        Middleware(BodyLimit, limits=limits),
        Middleware(BodyPace, pace=pace or Pace()),
    ]


class Mounted:
    """Takes requests with the path `root` in front or without: a gateway may pass either."""

    def __init__(self, app: ASGIApp, root: str) -> None:
        self._app = app
        self._root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["root_path"] = scope.get("root_path") or self._root
        await self._app(scope, receive, send)


class RequestTelemetry:
    """Tells of every request in one span, one metric and one log line, which names the route and never the query.

    An answer gets its trace context, and those of the security headers that it has none of its own for.
    """

    def __init__(self, app: ASGIApp, service: str) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        arrived = time.perf_counter()
        method = scope["method"] if scope["method"] in METHODS else "other"
        parent = dict(scope["headers"]).get(b"traceparent", b"").decode("latin-1")
        status = 0

        async def noting_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                present = {name for name, _ in message["headers"]}
                extra = [header for header in SECURITY_HEADERS if header[0] not in present]
                trace = (b"traceparent", current_traceparent().encode())
                message["headers"] = [*message["headers"], *extra, trace]
                log.info("http.request", method=scope["method"], route=_template(scope), status=status)
            await send(message)

        with span(self._service, method, SpanKind.SERVER, parent) as server:
            await self._app(scope, receive, noting_send)
            route = _template(scope)
            server.update_name(f"{method} {route}")
            server.set_attributes(
                {"http.request.method": method, "http.route": route, "http.response.status_code": status}
            )
            if status >= 500:
                server.set_status(StatusCode.ERROR)
        HTTP_REQUESTS.labels(self._service, method, route, status).observe(time.perf_counter() - arrived)


def _template(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", "unmatched")


class LastResort:
    """Answers for whatever nobody handled: passed on, the server would log its text, which may quote personal data.

    Raises ConnectionAbortedError where the answer has begun, so that the server breaks the connection off.
    """

    def __init__(self, app: ASGIApp, on_failure: OnFailure) -> None:
        self._app = app
        self._on_failure = on_failure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def noting_send(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting_send)
        except Exception as error:
            response = self._on_failure(error)
            if begun:
                raise ConnectionAbortedError from None
            await response(scope, receive, send)


class BodyLimit:
    """Refuses a body that is, or says it is, over its path's limit: whoever reads it gets the refusal raised."""

    def __init__(self, app: ASGIApp, limits: BodyLimits) -> None:
        self._app = app
        self._limits = [(re.compile(pattern), size, refusal) for pattern, size, refusal in limits]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit, refusal = next(
            ((size, refusal) for pattern, size, refusal in self._limits if pattern.search(scope["path"])),
            (DEFAULT_BODY_LIMIT, TooLarge),
        )
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        # Cut, because int() itself refuses thousands of digits.
        announced = int(declared[:20]) if declared.isdigit() else 0
        counted = 0

        async def limited_receive() -> Message:
            nonlocal counted
            if announced > limit:
                raise refusal
            message = await receive()
            counted += len(message.get("body", b""))
            if counted > limit:
                raise refusal
            return message

        await self._app(scope, limited_receive, send)


class BodyPace:
    """Gives up on a body that comes too slowly: whoever reads it gets TimedOut raised, and the connection is closed."""

    def __init__(self, app: ASGIApp, pace: Pace) -> None:
        self._app = app
        self._pace = pace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        clock = asyncio.get_running_loop().time
        waited, received, whole, late = 0.0, 0, False, False

        async def paced_receive() -> Message:
            nonlocal waited, received, whole, late
            if whole:
                return await receive()
            began = clock()
            try:
                async with asyncio.timeout(self._pace.seconds(received) - waited):
                    message = await receive()
            except TimeoutError:
                late = True
                raise TimedOut from None
            waited += clock() - began
            received += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            return message

        async def closing_send(message: Message) -> None:
            if late and message["type"] == "http.response.start":
                # What is still to come of the body would be taken for the next request.
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        await self._app(scope, paced_receive, closing_send)
