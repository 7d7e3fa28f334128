"""What the portal makes of the API's refusals and outages."""

import httpx2
import pytest

from services.portal.gateway import ApiProblem, Gateway, Refused


async def answered(answer: httpx2.Response) -> ApiProblem:
    transport = httpx2.MockTransport(lambda _: answer)
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        with pytest.raises(ApiProblem) as raised:
            await Gateway(client).call("GET", "/renewal/v1/posts", address="192.0.2.1")
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
