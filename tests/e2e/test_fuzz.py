"""Schemathesis over every operation of the four OpenAPI documents, as a caller who may call it.

Deterministic and bounded. Requests go to the platform in this process, on this test's event loop; the generator runs in
a thread beside it.
"""

import asyncio
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx2
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from deploy.synthetic import jpeg, taxpayer_id
from services.renewal.registry.file import FIELDS
from shared.web.pagination import encode_cursor
from tests.e2e.operations import SELF_HARMING, SERVICES, Operation, World, operations, person, seed
from tests.support.platform import BASE, Harness

EXAMPLES = 12
# What is generated changes with any constant in our code, so a few may all be refused where some would not.
MORE_EXAMPLES = 150
REQUEST_PARTS = {"method", "url", "headers", "params", "data", "json", "files", "cookies"}
# They need a secret or a state that generated data does not have.
ONLY_REFUSED = {
    "enterprise POST /sessions",
    "enterprise POST /sessions/refresh",
    "enterprise POST /browser-sessions",
    "enterprise POST /browser-sessions/access",
    "enterprise POST /browser-sessions/rotation",
    "enterprise PUT /password",
    "enterprise POST /taxpayer-exceptions",
    "renewal POST /applications/{application_id}/submission",
    "renewal POST /applications/{application_id}/cancellation",
    "renewal PATCH /registry/people/{person_id}",
    "renewal PATCH /registry/certificates/{certificate_id}",
    "renewal POST /registry/certificates/{certificate_id}/removal",
    "renewal POST /registry/certificates/{certificate_id}/restoration",
    "review POST /sessions",
    "review POST /sessions/refresh",
    "review POST /browser-sessions",
    "review POST /browser-sessions/access",
    "review POST /browser-sessions/rotation",
    "review PUT /password",
}
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
async def world(shared_embedded: Harness) -> World:
    return await seed(shared_embedded)


def _budget(examples: int) -> Callable[[Any], Any]:
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


class Fuzzer:
    """Blocking; to be run in a thread while `loop` serves the requests."""

    def __init__(self, world: World, service: str, loop: asyncio.AbstractEventLoop) -> None:
        self._world = world
        self._loop = loop
        document = deepcopy(world.harness.platform.apps[service].openapi())
        # The token is this test's own affair, not a header to be generated.
        del document["components"]["securitySchemes"]
        for methods in document["paths"].values():
            for operation in methods.values():
                operation.pop("security", None)
        self._schema = schemathesis.openapi.from_dict(document)
        self._real: dict[str, Any] = {
            "id_number": person(0),
            "post": "10",
            "taxpayer_id": taxpayer_id(7),
            "layout": "X{post}{serial:05}",
            "posts": ["10"],
            "file": jpeg(seed=777),
            "items": [{"application_id": world.pending, "revision": 1}],
            "reason_code": "information_false",
            "yearly": False,
            "application_ids": [world.pending],
            "cursor": encode_cursor(datetime(2026, 1, 1, tzinfo=UTC), UUID(int=0)),
            **dict.fromkeys(("from", "added_from"), "2000-01-01"),
            **dict.fromkeys(("to", "added_to"), "2999-12-31"),
        }
        self.answers: dict[str, set[int]] = {}

    def run(self, operation: Operation) -> None:
        """Give it generated requests: more of them, if it should get somewhere and has not."""
        if (operation.method, operation.path) in SELF_HARMING:
            self._run(operation, 2)
        else:
            self._run(operation, EXAMPLES)
            if str(operation) not in ONLY_REFUSED and not self.got_somewhere(operation):
                self._run(operation, MORE_EXAMPLES)

    def got_somewhere(self, operation: Operation) -> bool:
        return min(self.answers[str(operation)]) < 400

    def _run(self, operation: Operation, examples: int) -> None:
        generated = self._schema[operation.path][operation.method]

        @_budget(examples)
        @given(generated.as_strategy(generation_mode=GenerationMode.POSITIVE), st.booleans())
        def accepts(case: Case[Any], existing: bool) -> None:
            if existing:
                self._make_real(operation, case)
            self._check(operation, case, CHECKS)

        @_budget(examples)
        @given(generated.as_strategy(generation_mode=GenerationMode.NEGATIVE))
        def refuses(case: Case[Any]) -> None:
            self._check(operation, case, [*CHECKS, negative_data_rejection])

        accepts()
        if operation.parameters("path") or operation.parameters("query") or operation.media_type:
            refuses()

    def _make_real(self, operation: Operation, case: Case[Any]) -> None:
        """Put in what the world holds, so that the operation gets beyond "not found" and "not valid"."""
        for name in operation.parameters("path"):
            case.path_parameters[name] = self._world.ids[name]
        if operation.method != "GET" and "application_id" in case.path_parameters:
            case.path_parameters["application_id"] = self._world.draft
        for part in (case.query, case.body):
            if isinstance(part, dict):
                part.update({name: value for name, value in self._real.items() if name in part})
        if operation.path == "/registry/imports":
            table: Any = {"file": f"{','.join(FIELDS)}\n{person(0)},某某,,,\n".encode()}
            case.body = table

    def _check(self, operation: Operation, case: Case[Any], checks: list[Any]) -> None:
        response = self._send(operation, case, self._world.token(operation))
        self.answers.setdefault(str(operation), set()).add(response.status_code)
        case.validate_response(response, checks=checks)
        if not operation.is_public and response.status_code < 400:
            unknown = self._send(operation, case, "")
            assert unknown.status_code == 401, f"{operation} without a token: {unknown.status_code}"

    def _send(self, operation: Operation, case: Case[Any], token: str) -> httpx2.Response:
        parts = case.as_transport_kwargs(base_url=f"{BASE}/api/{operation.service}/v1")
        prepared = requests.Request(**{name: parts[name] for name in REQUEST_PARTS & parts.keys()}).prepare()
        authorization = {"Authorization": f"Bearer {token}"} if token else {}
        options: Any = {"content": prepared.body, "headers": {**prepared.headers, **authorization}}
        request = self._world.harness.http.request(str(prepared.method), str(prepared.url), **options)
        return asyncio.run_coroutine_threadsafe(request, self._loop).result()


@pytest.mark.parametrize("service", SERVICES)
async def test_fuzz(world: World, service: str) -> None:
    fuzzer = Fuzzer(world, service, asyncio.get_running_loop())
    all_operations = operations(world.harness.platform, service)
    for operation in all_operations:
        await asyncio.to_thread(fuzzer.run, operation)
    only_refused = {str(operation) for operation in all_operations if not fuzzer.got_somewhere(operation)}
    assert only_refused == ONLY_REFUSED & fuzzer.answers.keys(), "as many operations as possible should get somewhere"
