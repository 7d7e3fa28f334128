"""Idempotency-Key: the first answer, given again to its owner and to nobody else."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import sqlalchemy as sa

from shared.runtime.maintenance import clean
from shared.web.idempotency import RETENTION, IdempotencyKey
from tests.integration.web.service import Service

REPLAYED = "idempotency-replayed"


async def _post(
    service: Service, key: str | None = "k", path: str = "/things", headers: dict[str, str] | None = None, **body: Any
) -> httpx2.Response:
    keyed = {} if key is None else {"Idempotency-Key": key}
    return await service.http.post(path, json={"name": "one", **body}, headers={**keyed, **(headers or {})})


async def test_the_first_answer_is_given_again(service: Service) -> None:
    first, second = await _post(service), await _post(service)
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content
    assert second.headers["content-type"] == first.headers["content-type"]
    assert (first.headers.get(REPLAYED), second.headers.get(REPLAYED)) == (None, "true")
    assert await service.names() == ["one"]


async def test_without_a_key_or_with_another_it_is_done_again(service: Service) -> None:
    for key in (None, None, "a", "b", "A"):
        assert (await _post(service, key)).status_code == 201
    assert len(await service.names()) == 5


async def test_at_the_same_time(service: Service) -> None:
    answers = await asyncio.gather(*(_post(service) for _ in range(20)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    assert [answer.headers.get(REPLAYED) for answer in answers].count(None) == 1
    assert await service.names() == ["one"]


@pytest.mark.parametrize("other", [{"name": "two"}, {"parent": 1}])
async def test_another_request_under_the_key_is_refused(service: Service, other: dict[str, Any]) -> None:
    await _post(service)
    answer = await _post(service, **other)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert await service.names() == ["one"]


async def test_another_route_under_the_key_is_refused(service: Service) -> None:
    headers, _ = await service.token(uuid4())
    await _post(service, headers=headers)
    answer = await _post(service, path="/own-things", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 101, "\x7f", b"\xe9", b"\xff\xfe"])
async def test_a_key_that_is_none(service: Service, key: str | bytes) -> None:
    headers: Any = {"Idempotency-Key": key}
    answer = await service.http.post("/things", json={"name": "one"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_invalid")
    assert await service.names() == []


async def test_a_refused_request_is_judged_again(service: Service) -> None:
    refused = await _post(service, then="refuse")
    assert refused.status_code == 409
    assert await service.count("idempotency_keys") == 0
    assert (await _post(service)).status_code == 201


async def test_keys_belong_to_their_callers(service: Service) -> None:
    mine, _ = await service.token(uuid4())
    theirs, _ = await service.token(uuid4())
    ids = set()
    for headers in (mine, theirs):
        answer = await _post(service, path="/own-things", headers=headers)
        assert (answer.status_code, answer.headers.get(REPLAYED)) == (201, None)
        ids.add(answer.json()["id"])
    assert len(ids) == 2
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp4"}):
        answer = await _post(service, path="/own-things", headers=headers)
        assert answer.status_code == 401


async def test_the_same_caller_in_another_session(service: Service) -> None:
    subject = uuid4()
    first, _ = await service.token(subject)
    second, _ = await service.token(subject)
    await _post(service, path="/own-things", headers=first)
    assert (await _post(service, path="/own-things", headers=second)).headers[REPLAYED] == "true"


async def test_nothing_is_given_again_after_logging_out(service: Service) -> None:
    headers, session_id = await service.token(uuid4())
    assert (await _post(service, path="/own-things", headers=headers)).status_code == 201
    assert service.container.sessions is not None
    async with service.container.database.transaction() as session:
        await service.container.sessions.end(session, session_id)
    answer = await _post(service, path="/own-things", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")


async def test_strangers_do_not_meet_in_a_key(service: Service) -> None:
    def from_address(address: str) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=service.app, client=(address, 1)), base_url="http://service"
        )

    headers = {"Idempotency-Key": "1"}
    async with from_address("192.0.2.1") as one, from_address("192.0.2.2") as other:
        assert (await one.post("/things", json={"name": "one"}, headers=headers)).status_code == 201
        assert (await other.post("/things", json={"name": "two"}, headers=headers)).status_code == 201
        assert REPLAYED in (await one.post("/things", json={"name": "one"}, headers=headers)).headers
    async with service.container.database.engine.connect() as connection:
        assert "192.0.2." not in str((await connection.execute(sa.select(IdempotencyKey.scope))).all())


async def test_it_is_forgotten_after_its_time(service: Service) -> None:
    await _post(service)
    almost, past = RETENTION * 0.99, RETENTION * 1.01
    for age, remembered in ((almost, True), (past, False)):
        async with service.container.database.transaction() as session:
            await session.execute(sa.update(IdempotencyKey).values(created_at=sa.func.now() - age))
        await clean(service.container.database)
        assert (REPLAYED in (await _post(service)).headers) == remembered
    assert await service.names() == ["one", "one"]


async def test_credentials_are_never_stored(service: Service) -> None:
    answers = [await service.http.post("/secrets", headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].content != answers[1].content
    assert await service.count("idempotency_keys") == 0
    document = service.app.openapi()["paths"]
    assert "Idempotency-Key" in str(document["/things"]["post"])
    assert "Idempotency-Key" not in str(document["/secrets"]["post"])
