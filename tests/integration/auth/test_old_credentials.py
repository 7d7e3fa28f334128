"""What was valid when it was shown and is not any more opens nothing: passwords, accounts, refresh tokens."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from shared.auth.endpoints import Accounts, _unwitnessed
from shared.auth.guard import Source
from shared.auth.sessions import Checked, Sessions, _hash
from shared.auth.tables import Account
from tests.integration.auth.issuer import NEW_PASSWORD, PASSWORD, Portal, change_reviewer
from tests.support.wait import until

LOGINS = ("/sessions", "/browser-sessions")


class Hashing:
    """Holds back whoever has had a password checked, until released."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._checked = asyncio.Event()
        self._released = asyncio.Event()

    async def hold(self, request: Awaitable[httpx2.Response]) -> asyncio.Task[httpx2.Response]:
        """Start a request, and return when its password has been found right."""
        with self._monkeypatch.context() as patch:
            for check in ("check_login", "hash_new_password"):
                patch.setattr(Sessions, check, self._holding(getattr(Sessions, check)))
            task = asyncio.ensure_future(request)
            await self._checked.wait()
        return task

    def _holding(self, original: Any) -> Any:
        async def held(*arguments: Any) -> Any:
            result = await original(*arguments)
            self._checked.set()
            await self._released.wait()
            return result

        return held

    async def release(self, task: asyncio.Task[httpx2.Response]) -> httpx2.Response:
        self._released.set()
        return await task


@pytest.fixture
def hashing(monkeypatch: pytest.MonkeyPatch) -> Hashing:
    return Hashing(monkeypatch)


async def _change_password(portal: Portal, token: str, old: str = PASSWORD, new: str = NEW_PASSWORD) -> httpx2.Response:
    return await portal.call("PUT", "/password", token, json={"old_password": old, "new_password": new})


def _refused(answer: httpx2.Response, status: int, code: str) -> bool:
    return (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("path", LOGINS)
async def test_a_login_that_queued_before_a_password_change_opens_nothing(
    portal: Portal, hashing: Hashing, path: str
) -> None:
    owner = await portal.log_in()
    credentials = await portal.credentials()
    login = await hashing.hold(portal.post(path, **credentials))
    assert (await _change_password(portal, owner["access_token"])).status_code == 204
    assert _refused(await hashing.release(login), 401, "wrong_credentials")
    await portal.log_in(path, NEW_PASSWORD)


@pytest.mark.parametrize("path", LOGINS)
async def test_a_login_that_queued_before_a_disabling_or_a_reset_opens_nothing(
    reviewer: Portal, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    account = (await reviewer.log_in())["account"]["id"]
    admin = await reviewer.harness.reviewer("the-admin", ("admin",))

    async def disable() -> None:
        await change_reviewer(reviewer, account, disabled=True)

    async def reset() -> None:
        assert (await reviewer.call("POST", f"/reviewers/{account}/password-reset", admin)).status_code == 200

    for happens in (disable, reset):
        hashing = Hashing(monkeypatch)
        login = await hashing.hold(reviewer.post(path, **await reviewer.credentials()))
        await happens()
        assert _refused(await hashing.release(login), 401, "wrong_credentials"), happens
        await change_reviewer(reviewer, account, disabled=False)


async def test_a_password_change_that_queued_before_another_changes_nothing(portal: Portal, hashing: Hashing) -> None:
    owner, thief = await portal.log_in(), await portal.log_in()
    theft = await hashing.hold(_change_password(portal, thief["access_token"], new="Thief-of-2026"))
    assert (await _change_password(portal, owner["access_token"])).status_code == 204
    assert _refused(await hashing.release(theft), 422, "wrong_old_password")
    assert not await portal.is_dead(owner["session_id"])
    await portal.log_in(password=NEW_PASSWORD)


async def test_a_password_change_of_a_session_that_ended_changes_nothing(portal: Portal, hashing: Hashing) -> None:
    thief = await portal.log_in()
    theft = await hashing.hold(_change_password(portal, thief["access_token"]))
    assert (await portal.call("DELETE", "/sessions/current", thief["access_token"])).status_code == 204
    assert _refused(await hashing.release(theft), 401, "invalid_token")
    await portal.log_in()


@pytest.fixture
async def opening(portal: Portal) -> AsyncIterator[Callable[[], Awaitable[tuple[str, Any]]]]:
    """Opens a session for the account, in a transaction that commits when the returned function is called."""
    container = portal.harness.platform.containers[portal.service]
    finish, tasks = asyncio.Event(), []

    async def open_session() -> tuple[str, Any]:
        opened: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def hold() -> None:
            account = Checked(await _account(portal), Source("elsewhere"), None)
            accounts = Accounts(_finder(portal), _unwitnessed)
            async with accounts.admitted(container, container.sessions, account) as (session, locked):
                pair = container.sessions.open(session, locked)
                await session.flush()
                opened.set_result(pair.refresh_token)
                await finish.wait()

        task = asyncio.create_task(hold())
        tasks.append(task)

        async def commit() -> None:
            finish.set()
            await task

        return await opened, commit

    yield open_session
    finish.set()
    await asyncio.gather(*tasks, return_exceptions=True)


def _finder(portal: Portal) -> Any:
    if portal.service == "review":
        from services.review.service.login import find_account
    else:
        from services.enterprise.service import find_account  # type: ignore[assignment]
    return find_account


async def _account(portal: Portal) -> Account:
    account_id = (await portal.log_in())["account"]["id"]
    async with portal.harness.platform.containers[portal.service].database.transaction() as session:
        account: Account = await _finder(portal)(session, account_id)
        return account


async def test_a_session_that_is_opened_meanwhile_ends_with_the_old_password(portal: Portal, opening: Any) -> None:
    owner = await portal.log_in()
    refresh_token, commit = await opening()
    change = asyncio.create_task(_change_password(portal, owner["access_token"]))
    database = portal.harness.platform.containers[portal.service].database

    async def waits() -> bool:
        async with database.transaction() as session:
            waiting = sa.text(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            return bool(await session.scalar(waiting))

    await until(waits, what="the password change to wait for the login")
    await commit()
    assert (await change).status_code == 204
    answer = await portal.post("/sessions/refresh", refresh_token=refresh_token)
    assert _refused(answer, 401, "invalid_refresh_token")


async def _refresh(portal: Portal, token: str) -> httpx2.Response:
    return await portal.post("/sessions/refresh", refresh_token=token)


@pytest.mark.parametrize("generations", [1, 2, 5])
async def test_any_earlier_refresh_token_ends_the_session(portal: Portal, generations: int) -> None:
    for stolen in range(generations):
        pair = await portal.log_in("/sessions")
        tokens = [pair["refresh_token"]]
        for _ in range(generations):
            pair = (await _refresh(portal, tokens[-1])).json()
            tokens.append(pair["refresh_token"])
        assert len(set(tokens)) == generations + 1
        assert _refused(await _refresh(portal, tokens[stolen]), 401, "invalid_refresh_token")
        assert _refused(await _refresh(portal, tokens[-1]), 401, "invalid_refresh_token")
        assert (await portal.call("GET", "/me", pair["access_token"])).status_code == 401


async def test_a_refresh_token_of_one_session_ends_no_other(portal: Portal) -> None:
    mine, other = await portal.log_in("/sessions"), await portal.log_in("/sessions")
    following = (await _refresh(portal, mine["refresh_token"])).json()["refresh_token"]
    await _refresh(portal, mine["refresh_token"])
    assert (await _refresh(portal, following)).status_code == 401
    assert (await _refresh(portal, other["refresh_token"])).status_code == 200


async def test_a_token_of_the_version_before_goes_on_and_is_watched(portal: Portal) -> None:
    """That version knows the present token and the one before, and its tokens have no common beginning."""
    pair = await portal.log_in("/sessions")
    second = (await _refresh(portal, pair["refresh_token"])).json()["refresh_token"]
    old = "x" * 43
    database = portal.harness.platform.containers[portal.service].database
    async with database.transaction() as session:
        spend = sa.text("UPDATE sessions SET refresh_hash = :new, previous_hash = :old WHERE refresh_hash = :old")
        hashes = {"new": _hash(old), "old": _hash(second)}
        await session.execute(spend, hashes)
    third = (await _refresh(portal, old)).json()["refresh_token"]
    fourth = (await _refresh(portal, third)).json()["refresh_token"]
    assert (await _refresh(portal, old)).status_code == 401
    assert (await _refresh(portal, fourth)).status_code == 401
