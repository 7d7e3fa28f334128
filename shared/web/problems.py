"""Refusals and failures as problem documents (RFC 9457)."""

import traceback
from typing import Any, cast

from fastapi import FastAPI, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from shared.errors import (
    Conflict,
    Forbidden,
    Invalid,
    Malformed,
    MethodNotAllowed,
    NotFound,
    Problem,
    TimedOut,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
    UnsupportedType,
)
from shared.observability.telemetry import get_logger
from shared.persistence.db import is_transient
from shared.web.validation import field_errors

log = get_logger(__name__)

STATUS: dict[type[Problem], int] = {
    Malformed: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    MethodNotAllowed: 405,
    TimedOut: 408,
    Conflict: 409,
    TooLarge: 413,
    UnsupportedType: 415,
    Invalid: 422,
    TooMany: 429,
    Unavailable: 503,
}
PROBLEM_MEDIA_TYPE = "application/problem+json"
HTTP_KINDS: dict[int, type[Problem]] = {400: Malformed, 404: NotFound, 405: MethodNotAllowed, 413: TooLarge}


class InternalError(Problem):
    """What a client learns of a fault of ours: nothing."""

    code = "internal_error"
    detail = "系统内部错误，已记录，请稍后再试"


def status_of(problem: Problem | type[Problem]) -> int:
    """Find the HTTP status of a refusal by the nearest kind it is of; 500 for a kind of its own."""
    kind = problem if isinstance(problem, type) else type(problem)
    return next((STATUS[base] for base in kind.__mro__ if base in STATUS), 500)


def problem_document(problem: Problem) -> dict[str, Any]:
    """Write a refusal as a JSON object; its members never replace the standard ones."""
    own = {"type": "about:blank", "title": problem.code, "status": status_of(problem), "code": problem.code}
    own["detail"] = problem.detail
    content: dict[str, Any] = jsonable_encoder({**own, **problem.members, **own})
    return content


def problem_response(problem: Problem) -> JSONResponse:
    """Answer with a refusal's document, and with what its status asks for in the headers."""
    status = status_of(problem)
    headers = {"Retry-After": str(problem.members["retry_after"])} if "retry_after" in problem.members else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(problem_document(problem), status, headers, PROBLEM_MEDIA_TYPE)


def problem_of(error: Exception) -> Problem:
    """Tell what a client may know of any error; what is not a refusal is logged."""
    if isinstance(error, Problem):
        return error
    if is_transient(error):
        log.warning("http.unavailable", error=type(error).__name__)
        return Unavailable(retry_after=2)
    # The exception's own text may quote personal data, so only its type and the place are logged.
    log.error("http.failed", error=type(error).__name__, trace="".join(traceback.format_tb(error.__traceback__)))
    return InternalError()


def failure_response(error: Exception) -> JSONResponse:
    """Answer for any error."""
    return problem_response(problem_of(error))


def install_handlers(app: FastAPI) -> None:
    """Let the application answer refusals, failures and what the framework refuses with problem documents."""
    app.add_exception_handler(Problem, _on_failure)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(SQLAlchemyError, _on_failure)
    app.add_exception_handler(OSError, _on_failure)


async def on_http(request: Request, error: Exception) -> Response:
    """Answer what the framework itself refuses; a 405 names the methods of all routes in `app.state.routes`."""
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


async def _on_failure(_request: Request, error: Exception) -> Response:
    return failure_response(error)


async def _on_validation(request: Request, error: Exception) -> Response:
    faults = cast(RequestValidationError, error).errors()
    errors = field_errors(faults, _asked(request.scope.get("route")))
    if len(faults) == 1 and faults[0]["type"] == "refused":
        # As if the use case had refused it.
        problem: Problem = faults[0]["ctx"]["problem"](errors[0]["field"], errors[0]["message"])
        return problem_response(problem)
    return problem_response(Invalid(errors=errors))


def _asked(route: object) -> dict[str, FieldInfo]:
    """Find the fields of the body that a route or what it depends on takes, by name."""
    models = _bodies(route.dependant) if isinstance(route, APIRoute) else []
    return {
        name: field
        for model in models
        if isinstance(model, type) and issubclass(model, BaseModel)
        for name, field in model.model_fields.items()
    }


def _bodies(dependant: Dependant) -> list[Any]:
    own = [body.field_info.annotation for body in dependant.body_params]
    return own + [model for further in dependant.dependencies for model in _bodies(further)]
