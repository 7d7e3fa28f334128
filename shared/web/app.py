"""Every HTTP service is built by `create_app`: errors, transactions, limits, health, documents."""

import re
import time
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from opentelemetry.trace import StatusCode
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.auth.access import idempotency_scope
from shared.errors import Invalid, Malformed, MethodNotAllowed, NotFound, Problem, TooLarge, Unavailable
from shared.observability.metrics import HTTP_REQUESTS
from shared.observability.telemetry import current_traceparent, get_logger
from shared.observability.tracing import SpanKind, span
from shared.persistence.db import is_transient
from shared.runtime.container import Container
from shared.web.idempotency import HEADER, reserve_key, store_response
from shared.web.openapi import PROBLEM_MEDIA_TYPE, install_openapi, status_of
from shared.web.validation import field_errors

log = get_logger(__name__)

DEFAULT_BODY_LIMIT = 1024 * 1024
SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
HTTP_KINDS: dict[int, type[Problem]] = {400: Malformed, 404: NotFound, 405: MethodNotAllowed, 413: TooLarge}

BodyLimits = Sequence[tuple[str, int, type[TooLarge]]]


class TransactionalRoute(APIRoute):
    """One request is one transaction, committed after the response is made and before it leaves.

    Under an Idempotency-Key the response is stored in the same transaction; a refused request stores nothing.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        original = super().get_route_handler()
        idempotent = (self.openapi_extra or {}).get("x-idempotent", True)

        async def handle(request: Request) -> Response:
            container: Container = request.app.state.container
            key = request.headers.get(HEADER) if request.method == "POST" and idempotent else None
            async with container.database.transaction() as session:
                request.state.session = session
                if key is None:
                    return await original(request)
                scope = await idempotency_scope(request)
                replay = await reserve_key(session, request, key, scope)
                if replay is not None:
                    return replay
                response = await original(request)
                await store_response(session, key, scope, response)
                return response

        return handle


def transactional_router(**options: Any) -> APIRouter:
    return APIRouter(route_class=TransactionalRoute, **options)


def _session(request: Request) -> AsyncSession:
    return cast(AsyncSession, request.state.session)


def _container(request: Request) -> Any:
    return request.app.state.container


Session = Annotated[AsyncSession, Depends(_session)]
# Each service annotates its own kind of container with it.
CONTAINER = Depends(_container)


class Surroundings:
    """Pure ASGI: trace context, body limit, security headers and one log line per request, without its query.

    Whatever nobody handled ends here as a 500: passed on, the server would log its text, which may quote personal data.
    """

    def __init__(
        self,
        app: ASGIApp,
        service: str,
        root: str,
        limits: BodyLimits,
        on_failure: Callable[[Exception], Response] | None = None,
    ) -> None:
        self._app = app
        self._service = service
        self._on_failure = on_failure or failure_response
        self._root = root
        self._limits = [(re.compile(pattern), size, kind) for pattern, size, kind in limits]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # With the prefix or without: a gateway may pass either.
        scope["root_path"] = scope.get("root_path") or self._root
        arrived = time.perf_counter()
        method = scope["method"] if scope["method"] in METHODS else "other"
        parent = dict(scope["headers"]).get(b"traceparent", b"").decode("latin-1")
        with span(self._service, method, SpanKind.SERVER, parent) as server:
            status = await self._answer(scope, receive, send)
            route = _template(scope)
            server.update_name(f"{method} {route}")
            server.set_attributes(
                {"http.request.method": method, "http.route": route, "http.response.status_code": status}
            )
            if status >= 500:
                server.set_status(StatusCode.ERROR)
        HTTP_REQUESTS.labels(self._service, method, route, status).observe(time.perf_counter() - arrived)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> int:
        headers = dict(scope["headers"])
        limit, kind = next(
            ((size, kind) for pattern, size, kind in self._limits if pattern.search(scope["path"])),
            (DEFAULT_BODY_LIMIT, TooLarge),
        )
        declared = headers.get(b"content-length", b"0")
        # Cut, because int() itself refuses thousands of digits.
        announced = int(declared[:20]) if declared.isdigit() else 0
        counted = 0
        status = 0

        async def limited_receive() -> Message:
            nonlocal counted
            if announced > limit:
                raise kind
            message = await receive()
            counted += len(message.get("body", b""))
            if counted > limit:
                raise kind
            return message

        async def completed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                present = {name for name, _ in message["headers"]}
                extra = [header for header in SECURITY_HEADERS if header[0] not in present]
                trace = (b"traceparent", current_traceparent().encode())
                message["headers"] = [*message["headers"], *extra, trace]
                log.info(
                    "http.request",
                    method=scope["method"],
                    route=_template(scope),
                    status=status,
                )
            await send(message)

        try:
            await self._app(scope, limited_receive, completed_send)
        except Exception as error:
            response = self._on_failure(error)
            if status:
                # Too late for an answer: the server has to break the connection off.
                raise ConnectionAbortedError from None
            await response(scope, receive, completed_send)
        return status


def _template(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", "unmatched")


def problem_document(problem: Problem) -> dict[str, Any]:
    own = {"type": "about:blank", "title": problem.code, "status": status_of(problem), "code": problem.code}
    own["detail"] = problem.detail
    content: dict[str, Any] = jsonable_encoder({**own, **problem.members, **own})
    return content


def problem_response(problem: Problem) -> JSONResponse:
    status = status_of(problem)
    headers = {"Retry-After": str(problem.members["retry_after"])} if "retry_after" in problem.members else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(problem_document(problem), status, headers, PROBLEM_MEDIA_TYPE)


class InternalError(Problem):
    code = "internal_error"
    detail = "系统内部错误，已记录，请稍后再试"


def problem_of(error: Exception) -> Problem:
    """What a client may know of any error; what is not a refusal is logged."""
    if isinstance(error, Problem):
        return error
    if is_transient(error):
        log.warning("http.unavailable", error=type(error).__name__)
        return Unavailable(retry_after=2)
    # The exception's own text may quote personal data, so only its type and the place are logged.
    log.error("http.failed", error=type(error).__name__, trace="".join(traceback.format_tb(error.__traceback__)))
    return InternalError()


def failure_response(error: Exception) -> JSONResponse:
    return problem_response(problem_of(error))


async def _on_failure(_request: Request, error: Exception) -> Response:
    return failure_response(error)


async def _on_validation(_request: Request, error: Exception) -> Response:
    return problem_response(Invalid(errors=field_errors(cast(RequestValidationError, error).errors())))


async def on_http(request: Request, error: Exception) -> Response:
    """What the framework itself refuses, as a problem document."""
    http = cast(HTTPException, error)
    if isinstance(http.__cause__, Problem):
        # FastAPI wraps what is raised while it reads a body.
        return problem_response(http.__cause__)
    response = problem_response(HTTP_KINDS.get(http.status_code, Malformed)())
    response.status_code = http.status_code
    for name, value in (http.headers or {}).items():
        response.headers[name] = value
    methods = {
        method
        for route in getattr(request.app.state, "routes", ())
        if http.status_code == 405 and route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods
    }
    if methods:
        # Starlette names those of the path's first route only.
        response.headers["Allow"] = ", ".join(sorted(methods))
    return response


def health_router() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz")
    async def readyz(request: Request) -> Response:
        failed = await request.app.state.container.failing_dependencies()
        body = {"status": "unavailable" if failed else "ok", "failed": failed}
        return JSONResponse(body, 503 if failed else 200)

    return router


def create_app(
    container: Container,
    *,
    title: str,
    description: str,
    routers: Sequence[APIRouter],
    body_limits: BodyLimits = (),
    lifespan: Callable[[], AbstractAsyncContextManager[None]] | None = None,
) -> FastAPI:
    """The HTTP side of one service, mounted by a gateway at /api/<service>/v1."""

    @asynccontextmanager
    async def run(_app: FastAPI) -> AsyncIterator[None]:
        if lifespan is None:
            yield
        else:
            async with lifespan():
                yield

    root = f"/api/{container.service}/v1"
    app = FastAPI(
        title=title,
        description=description,
        version="1",
        docs_url=None,
        redoc_url=None,
        lifespan=run,
        redirect_slashes=False,
    )
    app.state.container = container
    app.add_middleware(Surroundings, service=container.service, root=root, limits=body_limits)
    app.add_exception_handler(Problem, _on_failure)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(SQLAlchemyError, _on_failure)
    app.add_exception_handler(OSError, _on_failure)
    app.include_router(health_router())
    for router in routers:
        app.include_router(router)
    app.state.routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    limited = [route for route in app.state.routes if _is_limited(route)]
    install_openapi(app, root, {(method.lower(), route.path) for route in limited for method in route.methods})
    return app


def _is_limited(route: APIRoute) -> bool:
    return any(hasattr(dependency.dependency, "__rate_limit__") for dependency in route.dependencies)
