"""Taxpayer ids that the business licence has and that still fail the check: an administrator lets them register."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from deploy.synthetic import id_number, taxpayer_id
from shared.values.idnumber import mask
from tests.support.backing import Postgres
from tests.support.office import problem
from tests.support.platform import Harness, embedded_harness

LICENCE = "已核对营业执照原件"


def wrong(serial: int) -> str:
    """An id of which only the check character is wrong."""
    right = taxpayer_id(serial)
    return right[:-1] + ("X" if right[-1] != "X" else "Y")


@pytest.fixture(scope="module")
async def harness(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Harness]:
    async with embedded_harness(postgres, tmp_path_factory.mktemp("enterprise")) as harness:
        yield harness


async def call(harness: Harness, method: str, path: str, token: str = "", **options: Any) -> httpx2.Response:
    return await harness.request(method, f"/api/enterprise/v1{path}", token, **options)


async def register(harness: Harness, taxpayer: str) -> httpx2.Response:
    body = {"taxpayer_id": taxpayer, "name": "厦门例外企业", "contact_name": "联系人", "contact_phone": "0592-8888888"}
    return await call(harness, "POST", "/enterprises", json=body)


async def admit(harness: Harness, taxpayer: str, **more: Any) -> httpx2.Response:
    token = await harness.reviewer("admin", ("admin",))
    body = {"taxpayer_id": taxpayer, "reason": LICENCE, **more}
    return await call(harness, "POST", "/taxpayer-exceptions", token, json=body)


async def trail(harness: Harness, **query: str) -> list[dict[str, Any]]:
    response = await call(harness, "GET", "/audit", await harness.reviewer("admin", ("admin",)), params=query)
    items: list[dict[str, Any]] = response.json()["items"]
    return items


async def test_exactly_this_id_registers_and_logs_in(harness: Harness) -> None:
    taxpayer = wrong(701)
    refused = problem(await register(harness, taxpayer), 422, "invalid_taxpayer_id")
    assert "登记例外" in refused["errors"][0]["message"]
    added = await admit(harness, f" {taxpayer[:8].lower()} {taxpayer[8:]}")
    assert added.status_code == 201, added.text
    assert (added.json()["taxpayer_id"], added.json()["reason"], added.json()["added_by"]) == (
        taxpayer,
        LICENCE,
        "测试审核员",
    )
    other = taxpayer[:-1] + next(c for c in "0123456789" if c not in {taxpayer[-1], taxpayer_id(701)[-1]})
    problem(await register(harness, other), 422, "invalid_taxpayer_id")
    registered = await register(harness, taxpayer)
    assert registered.status_code == 201, registered.text
    assert registered.json()["account"] == taxpayer
    login = await call(harness, "POST", "/sessions", json={"taxpayer_id": taxpayer, "password": "111111"})
    assert login.status_code in {200, 201}, login.text
    problem(await register(harness, taxpayer), 409, "enterprise_exists")
    entries = await trail(harness)
    assert [(e["action"], e["subject"], e["actor"]) for e in entries][:2] == [
        ("exception_used", taxpayer, None),
        ("exception_added", taxpayer, "测试审核员"),
    ]
    assert entries[1]["detail"] == {"reason": LICENCE}


async def test_every_other_rule_holds(harness: Harness) -> None:
    for bad in ("91350211M000", "91350211M0000XUF4I", "36019919901301001101"):
        problem(await admit(harness, bad), 422, "invalid_taxpayer_id")
    problem(await admit(harness, taxpayer_id(702)), 422, "check_digit_right")
    problem(await admit(harness, wrong(702), reason=" \u200b"), 422, "invalid_request")


async def test_a_mistyped_id_of_a_registered_enterprise_is_no_exception(harness: Harness) -> None:
    assert (await register(harness, taxpayer_id(703))).status_code == 201
    problem(await admit(harness, wrong(703)), 409, "enterprise_exists")


async def test_the_trail_finds_one_id_and_none_that_only_looks_like_it_when_masked(harness: Harness) -> None:
    first = wrong(708)
    second = wrong(10_708)[:-4] + first[-4:]
    for each in (first, second):
        assert (await admit(harness, each)).status_code == 201
    assert mask(first) == mask(second)
    assert {entry["subject"] for entry in await trail(harness, taxpayer_id=first)} == {first}


async def test_a_self_employed_person_s_id_is_shown_masked(harness: Harness) -> None:
    person = id_number()
    taxpayer = f"{person[:-1]}{'0' if person[-1] != '0' else '1'}01"
    added = await admit(harness, taxpayer)
    assert added.json()["taxpayer_id"] == mask(taxpayer)
    assert (await register(harness, taxpayer)).status_code == 201
    entries = await trail(harness, taxpayer_id=f" {taxpayer} ")
    assert [entry["action"] for entry in entries] == ["exception_used", "exception_added"]
    assert taxpayer[:18] not in str(entries)


async def test_the_trail_is_searched_by_either_form_of_an_id(harness: Harness) -> None:
    taxpayer = wrong(707)
    await admit(harness, taxpayer)
    assert (await register(harness, taxpayer)).status_code == 201
    for typed in (taxpayer, taxpayer[2:17]):
        entries = await trail(harness, taxpayer_id=typed)
        assert [entry["action"] for entry in entries] == ["exception_used", "exception_added"]
    assert await trail(harness, taxpayer_id=taxpayer_id(708)) == []


async def test_an_exception_is_listed_and_taken_back(harness: Harness) -> None:
    token, taxpayer = await harness.reviewer("admin", ("admin",)), wrong(704)
    exception = (await admit(harness, taxpayer)).json()
    problem(await admit(harness, taxpayer), 409, "exception_exists")
    assert exception in (await call(harness, "GET", "/taxpayer-exceptions", token)).json()["items"]
    path = f"/taxpayer-exceptions/{exception['id']}/revocation"
    problem(await call(harness, "POST", path, token, json={}), 422, "invalid_request")
    assert (await call(harness, "POST", path, token, json={"reason": "看错执照"})).status_code == 204
    problem(await call(harness, "POST", path, token, json={"reason": "看错执照"}), 404, "exception_not_found")
    problem(await register(harness, taxpayer), 422, "invalid_taxpayer_id")
    assert exception not in (await call(harness, "GET", "/taxpayer-exceptions", token)).json()["items"]
    latest = (await trail(harness))[0]
    assert (latest["action"], latest["detail"]) == ("exception_revoked", {"reason": "看错执照"})


async def test_all_that_is_wrong_is_said_at_once(harness: Harness) -> None:
    """The check of the id with the other fields, whether it is an exception or not."""
    for taxpayer, fields in ((wrong(705), ["taxpayer_id", "contact_phone"]), (wrong(706), ["contact_phone"])):
        if fields == ["contact_phone"]:
            await admit(harness, taxpayer)
        body = {"taxpayer_id": taxpayer, "name": "厦门企业", "contact_name": "联系人", "contact_phone": "无"}
        response = await call(harness, "POST", "/enterprises", json=body)
        assert [error["field"] for error in response.json()["errors"]] == fields


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b'{"taxpayer_id": 7}', b'{"taxpayer_id": "\xff"}'])
async def test_a_body_that_is_no_registration(harness: Harness, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    response = await call(harness, "POST", "/enterprises", content=body, headers=headers)
    assert response.status_code in {400, 422}, response.text
