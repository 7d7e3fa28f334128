"""Sessions of a web portal at both issuing services: what opens, continues, renames and ends them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import sqlalchemy as sa

from shared.auth.tables import LoginSession
from tests.integration.auth.issuer import (
    ISSUERS,
    LOCKED,
    NEW_PASSWORD,
    PASSWORD,
    WRONG,
    Portal,
    change_reviewer,
    new_reviewer,
)
from tests.support.backing import Postgres
from tests.support.platform import Harness, embedded_harness


async def test_login_gives_id_token_and_account(portal: Portal) -> None:
    opened = await portal.log_in()
    me = (await portal.call("GET", "/me", opened["access_token"])).json()
    roles = {"enterprise": ["enterprise"], "review": ["admin", "reviewer"]}[portal.service]
    assert opened.pop("access_token")
    assert len(opened.pop("session_id")) >= 43, "256 bits in base64"
    # Of the account, not of the session.
    assert opened.pop("seal_key") == (await portal.log_in())["seal_key"]
    assert opened == {
        "token_type": "Bearer",
        "expires_in": 600,
        "must_change_password": False,
        "account": {"id": me["id"], "name": me["name"], "roles": roles},
    }


async def test_the_database_does_not_hold_the_id(portal: Portal) -> None:
    session_id = (await portal.log_in())["session_id"]
    async with portal.harness.platform.containers[portal.service].database.transaction() as session:
        stored = (await session.execute(sa.text("SELECT sessions::text FROM sessions"))).scalars().all()
        hashes = (await session.scalars(sa.select(LoginSession.secret_hash))).all()
    assert not any(session_id in row or hashlib.sha256(session_id.encode()).hexdigest() in row for row in stored)
    for known in hashes[-3:]:
        assert await portal.is_dead(known)


async def test_access_as_often_as_wanted_and_at_once(portal: Portal) -> None:
    opened = await portal.log_in()
    for _ in range(2):
        answers = await asyncio.gather(*(portal.access(opened["session_id"]) for _ in range(20)))
        assert {answer.status_code for answer in answers} == {200}
    body = answers[0].json()
    assert (await portal.call("GET", "/me", body.pop("access_token"))).status_code == 200
    assert body == {
        name: opened[name] for name in ("token_type", "expires_in", "must_change_password", "account", "seal_key")
    }


async def test_last_seen_is_written_once_a_minute(portal: Portal) -> None:
    session_id = (await portal.log_in())["session_id"]
    with portal.session_updates() as updates:
        await asyncio.gather(*(portal.access(session_id) for _ in range(10)))
        assert updates == []
        portal.harness.clock.advance(seconds=61)
        await asyncio.gather(*(portal.access(session_id) for _ in range(10)))
        assert sum(updates) == 1
        await portal.access(session_id)
        assert sum(updates) == 1


async def test_idle_limit(portal: Portal) -> None:
    session_id, rotated = [(await portal.log_in())["session_id"] for _ in range(2)]
    for _ in range(3):
        portal.harness.clock.advance(minutes=29)
        assert (await portal.access(session_id)).status_code == 200
        rotated = (await portal.rotate(rotated)).json()["session_id"]
    portal.harness.clock.advance(minutes=30, seconds=1)
    assert await portal.is_dead(session_id)
    assert await portal.is_dead(rotated)


async def test_absolute_limit(portal: Portal) -> None:
    session_id = (await portal.log_in())["session_id"]
    for _ in range(28):
        portal.harness.clock.advance(minutes=25)
        assert (await portal.access(session_id)).status_code == 200
    session_id = (await portal.rotate(session_id)).json()["session_id"]
    portal.harness.clock.advance(minutes=20)
    assert await portal.is_dead(session_id)


async def test_rotation_gives_the_same_session_a_new_id(portal: Portal) -> None:
    opened = await portal.log_in()
    rotated = (await portal.rotate(opened["session_id"])).json()
    assert rotated.keys() == opened.keys()
    assert rotated["session_id"] != opened["session_id"]
    assert rotated["account"] == opened["account"]
    assert _session_of(rotated["access_token"]) == _session_of(opened["access_token"])
    assert await portal.is_dead(opened["session_id"])
    assert (await portal.access(rotated["session_id"])).status_code == 200, "an old id that comes again ends nothing"


async def test_of_many_rotations_at_once_one_wins(portal: Portal) -> None:
    session_id = (await portal.log_in())["session_id"]
    answers = await asyncio.gather(*(portal.rotate(session_id) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7
    (won,) = [answer.json()["session_id"] for answer in answers if answer.status_code == 200]
    assert (await portal.access(won)).status_code == 200


async def test_refresh_token_and_session_id_are_not_interchangeable(portal: Portal) -> None:
    browser, program = await portal.log_in(), await portal.log_in("/sessions")
    assert "refresh_token" not in browser
    assert "session_id" not in program
    assert await portal.is_dead(program["refresh_token"])
    for _ in range(2):
        answer = await portal.post("/sessions/refresh", refresh_token=browser["session_id"])
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_refresh_token")
    assert (await portal.access(browser["session_id"])).status_code == 200
    refreshed = await portal.post("/sessions/refresh", refresh_token=program["refresh_token"])
    assert refreshed.status_code == 200
    assert await portal.is_dead(program["refresh_token"])
    assert await portal.is_dead(refreshed.json()["refresh_token"])


async def test_an_id_opens_nothing_else(portal: Portal) -> None:
    opened = await portal.log_in()
    assert await portal.is_dead("no such id")
    assert await portal.is_dead(_session_of(opened["access_token"]))
    assert await portal.is_dead(opened["access_token"][:200])
    (other,) = set(ISSUERS) - {portal.service}
    assert await Portal(portal.harness, other, {}).is_dead(opened["session_id"])
    assert (await portal.call("GET", "/me", opened["session_id"])).status_code == 401
    assert (await portal.access(opened["session_id"])).status_code == 200


async def test_refusals_are_told_in_chinese(portal: Portal) -> None:
    answer = await portal.access("no such id")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "登录已失效，请重新登录"


async def test_logout_kills_it_at_once(portal: Portal) -> None:
    opened, other = await portal.log_in(), await portal.log_in()
    token = (await portal.access(opened["session_id"])).json()["access_token"]
    assert (await portal.call("DELETE", "/sessions/current", token)).status_code == 204
    assert await portal.is_dead(opened["session_id"])
    for dead in (token, opened["access_token"]):
        assert (await portal.call("GET", "/me", dead)).status_code == 401
    assert (await portal.access(other["session_id"])).status_code == 200


async def test_password_change_keeps_this_session_and_ends_the_others(portal: Portal) -> None:
    mine, thiefs, program = await portal.log_in(), await portal.log_in(), await portal.log_in("/sessions")
    change = {"old_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert (await portal.call("PUT", "/password", mine["access_token"], json=change)).status_code == 204
    assert await portal.is_dead(thiefs["session_id"])
    assert (await portal.post("/sessions/refresh", refresh_token=program["refresh_token"])).status_code == 401
    assert (await portal.access(mine["session_id"])).status_code == 200
    program = await portal.log_in("/sessions", NEW_PASSWORD)
    back = {"old_password": NEW_PASSWORD, "new_password": PASSWORD}
    assert (await portal.call("PUT", "/password", program["access_token"], json=back)).status_code == 204
    assert await portal.is_dead(mine["session_id"])


async def test_a_refused_password_change_ends_nothing(portal: Portal) -> None:
    mine, other = await portal.log_in(), await portal.log_in()
    change = {"old_password": WRONG, "new_password": NEW_PASSWORD}
    assert (await portal.call("PUT", "/password", mine["access_token"], json=change)).status_code == 422
    for opened in (mine, other):
        assert (await portal.access(opened["session_id"])).status_code == 200


async def test_initial_password_of_a_reviewer(reviewer: Portal) -> None:
    admin = await reviewer.harness.reviewer("the-admin", ("admin",))
    reset = f"/reviewers/{(await reviewer.log_in())['account']['id']}/password-reset"
    initial = (await reviewer.call("POST", reset, admin)).json()["initial_password"]
    opened = await reviewer.log_in(password=initial)
    assert opened["must_change_password"] is True
    assert (await reviewer.call("GET", "/items", opened["access_token"])).json()["code"] == "password_change_required"
    change = {"old_password": initial, "new_password": NEW_PASSWORD}
    assert (await reviewer.call("PUT", "/password", opened["access_token"], json=change)).status_code == 204
    rotated = (await reviewer.rotate(opened["session_id"])).json()
    assert rotated["must_change_password"] is False
    assert (await reviewer.call("GET", "/items", rotated["access_token"])).status_code == 200
    assert await reviewer.is_dead(opened["session_id"])


@pytest.mark.parametrize("change", [{"disabled": True}, {"roles": ["reviewer"]}, {"roles": ["registrar", "admin"]}])
async def test_disabling_or_taking_a_role_ends_all(reviewer: Portal, change: dict[str, Any]) -> None:
    sessions = [await reviewer.log_in() for _ in range(2)]
    await change_reviewer(reviewer, sessions[0]["account"]["id"], **change)
    for opened in sessions:
        assert await reviewer.is_dead(opened["session_id"])
    await change_reviewer(reviewer, sessions[0]["account"]["id"], disabled=False, roles=["reviewer", "registrar"])
    assert await reviewer.is_dead(sessions[0]["session_id"]), "what ended does not come back"


async def test_an_inactive_account_is_refused_whatever_its_sessions_say(reviewer: Portal) -> None:
    opened = await reviewer.log_in()
    async with reviewer.harness.platform.containers["review"].database.transaction() as session:
        disable = sa.text("UPDATE reviewers SET disabled_at = now() WHERE username = :username")
        await session.execute(disable, reviewer.login)
    assert await reviewer.is_dead(opened["session_id"])


async def test_access_shows_the_account_as_it_is_now(reviewer: Portal) -> None:
    opened = await reviewer.log_in()
    await change_reviewer(reviewer, opened["account"]["id"], name="新名", roles=["reviewer", "registrar", "admin"])
    body = (await reviewer.access(opened["session_id"])).json()
    assert body["account"] == {
        "id": opened["account"]["id"],
        "name": "新名",
        "roles": ["admin", "registrar", "reviewer"],
    }
    assert (await reviewer.call("GET", "/reviewers", body["access_token"])).status_code == 200


async def test_both_ways_of_logging_in_share_the_lockout(portal: Portal) -> None:
    paths = ["/sessions", "/browser-sessions"]
    for attempt in range(5):
        assert await portal.guess(paths[attempt % 2], captcha=True) == (401, "wrong_credentials")
        portal.harness.clock.advance(seconds=4)
    for path in paths:
        assert await portal.guess(path, password=PASSWORD, captcha=True) == LOCKED
    portal.harness.clock.advance(minutes=15)
    await portal.log_in()


async def test_logins_are_audited_and_spend_the_captcha(reviewer: Portal) -> None:
    credentials = await reviewer.credentials(WRONG)
    assert (await reviewer.post("/browser-sessions", **credentials)).status_code == 401
    again = await reviewer.post("/browser-sessions", **credentials | {"password": PASSWORD})
    assert (again.status_code, again.json()["code"]) == (422, "wrong_captcha")
    opened = await reviewer.log_in()
    await reviewer.call("DELETE", "/sessions/current", opened["access_token"])
    admin = await reviewer.harness.reviewer("the-admin", ("admin",))
    trail = await reviewer.call("GET", "/audit", admin, params={"subject": reviewer.login["username"]})
    assert [entry["action"] for entry in trail.json()["items"]] == ["log_out", "log_in", "log_in_failed"]


async def test_answers_with_ids_are_not_kept_under_an_idempotency_key(portal: Portal) -> None:
    ids = set()
    for _ in range(2):
        path = f"/api/{portal.service}/v1/browser-sessions"
        key = {"Idempotency-Key": "k"}
        answer = await portal.harness.http.post(path, json=await portal.credentials(), headers=key)
        assert "Idempotency-Replayed" not in answer.headers
        ids.add(answer.json()["session_id"])
    assert len(ids) == 2


@pytest.fixture
async def strict(postgres: Postgres, tmp_path: Path) -> AsyncIterator[Harness]:
    async with embedded_harness(postgres, tmp_path, rate_limits=True, browser_idle_minutes=5) as harness:
        yield harness


async def test_settings_limit_logins_and_idleness(strict: Harness) -> None:
    portal = await new_reviewer(strict)
    session_id = (await portal.log_in())["session_id"]
    for attempt in range(1, 60):
        assert (await portal.post(["/sessions", "/browser-sessions"][attempt % 2])).status_code == 422
    for path in ("/sessions", "/browser-sessions"):
        assert (await portal.post(path)).status_code == 429, "both share one limit"
    for _ in range(70):
        assert (await portal.access(session_id)).status_code == 200, "which is not that of the pages"
    strict.clock.advance(minutes=5, seconds=1)
    assert await portal.is_dead(session_id)


def _session_of(token: str) -> str:
    return str(jwt.decode(token, options={"verify_signature": False})["sid"])
