"""Captcha, login, lockout and the initial password."""

import asyncio
import base64
import io
from collections import Counter
from typing import Any, cast

import pytest
import sqlalchemy as sa
from PIL import Image

from services.review.service import reviewers
from shared.auth import guard, passwords, sessions
from shared.auth.tables import Captcha
from tests.integration.review.desk import PASSWORD, Desk

NEW_PASSWORD = "Tian-qing-2026"


async def test_captcha_is_a_picture_and_its_answer_is_not_stored(desk: Desk) -> None:
    client = await desk.open()
    body = (await client.post("/captchas")).json()
    assert body["expires_in"] == 120
    with Image.open(io.BytesIO(base64.b64decode(body["image"].removeprefix("data:image/png;base64,")))) as image:
        assert image.format == "PNG"
    async with desk.container.database.transaction() as session:
        (stored,) = await session.scalars(sa.select(Captcha))
    assert body["answer"] not in stored.answer_hash


async def test_captcha_answer_ignores_case(desk: Desk) -> None:
    await desk.add_reviewer("li.na")
    captcha = await desk.captcha()
    captcha["captcha_answer"] = f" {captcha['captcha_answer'].lower()} "
    assert (await desk.log_in("LI.Na", **captcha)).status_code == 201


async def test_captcha_is_good_once(desk: Desk) -> None:
    await desk.add_reviewer("li.na")
    captcha = await desk.captcha()
    assert (await desk.log_in("li.na", **captcha)).status_code == 201
    again = await desk.log_in("li.na", **captcha)
    assert (again.status_code, again.json()["code"]) == (422, "wrong_captcha")


async def test_captcha_used_twice_at_once_opens_one_session(desk: Desk) -> None:
    await desk.add_reviewer("li.na")
    captcha = await desk.captcha()
    responses = await asyncio.gather(*(desk.log_in("li.na", **captcha) for _ in range(8)))
    assert sorted(response.status_code for response in responses) == [201] + [422] * 7


async def test_wrong_answer_burns_the_captcha(desk: Desk) -> None:
    await desk.add_reviewer("li.na")
    captcha = await desk.captcha()
    for answer in ("wrong", captcha["captcha_answer"]):
        response = await desk.log_in("li.na", captcha_id=captcha["captcha_id"], captcha_answer=answer)
        assert (response.status_code, response.json()["code"]) == (422, "wrong_captcha")


async def test_captcha_expires(desk: Desk) -> None:
    await desk.add_reviewer("li.na")
    captcha = await desk.captcha()
    desk.clock.advance(seconds=120)
    assert (await desk.log_in("li.na", **captcha)).json()["code"] == "wrong_captcha"
    await desk.captcha()
    desk.clock.advance(seconds=120)
    kept = await desk.captcha()
    async with desk.container.database.transaction() as session:
        assert [str(row.id) for row in await session.scalars(sa.select(Captcha))] == [kept["captcha_id"]]


async def test_wrong_captcha_does_not_count_as_a_failed_login(desk: Desk) -> None:
    await desk.add_reviewer("li.na")
    for _ in range(6):
        await desk.log_in("li.na", **await desk.captcha() | {"captcha_answer": "wrong"})
    assert (await desk.log_in("li.na")).status_code == 201


async def test_unknown_disabled_and_wrong_get_one_answer(desk: Desk) -> None:
    await desk.add_reviewer("li.na")
    await desk.add_reviewer("gone")
    async with desk.container.database.transaction() as session:
        await session.execute(sa.text("UPDATE reviewers SET disabled_at = now() WHERE username = 'gone'"))
    answers = [
        await desk.log_in("nobody"),
        await desk.log_in("gone"),
        await desk.log_in("li.na", "not the password"),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert answers[0].json()["code"] == "wrong_credentials"


async def test_lockout_ends_by_itself(desk: Desk) -> None:
    await desk.add_reviewer("li.na")
    for _ in range(5):
        assert (await desk.log_in("Li.Na", "not the password")).status_code == 401
        desk.clock.advance(seconds=4)
    locked = await desk.log_in("li.na")
    assert (locked.status_code, locked.json()["code"]) == (429, "account_locked")
    assert int(locked.headers["Retry-After"]) > 0
    desk.clock.advance(minutes=15)
    assert (await desk.log_in("li.na")).status_code == 201


async def test_burst_of_failed_logins_does_not_exhaust_the_pool(desk: Desk) -> None:
    await desk.add_reviewer("li.na")
    captchas = [await desk.captcha() for _ in range(20)]
    responses = await asyncio.gather(*(desk.log_in(f"nobody{n}", **c) for n, c in enumerate(captchas)))
    assert {response.status_code for response in responses} == {401}


async def test_no_connection_is_held_while_a_password_is_hashed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    pool = cast("sa.QueuePool", desk.container.database.engine.pool)
    for module, name in ((guard, "verify_password"), (sessions, "hash_password"), (reviewers, "hash_password")):

        async def watched(*arguments: Any, original: Any = getattr(passwords, name)) -> Any:
            held.append(pool.checkedout())
            return await original(*arguments)

        monkeypatch.setattr(module, name, watched)
    await desk.add_reviewer("li.na")
    held.clear()
    token = (await desk.log_in("li.na")).json()["access_token"]
    change = {"old_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert (await (await desk.open(token)).put("/password", json=change)).status_code == 204
    assert (await desk.log_in("li.na", NEW_PASSWORD)).status_code == 201
    assert held == [0, 0, 0, 0]
    admin = await desk.as_role("admin")
    held.clear()
    created = await admin.post("/reviewers", json={"username": "wang", "name": "王", "roles": ["reviewer"]})
    assert (await admin.post(f"/reviewers/{created.json()['id']}/password-reset")).status_code == 200
    assert held == [0, 0]


async def test_an_account_disabled_while_its_password_is_checked_is_not_let_in(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.add_reviewer("li.na")
    original = passwords.verify_password

    async def disabling(password: str, stored: str | None) -> bool:
        fits = await original(password, stored)
        async with desk.container.database.transaction() as session:
            await session.execute(sa.text("UPDATE reviewers SET disabled_at = now() WHERE username = 'li.na'"))
        return fits

    monkeypatch.setattr(guard, "verify_password", disabling)
    refused = await desk.log_in("li.na")
    assert (refused.status_code, refused.json()["code"]) == (401, "wrong_credentials")
    assert ("log_in_failed", "li.na") in [(entry["action"], entry["subject"]) for entry in await desk.audit()]


async def test_initial_password_opens_only_its_own_change(desk: Desk) -> None:
    admin = await desk.as_role("admin")
    created = (await admin.post("/reviewers", json={"username": "wang", "name": "王", "roles": ["reviewer"]})).json()
    login = (await desk.log_in("wang", created["initial_password"])).json()
    assert login["must_change_password"] is True
    client = await desk.open(login["access_token"])
    assert (await client.get("/items")).json()["code"] == "password_change_required"
    me = (await client.get("/me")).json()
    assert me == {
        "id": created["id"],
        "username": "wang",
        "name": "王",
        "roles": ["reviewer"],
        "must_change_password": True,
    }
    change = {"old_password": created["initial_password"], "new_password": NEW_PASSWORD}
    assert (await client.put("/password", json=change)).status_code == 204
    refreshed = await client.post("/sessions/refresh", json={"refresh_token": login["refresh_token"]})
    client = await desk.open(refreshed.json()["access_token"])
    assert (await client.get("/items")).status_code == 200


async def test_logins_and_password_changes_are_audited(desk: Desk) -> None:
    client = await desk.as_role("reviewer")
    await desk.log_in("reviewer", "not the password")
    await desk.log_in("nobody", "not the password")
    wrong = {"old_password": "not the password", "new_password": NEW_PASSWORD}
    assert (await client.put("/password", json=wrong)).json()["code"] == "wrong_old_password"
    assert (await client.put("/password", json=wrong | {"old_password": PASSWORD})).status_code == 204
    assert (await client.delete("/sessions/current")).status_code == 204
    entries = [entry for entry in await desk.audit() if entry["actor"] != "姓名admin"]
    assert Counter((entry["action"], entry["subject"], entry["actor"]) for entry in entries) == Counter(
        [
            ("log_in", "reviewer", "姓名reviewer"),
            ("log_in_failed", "reviewer", None),
            ("log_in_failed", None, None),
            ("password_change_failed", "reviewer", "姓名reviewer"),
            ("password_changed", "reviewer", "姓名reviewer"),
            ("log_out", "reviewer", "姓名reviewer"),
        ]
    )
    assert "nobody" not in str(entries)
    assert PASSWORD not in str(entries)


@pytest.mark.parametrize("path", ["/items", "/audit", "/reviewers", "/reasons", "/me"])
async def test_nobody_gets_nothing(desk: Desk, path: str) -> None:
    client = await desk.open()
    assert (await client.get(path)).json()["code"] == "unauthenticated"
