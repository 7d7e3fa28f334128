"""Problem documents, limits, headers and traces on every answer; personal data in no log."""

import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from deploy.synthetic import id_number
from shared.observability.telemetry import configure_logging
from shared.web.middleware import SECURITY_HEADERS
from tests.integration.web.service import SERVICE, UPLOAD_LIMIT, Service, running
from tests.support.backing import Postgres
from tests.support.platform import service_database

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
NUMBER = id_number(sequence=77)
PHONE = "13800138000"


async def _answers(service: Service) -> dict[int, httpx2.Response]:
    """One answer of every kind by its status."""
    http = service.http
    answers = [
        await http.get("/things/x"),
        await http.post("/things", json={"name": "x"}),
        await http.post("/things", content=b"[" * 100_000, headers={"Content-Type": "application/json"}),
        await http.post("/own-things", json={"name": "x"}),
        await http.get("/nowhere"),
        await http.delete("/things"),
        await http.post("/things", json={"name": "x", "then": "refuse"}),
        await http.post("/things", content=b"x" * (1024 * 1024 + 1)),
        await http.post("/things", json={}),
        await http.post("/things", json={"name": "x", "then": "crash"}),
    ]
    return {answer.status_code: answer for answer in answers}


async def test_every_answer_has_the_headers(service: Service) -> None:
    answers = await _answers(service)
    assert answers.keys() == {200, 201, 400, 401, 404, 405, 409, 413, 422, 500}
    for status, answer in answers.items():
        for name, value in SECURITY_HEADERS:
            assert answer.headers[name.decode()] == value.decode(), status
        assert answer.headers.get_list("traceparent") == [answer.headers["traceparent"]]


async def test_problems_are_documents(service: Service) -> None:
    for status, answer in (await _answers(service)).items():
        if status >= 400:
            problem = answer.json()
            assert answer.headers["content-type"] == "application/problem+json"
            assert problem.keys() >= {"type", "title", "status", "code", "detail"}
            assert problem["status"] == status
    assert (await _answers(service))[401].headers["www-authenticate"] == "Bearer"


async def test_a_problems_members_do_not_replace_its_own(service: Service) -> None:
    problem = (await service.http.post("/things", json={"name": "x", "then": "refuse"})).json()
    assert (problem["status"], problem["since"]) == (409, "yesterday")


async def test_allow_names_every_method_of_the_path(service: Service) -> None:
    answer = await service.http.put("/things/x")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, PATCH"


async def test_field_errors_name_the_field_and_not_the_value(service: Service) -> None:
    body = json.dumps({"name": 5, "parent": NUMBER[:17] + "X", "rank": NUMBER})
    answer = await service.http.post("/things", content=body, headers={"Content-Type": "application/json"})
    errors = {error["field"]: error["code"] for error in answer.json()["errors"]}
    assert errors == {"name": "string_type", "parent": "int_parsing", "rank": "extra_forbidden"}
    assert NUMBER[:17] not in answer.text
    assert NUMBER not in answer.text


async def test_an_upload_over_its_limit(service: Service) -> None:
    fits = {"file": ("a", b"x" * (UPLOAD_LIMIT - 1000))}
    assert (await service.http.put("/upload", files=fits)).json() == UPLOAD_LIMIT - 1000
    answer = await service.http.put("/upload", files={"file": ("a", b"x" * (UPLOAD_LIMIT + 1))})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_a_false_content_length_helps_nobody(service: Service) -> None:
    async def much() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b"x" * 65536

    for length in ("1", "-1", "1e3", ""):
        answer = await service.http.post("/things", content=much(), headers={"Content-Length": length})
        assert answer.status_code == 413, length


async def test_an_answer_that_breaks_off_is_not_completed(service: Service) -> None:
    with pytest.raises(ConnectionAbortedError):
        await service.http.get("/stream")


async def test_a_trace_is_continued_or_begun(service: Service) -> None:
    continued = await service.http.get("/things/x", headers={"traceparent": TRACE})
    assert continued.headers["traceparent"] == TRACE
    begun = set()
    for nonsense in ("", "00-xyz", TRACE.upper(), TRACE + "-x", TRACE + "\n", b"\xff"):
        headers: Any = {"traceparent": nonsense}
        answer = await service.http.get("/things/x", headers=headers)
        begun.add(answer.headers["traceparent"])
    assert len(begun) == 6
    assert TRACE not in begun


async def test_a_limit_counts_the_route_and_not_the_path(service: Service) -> None:
    answers = [await service.http.get(f"/limited/{number}") for number in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert int(answers[-1].headers["retry-after"]) > 0


async def _limited(service: Service, address: str, headers: dict[str, str] | None = None, times: int = 4) -> list[int]:
    async with service.client(address) as http:
        return [(await http.get("/limited/x", headers=headers)).status_code for _ in range(times)]


async def test_tokens_of_ones_own_open_no_count_beside_the_address(service: Service) -> None:
    tokens = [(await service.token(uuid4()))[0] for _ in range(4)]
    answers = [await _limited(service, "10.0.0.1", token, 1) for token in tokens]
    assert answers == [[200], [200], [200], [429]]
    assert await _limited(service, "10.0.0.1") == [429] * 4
    assert await _limited(service, "10.0.0.2") == [200, 200, 200, 429]


async def test_addresses_of_ones_own_open_no_count_beside_the_account(service: Service) -> None:
    token, _ = await service.token(uuid4())
    answers = [await _limited(service, f"10.0.1.{n}", token, 1) for n in range(4)]
    assert answers == [[200], [200], [200], [429]]
    same_network = [await _limited(service, f"2001:db8::{n}", None, 1) for n in range(4)]
    assert same_network == [[200], [200], [200], [429]]


async def test_forged_tokens_count_for_the_address(service: Service) -> None:
    forged = [await _limited(service, "10.0.2.1", {"Authorization": f"Bearer {n}.x.y"}, 1) for n in range(4)]
    assert forged == [[200], [200], [200], [429]]


async def test_limits_can_be_left_to_the_gateway(postgres: Postgres) -> None:
    with service_database(postgres, SERVICE) as url:
        async with running(url, rate_limits=False) as service:
            assert {(await service.http.get(f"/limited/{n}")).status_code for n in range(5)} == {200}


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Everything the process would log, as it would be written."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    configure_logging("DEBUG")
    written = io.StringIO()
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written)
    yield written
    root.handlers, root.level = before, level


async def test_personal_data_is_in_no_log(service: Service, logged: io.StringIO) -> None:
    http = service.http
    for text in (NUMBER, PHONE, "欧阳张三"):
        assert (await http.get(f"/things/{text}", params={"hint": text})).status_code == 200
        assert (await http.get(f"/{text}")).status_code == 404
        await http.post("/things", json={"name": text, text: text})
        await http.post("/things", json={"name": text, "then": "crash"})
        await http.post("/things", json={"name": text, "parent": 4711})
        odd: Any = {"Idempotency-Key": text.encode(), "X-Name": text.encode()}
        await http.post("/things", json={"name": text}, headers=odd)
        await http.post("/things", content=f'{{"name": "{text}'.encode(), headers={"Content-Type": "application/json"})
        # The database refuses these: too large for the column, and not representable as text.
        assert (await http.patch(f"/things/{text}", params={"number": 2**70})).status_code == 500
        assert (await http.get(f"/things/{text}%00")).status_code == 500
    lines = logged.getvalue()
    assert '"event": "http.failed"' in lines
    assert '"event": "http.request"' in lines
    for text in (NUMBER, NUMBER[:17], PHONE, "欧阳张三", "\\u6b27"):
        assert text not in lines
