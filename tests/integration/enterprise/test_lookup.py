"""POST /enterprises/lookup: an administrator finds an enterprise by its whole account, and learns only id and name."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from deploy.synthetic import id_number, taxpayer_id
from tests.support.backing import Postgres
from tests.support.office import problem
from tests.support.platform import Harness, embedded_harness


@pytest.fixture(scope="module")
async def harness(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Harness]:
    async with embedded_harness(postgres, tmp_path_factory.mktemp("lookup")) as harness:
        yield harness


async def look_up(harness: Harness, taxpayer: str, token: str | None = None) -> httpx2.Response:
    token = await harness.reviewer("admin", ("admin",)) if token is None else token
    body = {"taxpayer_id": taxpayer}
    return await harness.request("POST", "/api/enterprise/v1/enterprises/lookup", token, json=body)


async def register(harness: Harness, taxpayer: str, name: str = "南昌寻找建设有限公司") -> dict[str, str]:
    body = {"taxpayer_id": taxpayer, "name": name, "contact_name": "联系人", "contact_phone": "0791-88888888"}
    answer = await harness.request("POST", "/api/enterprise/v1/enterprises", json=body)
    assert answer.status_code == 201, answer.text
    return {"id": answer.json()["id"], "name": name}


async def test_every_form_that_logs_in_finds_the_enterprise(harness: Harness) -> None:
    new, old = taxpayer_id(801), taxpayer_id(802)[2:17]
    registered, elder = await register(harness, new), await register(harness, old, "老字号企业")
    for typed in (new, f" {new[:8].lower()} {new[8:]}", new[2:17]):
        assert (await look_up(harness, typed)).json() == registered
    for typed in (old, taxpayer_id(802)):
        assert (await look_up(harness, typed)).json() == elder


async def test_a_self_employed_person_is_found_without_the_id_number(harness: Harness) -> None:
    taxpayer = id_number() + "01"
    registered = await register(harness, taxpayer, "个体工商户")
    found = await look_up(harness, taxpayer.lower())
    assert found.json() == registered
    assert taxpayer[:18] not in found.text


async def test_an_unknown_or_impossible_account_is_said_without_the_id(harness: Harness) -> None:
    unknown = await look_up(harness, taxpayer_id(803))
    problem(unknown, 404, "enterprise_not_found")
    wrong = await look_up(harness, "9136")
    assert problem(wrong, 422, "invalid_taxpayer_id")["errors"][0]["field"] == "taxpayer_id"
    problem(await look_up(harness, "\u200b "), 422, "invalid_request")
    assert taxpayer_id(803) not in unknown.text


async def test_only_administrators_may_ask(harness: Harness) -> None:
    taxpayer = taxpayer_id(804)
    await register(harness, taxpayer)
    problem(await look_up(harness, taxpayer, ""), 401, "unauthenticated")
    for roles in (("reviewer",), ("registrar",)):
        token = await harness.reviewer(f"lookup-{roles[0]}", roles)
        problem(await look_up(harness, taxpayer, token), 403, "forbidden")
    body = {"taxpayer_id": taxpayer, "password": "111111"}
    login = await harness.request("POST", "/api/enterprise/v1/sessions", json=body)
    assert (await look_up(harness, taxpayer, login.json()["access_token"])).status_code == 403
