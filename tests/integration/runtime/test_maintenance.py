"""What a worker clears away at an issuer, and the operator's command for a locked account."""

import asyncio
import subprocess
import sys

import sqlalchemy as sa

from deploy.journey import log_in_enterprise, register_enterprise
from shared.auth.sessions import ENDED_RETENTION
from shared.auth.tables import KnownDevice, LoginFailure, LoginSession, SourceFailure
from shared.runtime.container import Container
from shared.runtime.maintenance import clean
from tests.support.platform import ENTERPRISE_PASSWORD, Harness
from tests.support.processes import ROOT, base_environment

WRONG = "not the password"


def issuer(harness: Harness) -> Container:
    container: Container = harness.platform.containers["enterprise"]
    return container


async def rows(harness: Harness) -> dict[str, int]:
    async with issuer(harness).database.transaction() as session:
        return {
            table.__tablename__: await session.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            for table in (LoginSession, LoginFailure, SourceFailure, KnownDevice)
        }


async def clean_up(harness: Harness) -> None:
    await clean(issuer(harness).database, issuer(harness).sessions)


async def guess(harness: Harness, taxpayer: str, password: str = WRONG) -> int:
    body = {"taxpayer_id": taxpayer, "password": password}
    return (await harness.http.post("/api/enterprise/v1/sessions", json=body)).status_code


async def test_sessions_go_a_day_after_their_end_and_failures_when_they_count_no_more(embedded: Harness) -> None:
    taxpayer, _ = await register_enterprise(embedded.api, "南昌一零企业", ENTERPRISE_PASSWORD)
    device = {"device": "d" * 32}
    login = {"taxpayer_id": taxpayer, "password": ENTERPRISE_PASSWORD, **device}
    opened = await embedded.api.call("POST", "enterprise", "/sessions", json=login, expect=201)
    assert await guess(embedded, taxpayer) == 401
    begun = await rows(embedded)
    assert (begun["login_failures"], begun["source_failures"], begun["known_devices"]) == (1, 1, 1)
    calm = begun | {"login_failures": 0, "source_failures": 0}

    embedded.clock.advance(minutes=14)
    await clean_up(embedded)
    assert await rows(embedded) == begun
    embedded.clock.advance(minutes=2)
    await clean_up(embedded)
    assert await rows(embedded) == calm

    # Twelve hours old, and so over; a token given in the last of them is still known to be of a session.
    embedded.clock.advance(hours=12)
    await clean_up(embedded)
    assert await rows(embedded) == calm
    embedded.clock.advance(seconds=ENDED_RETENTION.total_seconds())
    fresh = await log_in_enterprise(embedded.api, taxpayer, ENTERPRISE_PASSWORD)
    await clean_up(embedded)
    assert await rows(embedded) == calm | {"sessions": 1}
    for pair, status in ((opened, 401), (fresh, 200)):
        spent = {"refresh_token": pair["refresh_token"]}
        assert (await embedded.http.post("/api/enterprise/v1/sessions/refresh", json=spent)).status_code == status


async def test_a_browser_is_forgotten_half_a_year_after_its_last_login(embedded: Harness) -> None:
    taxpayer, _ = await register_enterprise(embedded.api, "南昌一零企业", ENTERPRISE_PASSWORD)
    for device in ("a" * 32, "b" * 32):
        login = {"taxpayer_id": taxpayer, "password": ENTERPRISE_PASSWORD, "device": device}
        await embedded.api.call("POST", "enterprise", "/sessions", json=login, expect=201)
        embedded.clock.advance(days=89)
    await clean_up(embedded)
    assert (await rows(embedded))["known_devices"] == 2
    embedded.clock.advance(days=3)
    await clean_up(embedded)
    assert (await rows(embedded))["known_devices"] == 1


async def test_an_operator_unlocks_an_account(embedded: Harness) -> None:
    taxpayer, _ = await register_enterprise(embedded.api, "南昌一零企业", ENTERPRISE_PASSWORD)
    assert [await guess(embedded, taxpayer) for _ in range(3)] == [401] * 3
    assert await guess(embedded, taxpayer, ENTERPRISE_PASSWORD) == 429
    assert (await unlock(embedded, taxpayer)).returncode == 0
    assert await guess(embedded, taxpayer, ENTERPRISE_PASSWORD) == 201
    refused = await unlock(embedded, taxpayer)
    assert (refused.returncode, "no failed login" in refused.stderr, taxpayer in refused.stderr) == (1, True, False)


async def unlock(harness: Harness, name: str) -> "subprocess.CompletedProcess[str]":
    settings = issuer(harness).settings
    environment = {
        "demo": "true",
        "database_url": settings.database_url.get_secret_value(),
        "data_keys": settings.data_keys.get_secret_value(),
        "index_key": settings.index_key.get_secret_value(),
        "signing_keys": settings.signing_keys.get_secret_value(),  # type: ignore[attr-defined]
    }
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "services.enterprise", "unlock"],
        cwd=ROOT,
        env=base_environment() | {f"GANZHENG_{key.upper()}": value for key, value in environment.items()},
        input=f"{name}\n",
        capture_output=True,
        text=True,
        check=False,
    )
