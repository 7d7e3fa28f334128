"""One request is one transaction, committed before the answer leaves."""

from typing import Any

import pytest

from tests.integration.web.service import Service


async def test_success_is_committed_before_the_answer_leaves(service: Service) -> None:
    seen: list[tuple[str, list[str]]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def watching(message: Any) -> None:
            seen.append((message["type"], await service.names()))
            await send(message)

        await service.app(scope, receive, watching)

    service.http._transport.app = app  # type: ignore[attr-defined]
    assert (await service.http.post("/things", json={"name": "kept"})).status_code == 201
    assert seen == [("http.response.start", ["kept"]), ("http.response.body", ["kept"])]


@pytest.mark.parametrize(
    ("then", "status", "code"), [("refuse", 409, "thing_refused"), ("crash", 500, "internal_error")]
)
async def test_failure_leaves_nothing(service: Service, then: str, status: int, code: str) -> None:
    headers = {"Idempotency-Key": "k"}
    response = await service.http.post("/things", json={"name": "gone", "then": then}, headers=headers)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert await service.names() == []
    assert await service.count("idempotency_keys") == 0


async def test_a_commit_that_fails_is_a_failure(service: Service) -> None:
    headers = {"Idempotency-Key": "k"}
    response = await service.http.post("/things", json={"name": "orphan", "parent": 4711}, headers=headers)
    assert response.status_code == 500
    assert response.json()["code"] == "internal_error"
    assert await service.names() == []
    assert await service.count("idempotency_keys") == 0
    again = await service.http.post("/things", json={"name": "orphan"}, headers=headers)
    assert again.status_code == 201
    assert "idempotency-replayed" not in again.headers


async def test_two_failures_in_one_process_share_nothing(service: Service) -> None:
    """A refused request's connection goes back clean."""
    for _ in range(30):
        await service.http.post("/things", json={"name": "gone", "then": "refuse"})
    assert (await service.http.post("/things", json={"name": "kept"})).status_code == 201
    assert await service.names() == ["kept"]
