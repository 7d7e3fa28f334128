"""What every operation can answer besides its own result, written into the OpenAPI document."""

from collections import defaultdict
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from shared.errors import (
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    Overloaded,
    Problem,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from shared.web.idempotency import HEADER, KEY_SCHEMA
from shared.web.problems import PROBLEM_MEDIA_TYPE, status_of

PROBLEM_SCHEMA = {
    "title": "Problem",
    "description": "RFC 9457 problem document",
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "stable, for programs"},
        "detail": {"type": "string", "description": "Chinese, for people"},
        "retry_after": {"type": "integer", "description": "seconds, as in Retry-After, where it is worth trying again"},
        "ahead": {"type": "integer", "description": "of `overloaded`: how many others were told to come again before"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "code", "message"],
                "properties": {name: {"type": "string"} for name in ("field", "code", "message")},
            },
        },
    },
}


def problems(*kinds: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """Make `responses=` of a route: the service's own refusals by status, with their codes."""
    codes: dict[int, list[str]] = defaultdict(list)
    for kind in kinds:
        codes[status_of(kind)].append(kind.code)
    return {status: _response(names) for status, names in codes.items()}


def _response(codes: list[str]) -> dict[str, Any]:
    return {
        "description": ", ".join(f"`{code}`" for code in codes),
        "content": {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _always_possible(method: str, path: str, operation: dict[str, Any], limited: bool) -> list[type[Problem]]:
    kinds: list[type[Problem]] = [Unavailable, Overloaded]
    if operation.get("security"):
        kinds += [Unauthenticated, Forbidden]
    if operation.get("parameters") or "requestBody" in operation or method == "post":
        kinds.append(Invalid)
    if "requestBody" in operation:
        kinds += [Malformed, TooLarge]
    if "{" in path:
        kinds.append(NotFound)
    if limited:
        kinds.append(TooMany)
    return kinds


def install_openapi(app: FastAPI, root: str, limited_routes: set[tuple[str, str]]) -> None:
    """Replace the app's document generator.

    `root` is the service's path at the gateway, `limited_routes` holds (method, path) of rate-limited routes.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema:
            return app.openapi_schema
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            servers=[{"url": root}],
        )
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = PROBLEM_SCHEMA
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                _complete(method, path, operation, (method, path) in limited_routes)
        app.openapi_schema = document
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


def _complete(method: str, path: str, operation: dict[str, Any], limited: bool) -> None:
    responses = operation["responses"]
    if "application/json" in responses.get("422", {}).get("content", {}):
        del responses["422"]
    for kind in _always_possible(method, path, operation, limited):
        status = str(status_of(kind))
        if status not in responses:
            responses[status] = _response([kind.code])
        elif f"`{kind.code}`" not in responses[status]["description"]:
            responses[status]["description"] += f", `{kind.code}`"
    if method == "post" and operation.get("x-idempotent", True):
        operation.setdefault("parameters", []).append(
            {"name": HEADER, "in": "header", "required": False, "schema": KEY_SCHEMA}
        )
