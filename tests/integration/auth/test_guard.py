"""Whoever guesses passwords is slowed down, and neither the account's owner nor anybody else is."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.synthetic import taxpayer_id
from tests.integration.auth.issuer import (
    CAPTCHA_REQUIRED,
    LOCKED,
    NEW_PASSWORD,
    OPENED,
    PASSWORD,
    WRONG,
    Portal,
    new_enterprise,
    new_reviewer,
)
from tests.support.backing import Postgres
from tests.support.platform import Harness, embedded_harness

HOME, ELSEWHERE = "10.0.0.1", "10.0.0.66"
DEVICE, OTHER_DEVICE = "the owner's browser ".ljust(40, "1"), "another browser ".ljust(40, "2")
REFUSED = (401, "wrong_credentials")


async def test_a_captcha_then_growing_delays_come_before_the_lock(portal: Portal) -> None:
    clock = portal.harness.clock
    assert [await portal.guess() for _ in range(3)] == [REFUSED] * 3
    for seconds in (2, 4):
        answer = await portal.post("/sessions", **await portal.credentials(captcha=True))
        assert (answer.status_code, answer.json()["code"]) == (429, "login_delayed")
        assert answer.headers["Retry-After"] == str(seconds)
        assert f"请在 {seconds} 秒后重试" in answer.json()["detail"]
        clock.advance(seconds=seconds)
        if portal.service == "enterprise":
            assert await portal.guess(password=PASSWORD) == CAPTCHA_REQUIRED
        assert await portal.guess(captcha=True) == REFUSED
    assert await portal.guess(password=PASSWORD, captcha=True) == LOCKED
    clock.advance(minutes=15)
    assert await portal.guess(password=PASSWORD) == OPENED


async def test_the_refusal_tells_that_a_captcha_comes_next(portal: Portal) -> None:
    told = []
    for _ in range(3):
        answer = await portal.post("/sessions", **await portal.credentials(WRONG))
        told.append(answer.json().get("captcha_required", False))
    assert told == [False, False, True]


async def test_a_wrong_captcha_is_refused_wherever_one_is_sent(portal: Portal) -> None:
    wrong = await portal.credentials(captcha=True) | {"captcha_answer": "wrong"}
    answer = await portal.post("/sessions", **wrong)
    assert (answer.status_code, answer.json()["code"]) == (422, "wrong_captcha")
    assert await portal.guess(password=PASSWORD) == OPENED


async def test_who_guesses_elsewhere_locks_himself_out_and_not_the_owner(portal: Portal) -> None:
    await portal.at(ELSEWHERE).lock()
    assert await portal.at(HOME).guess(password=PASSWORD, captcha=True) == OPENED
    assert await portal.at(ELSEWHERE).guess(password=PASSWORD, captcha=True) == LOCKED, "and stays so"


async def test_a_known_browser_passes_even_from_the_locked_address(portal: Portal) -> None:
    assert await portal.guess(password=PASSWORD, device=DEVICE) == OPENED
    await portal.lock()
    assert await portal.guess(password=PASSWORD, captcha=True, device=OTHER_DEVICE) == LOCKED
    assert await portal.guess(password=PASSWORD, device=DEVICE) == OPENED


async def test_a_known_browser_is_known_to_its_own_account_only(portal: Portal) -> None:
    other = await (new_reviewer if portal.service == "review" else new_enterprise)(portal.harness)
    assert await other.guess(password=PASSWORD, device=DEVICE) == OPENED
    await portal.lock()
    assert await portal.guess(password=PASSWORD, captcha=True, device=DEVICE) == LOCKED


async def test_in_a_known_browser_guesses_are_as_few_and_lock_nobody_else(portal: Portal) -> None:
    assert await portal.guess(password=PASSWORD, device=DEVICE) == OPENED
    for _ in range(5):
        assert await portal.guess(device=DEVICE, captcha=True) == REFUSED
        portal.harness.clock.advance(seconds=4)
    assert await portal.guess(password=PASSWORD, device=DEVICE, captcha=True) == LOCKED
    assert await portal.guess(password=PASSWORD) == OPENED


async def test_who_is_logged_in_goes_on_and_can_change_the_password(portal: Portal) -> None:
    owner = await portal.log_in()
    await portal.lock()
    assert not await portal.is_dead(owner["session_id"])
    change = {"old_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert (await portal.call("PUT", "/password", owner["access_token"], json=change)).status_code == 204


async def test_a_found_session_guesses_the_password_no_faster_and_locks_no_other(portal: Portal) -> None:
    thief, owner = await portal.log_in(), await portal.log_in()

    async def change(token: str, old: str) -> tuple[int, str]:
        body = {"old_password": old, "new_password": NEW_PASSWORD}
        answer = await portal.call("PUT", "/password", token, json=body)
        return answer.status_code, answer.json()["code"] if answer.content else ""

    for _ in range(5):
        assert await change(thief["access_token"], WRONG) == (422, "wrong_old_password")
        portal.harness.clock.advance(seconds=4)
    assert await change(thief["access_token"], PASSWORD) == LOCKED
    assert await portal.guess(password=PASSWORD) == OPENED
    assert await change(owner["access_token"], PASSWORD) == (204, "")


async def test_many_guesses_at_once_are_no_way_round(portal: Portal) -> None:
    answers = await asyncio.gather(*(portal.guess(captcha=True) for _ in range(12)))
    assert sorted(answers) == [REFUSED] * 3 + [(429, "login_delayed")] * 9


async def test_the_right_password_forgives_what_was_mistyped(portal: Portal) -> None:
    for _ in range(3):
        assert [await portal.guess() for _ in range(2)] == [REFUSED] * 2
        assert await portal.guess(password=PASSWORD) == OPENED


async def test_an_account_that_does_not_exist_is_guarded_alike(shared_embedded: Harness) -> None:
    known = await new_enterprise(shared_embedded)
    unknown = Portal(shared_embedded, "enterprise", {"taxpayer_id": taxpayer_id(8_765_432)})
    answers = []
    for portal in (known, unknown):
        answers.append([await portal.guess(device=DEVICE) for _ in range(3)])
        shared_embedded.clock.advance(seconds=2)
        answers[-1] += [await portal.guess(), await portal.guess(captcha=True), await portal.guess(captcha=True)]
    assert answers[0] == answers[1]


async def test_the_database_holds_neither_address_nor_device(portal: Portal) -> None:
    owner = portal.at("203.0.113.77")
    assert await owner.guess(password=PASSWORD, device=DEVICE) == OPENED
    assert await owner.guess() == REFUSED
    async with portal.harness.platform.containers[portal.service].database.engine.connect() as connection:
        for table in ("source_failures", "known_devices", "login_failures"):
            rows = (await connection.exec_driver_sql(f"SELECT t::text FROM {table} t")).scalars().all()  # noqa: S608
            assert rows
            assert not any("203.0.113.77" in row or DEVICE in row for row in rows)


@pytest.fixture
async def besieged(postgres: Postgres, tmp_path: Path) -> AsyncIterator[Portal]:
    async with embedded_harness(postgres, tmp_path, lockout_failures_of_strangers=6) as harness:
        yield await new_enterprise(harness)


async def test_very_many_strangers_are_kept_out_together_and_a_known_browser_is_not(besieged: Portal) -> None:
    assert await besieged.at(HOME).guess(password=PASSWORD, device=DEVICE) == OPENED
    for address in range(6):
        assert await besieged.at(f"10.0.1.{address}").guess(captcha=True) == REFUSED
    assert await besieged.at("10.0.2.1").guess(password=PASSWORD, captcha=True) == LOCKED
    assert await besieged.at("10.0.2.1").guess(password=PASSWORD, device=DEVICE) == OPENED
