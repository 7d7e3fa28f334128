"""What the portal makes of the API's refusals and outages."""

import json

import httpx2
import pytest
from structlog.testing import capture_logs

from services.portal.api.certnumber import CertificateRead
from services.portal.api.renewal import PostRead
from services.portal.gateway import ApiProblem, Gateway, Refused, UnexpectedAnswer, read


async def answered(answer: httpx2.Response) -> ApiProblem:
    transport = httpx2.MockTransport(lambda _: answer)
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        with pytest.raises(ApiProblem) as raised:
            await Gateway(client).call(list[PostRead], "GET", "/renewal/v1/posts", address="192.0.2.1")
    return raised.value


@pytest.mark.parametrize("status", [400, 409, 422, 429, 499])
async def test_a_refusal_is_for_the_page_to_explain(status: int) -> None:
    document = {"code": "stale_revision", "detail": "已有更新", "errors": [{"field": "post", "message": "无此岗位"}]}
    problem = await answered(httpx2.Response(status, json=document))
    assert isinstance(problem, Refused)
    assert (problem.status, problem.code, problem.detail) == (status, "stale_revision", "已有更新")
    assert problem.errors == {"post": "无此岗位"}


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_an_outage_is_none(status: int) -> None:
    problem = await answered(httpx2.Response(status, text="<html>"))
    assert not isinstance(problem, Refused)
    assert (problem.status, problem.code) == (status, "unavailable")


CERTIFICATE = {
    "number": "00707100000001",
    "status": "valid",
    "post": "土建施工员",
    "holder": "赵**",
    "enterprise": "南昌一零企业",
    "issued_on": "2026-03-02",
}
POST = '{"code": "10", "name": "土建施工员", "family": "施工员"%s}'


def test_what_a_newer_service_says_more_is_passed_over() -> None:
    assert read(PostRead, POST % ', "level": {"code": 2}') == PostRead(code="10", name="土建施工员", family="施工员")


def test_a_value_that_a_newer_service_adds_to_a_set_is_taken() -> None:
    assert str(read(CertificateRead, json.dumps({**CERTIFICATE, "status": "suspended"})).status) == "suspended"


def test_what_may_be_null_may_be_missing() -> None:
    assert read(CertificateRead, json.dumps(CERTIFICATE)).replaced_by is None


def test_a_missing_field_is_named_and_nothing_is_repeated() -> None:
    with capture_logs() as logged, pytest.raises(UnexpectedAnswer) as raised:
        read(CertificateRead, json.dumps({**CERTIFICATE, "number": ["secret"], "issued_on": "secret"}))
    assert [line["event"] for line in logged] == ["gateway.unexpected_answer"]
    assert "number: string_type" in logged[0]["faults"]
    assert "secret" not in str(logged)
    assert "number: string_type" in str(raised.value)
    assert "issued_on: date" in str(raised.value)
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None
