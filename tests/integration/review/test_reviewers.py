"""Accounts, the audit trail, and the operator's command."""

import asyncio
import os
import sys
from typing import Any

import alembic.autogenerate
import alembic.migration
import httpx2
import pytest
import sqlalchemy as sa

from services.review.models import Base
from services.review.schemas import ReviewerCreation
from services.review.service.reviewers import ensure_reviewer
from shared.audit.trail import AuditBase
from shared.auth.tables import AuthBase
from shared.messaging.tables import PlatformBase
from shared.web.idempotency import IdempotencyBase
from tests.integration.review.desk import PASSWORD, Application, Desk
from tests.support.backing import Postgres


async def create(client: httpx2.AsyncClient, username: str, *roles: str) -> dict[str, Any]:
    response = await client.post(
        "/reviewers", json={"username": username, "name": f"姓名{username}", "roles": roles or ["reviewer"]}
    )
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    return body


async def id_of(client: httpx2.AsyncClient) -> str:
    return str((await client.get("/me")).json()["id"])


async def test_created_account_shows_its_password_once(desk: Desk) -> None:
    admin = await desk.as_role("admin")
    created = await create(admin, "Ｗang.Fang", "admin", "reviewer", "reviewer")
    assert (created["username"], created["roles"]) == ("wang.fang", ["reviewer", "admin"])
    assert created["must_change_password"] is True
    listed = await admin.get("/reviewers")
    assert created["initial_password"] not in listed.text
    assert [item["username"] for item in listed.json()["items"]].count("wang.fang") == 1
    (entry,) = await desk.audit(action="reviewer_added")
    assert (entry["actor"], entry["subject"]) == ("姓名admin", "wang.fang")
    assert created["initial_password"] not in str(entry)


async def test_usernames_are_unique_after_normalisation(desk: Desk) -> None:
    admin = await desk.as_role("admin")
    await create(admin, "wang")
    body = {"username": "ＷANG", "name": "另一个", "roles": ["reviewer"]}
    response = await admin.post("/reviewers", json=body)
    assert (response.status_code, response.json()["code"]) == (409, "reviewer_exists")


@pytest.mark.parametrize(
    "change", [{"roles": []}, {"roles": ["emperor"]}, {"username": "a b"}, {"username": "a\x00bc"}, {"password": "x"}]
)
async def test_bad_accounts_are_refused(desk: Desk, change: dict[str, Any]) -> None:
    admin = await desk.as_role("admin")
    response = await admin.post("/reviewers", json={"username": "wang", "name": "王", "roles": ["reviewer"]} | change)
    assert response.status_code == 422


@pytest.mark.parametrize("change", [{"disabled": True}, {"roles": ["registrar"]}])
async def test_disabling_or_taking_a_role_logs_out_at_once(desk: Desk, change: dict[str, Any]) -> None:
    admin, victim = await desk.as_role("admin"), await desk.as_role("reviewer", "registrar", username="victim")
    path = f"/reviewers/{await id_of(victim)}"
    assert (await admin.patch(path, json={"name": "新名字"})).json()["name"] == "新名字"
    assert (await victim.get("/items")).status_code == 200
    assert (await admin.patch(path, json=change)).status_code == 200
    assert (await victim.get("/items")).json()["code"] == "invalid_token"
    assert (await desk.log_in("victim")).status_code == (401 if "disabled" in change else 201)
    await admin.patch(path, json={"disabled": False})
    assert (await desk.log_in("victim")).status_code == 201
    assert len(await desk.audit(action="reviewer_changed", subject="victim")) == 3


async def test_password_reset_logs_out_and_shows_the_new_one_once(desk: Desk) -> None:
    admin, victim = await desk.as_role("admin"), await desk.as_role("reviewer")
    response = await admin.post(f"/reviewers/{await id_of(victim)}/password-reset")
    password = response.json()["initial_password"]
    assert (await victim.get("/items")).status_code == 401
    assert (await desk.log_in("reviewer")).status_code == 401
    assert (await desk.log_in("reviewer", password)).json()["must_change_password"] is True
    entries = await desk.audit(action="password_reset")
    assert [entry["subject"] for entry in entries] == ["reviewer"]
    assert password not in str(entries)


@pytest.mark.parametrize("change", [{"disabled": True}, {"roles": ["reviewer"]}])
async def test_an_administrator_stays_one(desk: Desk, change: dict[str, Any]) -> None:
    admin = await desk.as_role("admin")
    response = await admin.patch(f"/reviewers/{await id_of(admin)}", json=change)
    assert (response.status_code, response.json()["code"]) == (409, "own_admin_role")
    assert (await admin.get("/reviewers")).status_code == 200


async def test_two_administrators_cannot_disable_each_other(desk: Desk) -> None:
    for n in range(8):
        one, two = [await desk.as_role("admin", username=f"admin{n}{side}") for side in "ab"]
        first, second = await id_of(one), await id_of(two)
        responses = await asyncio.gather(
            one.patch(f"/reviewers/{second}", json={"disabled": True}),
            two.patch(f"/reviewers/{first}", json={"disabled": True}),
        )
        won, lost = sorted(response.status_code for response in responses)
        assert won == 200
        assert lost in {401, 403}


async def test_unknown_account(desk: Desk) -> None:
    admin = await desk.as_role("admin")
    path = "/reviewers/00000000-0000-0000-0000-000000000000"
    for response in (await admin.get(path), await admin.patch(path, json={"name": "无"})):
        assert (response.status_code, response.json()["code"]) == (404, "reviewer_not_found")


async def test_one_account_is_read_as_the_list_has_it_by_administrators_alone(desk: Desk) -> None:
    admin, reviewer = await desk.as_role("admin"), await desk.as_role("reviewer")
    for listed in (await admin.get("/reviewers")).json()["items"]:
        assert (await admin.get(f"/reviewers/{listed['id']}")).json() == listed
        assert (await reviewer.get(f"/reviewers/{listed['id']}")).status_code == 403


async def test_audit_filters_and_pages(desk: Desk) -> None:
    applications = [Application(desk.container, n) for n in range(3)]
    await desk.hear(*(application.submitted() for application in applications))
    one, two = await desk.as_role("reviewer", username="one"), await desk.as_role("reviewer", username="two")
    await one.get(f"/items/{applications[0].id}")
    desk.clock.advance(minutes=1)
    since = desk.clock.now().isoformat()
    await two.get(f"/items/{applications[0].id}")
    await two.get(f"/items/{applications[1].id}")
    admin = await desk.as_role("admin")

    assert len(await desk.audit(actor="姓名two", action="id_number_revealed")) == 2
    assert len(await desk.audit(subject=str(applications[0].id))) == 2
    assert {e["actor"] for e in await desk.audit(**{"from": since})} == {"姓名two", "姓名admin"}
    assert "姓名two" not in {e["actor"] for e in await desk.audit(to="2026-03-01")}
    everything = [entry["id"] for entry in await desk.audit()]
    seen: list[str] = []
    query = {"limit": "2"}
    while True:
        page = (await admin.get("/audit", params=query)).json()
        seen += [entry["id"] for entry in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == everything
    assert len(seen) == len(set(seen)) == 6


@pytest.mark.parametrize("statement", ["UPDATE audit SET action = 'x'", "DELETE FROM audit", "TRUNCATE audit"])
async def test_audit_is_append_only(desk: Desk, statement: str) -> None:
    await desk.as_role("admin")
    before = await desk.audit()
    with pytest.raises(sa.exc.DBAPIError, match="append-only"):
        async with desk.container.database.transaction() as session:
            await session.execute(sa.text(statement))
    assert await desk.audit() == before != []


async def test_demo_account_needs_no_change_and_is_made_once(desk: Desk) -> None:
    creation = ReviewerCreation(username="Demo-Reviewer", name="演示", roles=["reviewer"])
    for password in (PASSWORD, "Another-2026-pass"):
        async with desk.container.database.transaction() as session:
            await ensure_reviewer(session, creation, password)
    assert (await desk.log_in("demo-reviewer")).json()["must_change_password"] is False


async def run(desk: Desk, *arguments: str, stdin: str = "") -> tuple[int | None, str, str]:
    settings = desk.container.settings
    secrets = {
        "GANZHENG_DATABASE_URL": settings.database_url,
        "GANZHENG_DATA_KEYS": settings.data_keys,
        "GANZHENG_INDEX_KEY": settings.index_key,
        "GANZHENG_SIGNING_KEYS": settings.signing_keys,  # type: ignore[attr-defined]
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.review",
        "add-reviewer",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {name: value.get_secret_value() for name, value in secrets.items()},
    )
    out, err = await process.communicate(stdin.encode())
    return process.returncode, out.decode(), err.decode()


async def test_operator_adds_the_first_administrator(desk: Desk) -> None:
    arguments = ("--username", "Chief", "--name", "处长", "--roles", "reviewer,admin")
    code, out, err = await run(desk, *arguments)
    assert code == 0, err
    login = await desk.log_in("chief", out.split()[-1])
    assert login.json()["must_change_password"] is True

    code, out, err = await run(desk, *arguments)
    assert (code, out, err.strip()) == (1, "", "the username chief exists")
    (entry,) = await desk.audit(action="reviewer_added")
    assert (entry["actor"], entry["subject"]) == (None, "chief")


async def test_operator_may_choose_the_initial_password(desk: Desk) -> None:
    arguments = ("--username", "chief", "--name", "处长", "--roles", "admin", "--password-stdin")
    code, out, err = await run(desk, *arguments, stdin="short\n")
    assert (code, out) == (1, "")
    assert "密码" in err
    code, out, err = await run(desk, *arguments, stdin=f"{PASSWORD}\n")
    assert (code, out, err) == (0, "", "")
    assert (await desk.log_in("chief")).json()["must_change_password"] is True


def test_migrations_make_what_the_models_say(postgres: Postgres, review_template: str) -> None:
    engine = sa.create_engine(postgres.url(review_template), poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        context = alembic.migration.MigrationContext.configure(connection)
        # One metadata of all tables: each comparison would otherwise miss the tables of the others.
        together = sa.MetaData()
        for base in (Base, AuthBase, PlatformBase, IdempotencyBase, AuditBase):
            for table in base.metadata.tables.values():
                table.to_metadata(together)
        assert alembic.autogenerate.compare_metadata(context, together) == []
    engine.dispose()
