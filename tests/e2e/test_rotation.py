"""Data keys and signing keys rotated while the platform runs: nothing becomes unreadable, and the old keys can go."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
import sqlalchemy as sa

from deploy.embedded.platform import build_platform
from deploy.journey import (
    Api,
    application_in,
    decide,
    desk_item,
    import_people,
    log_in_enterprise,
    register_enterprise,
    submit_application,
)
from deploy.synthetic import id_number
from services.enterprise.app import SERVICE
from services.enterprise.models import TAXPAYER_ID, Enterprise
from shared.persistence.cipher import KEY_BYTES, DecryptionFailed, FieldCipher
from shared.persistence.db import Database
from shared.persistence.rotation import BATCH, reencrypt
from shared.runtime.settings import new_key
from shared.values.clock import SystemClock
from tests.support.backing import Postgres
from tests.support.platform import (
    BASE,
    ENTERPRISE_PASSWORD,
    Harness,
    platform_clock,
    service_database,
    service_databases,
)
from tests.support.processes import ROOT, base_environment
from tests.support.wait import PATIENCE, until

POST = "10"
PEOPLE = [id_number("female", sequence=number) for number in range(2)]
DATA = {name: f"{name}:{new_key()}" for name in ("k1", "k2")}
SIGNING = {name: f"{name}:{new_key()}" for name in ("s1", "s2")}
INDEX = new_key()
ISSUERS = ("enterprise", "review")


@dataclass
class Running(Harness):
    """One copy of the platform, and the keys it was started with."""

    urls: Mapping[str, str]
    secrets: Mapping[str, str]
    var: Path

    async def reencrypt(self, service: str) -> str:
        """What the command prints."""
        environment = {
            "demo": "true",
            "database_url": self.urls[service],
            "store_directory": str(self.var / "images"),
            **self.secrets,
        }
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", f"services.{service}", "reencrypt"],
            cwd=ROOT,
            env=base_environment() | {f"GANZHENG_{name.upper()}": value for name, value in environment.items()},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    async def full_number(self, application: str) -> str:
        item = await self.api.call("GET", "review", f"/items/{application}", token=await self.reviewer())
        return str(item["id_number"])

    async def accepts(self, token: str) -> bool:
        """Whether the issuer and a service that only verifies both do."""
        answers = [
            await self.request("GET", path, token) for path in ("/api/enterprise/v1/me", "/api/renewal/v1/posts")
        ]
        statuses = {answer.status_code for answer in answers}
        assert statuses in ({200}, {401})
        return statuses == {200}


@asynccontextmanager
async def running(urls: Mapping[str, str], var: Path, data: str, signing: str) -> AsyncIterator[Running]:
    """`data` and `signing`: names of keys, the first one current."""
    secrets = {
        "data_keys": ",".join(DATA[name] for name in data.split()),
        "signing_keys": ",".join(SIGNING[name] for name in signing.split()),
        "index_key": INDEX,
    }
    clock = platform_clock()
    overrides = {"rate_limits": False, "database_pool": 4, **secrets}
    platform = build_platform(urls, var, demo=True, clock=clock, overrides=overrides)
    transport = httpx2.ASGITransport(app=platform.app, raise_app_exceptions=False)
    async with platform.running(), httpx2.AsyncClient(transport=transport, base_url=BASE, timeout=PATIENCE) as http:
        yield Running(platform, clock, Api(http, BASE), http, urls, secrets, var)


def holding(urls: Mapping[str, str], key: str) -> list[str]:
    """The tables of all databases in which ciphertext under this key stands, wherever in a row."""
    found = []
    for service, url in urls.items():
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        with engine.connect() as connection:
            for table in sa.inspect(connection).get_table_names():
                # No text of ours but ciphertext has a point after a key's name. The names are our own tables'.
                held = f'SELECT EXISTS (SELECT FROM "{table}" AS t WHERE CAST(t AS text) LIKE :ciphertext)'  # noqa: S608
                if connection.scalar(sa.text(held), {"ciphertext": f"%{key}.%"}):
                    found.append(f"{service}.{table}")
    return sorted(found)


async def test_keys_are_rotated_while_the_platform_runs(postgres: Postgres, tmp_path: Path) -> None:
    with service_databases(postgres) as urls:
        async with running(urls, tmp_path, "k1", "s1") as before:
            taxpayer, token = await register_enterprise(before.api, "南昌一零企业", ENTERPRISE_PASSWORD)
            opened = await log_in_enterprise(before.api, taxpayer, ENTERPRISE_PASSWORD)
            reviewer = await before.reviewer()
            await import_people(before.api, reviewer, [f"{person},张安宁,{POST},T{person}," for person in PEOPLE])
            old = await submit_application(before.api, token, PEOPLE[0], POST)
            await desk_item(before.api, reviewer, old["id"], "pending_review", 1)

        # Side by side, as while copies are restarted one after the other: what one writes the other reads.
        async with (
            running(urls, tmp_path, "k1 k2", "s1 s2") as prepared,
            running(urls, tmp_path, "k2 k1", "s2 s1") as promoted,
        ):
            fresh = (await log_in_enterprise(promoted.api, taxpayer, ENTERPRISE_PASSWORD))["access_token"]
            for copy in (prepared, promoted):
                assert await copy.accepts(token)
                assert await copy.accepts(fresh)
            new = await submit_application(promoted.api, fresh, PEOPLE[1], POST, seed=1)
            await desk_item(prepared.api, await prepared.reviewer(), new["id"], "pending_review", 1)
            assert await prepared.full_number(new["id"]) == PEOPLE[1]
            another = await prepared.enterprise("赣州二零企业")
            assert (await promoted.request("GET", "/api/enterprise/v1/me", another)).json()["name"] == "赣州二零企业"

            assert {"enterprise.enterprises", "renewal.people", "review.items"} <= set(holding(urls, "k1"))
            printed = [await promoted.reencrypt(service) for service in ("enterprise", "renewal", "review")]
            columns = ("people.id_number", "held_certificates.sealed_number")
            changed = "".join(f"{column}: {{0}} changed, all under k2\n" for column in columns)
            assert printed[1] == changed.format(2)
            # Events that the other copy has just sealed are still on their way.
            await until(lambda: not holding(urls, "k1") or None, what="the old key to be nowhere")
            assert await promoted.reencrypt("renewal") == changed.format(0)

        async with running(urls, tmp_path, "k2", "s2") as after:
            assert not await after.accepts(token)
            spent = {"refresh_token": opened["refresh_token"]}
            renewed = (await after.api.call("POST", "enterprise", "/sessions/refresh", json=spent))["access_token"]
            assert await after.full_number(old["id"]) == PEOPLE[0]
            check = {"id_number": PEOPLE[0], "post": POST}
            found = await after.api.call("POST", "renewal", "/eligibility-checks", token=renewed, json=check)
            assert [reason["code"] for reason in found["reasons"]] == ["already_applied"]
            for application in (old, new):
                await decide(after.api, await after.reviewer(), "approve", application["id"], 1)
                await application_in(after.api, renewed, application["id"], "certified")


async def test_what_was_interrupted_goes_on_where_it_ended(postgres: Postgres) -> None:
    old, new, index = (bytes([number]) * KEY_BYTES for number in range(3))
    before, after = FieldCipher({"k1": old}, index), FieldCipher({"k2": new, "k1": old}, index)
    encrypted, _ = SERVICE.encrypted
    with service_database(postgres, "enterprise") as url:
        database = Database(url, pool_size=2)
        async with database.transaction() as session:
            session.add_all(enterprise(before, number) for number in range(BATCH + 3))
        first = reencrypt(database, after, encrypted)
        assert await anext(first) == BATCH
        await first.aclose()  # type: ignore[attr-defined]
        assert [count async for count in reencrypt(database, after, encrypted)] == [3]
        async with database.transaction() as session:
            rows = (await session.scalars(sa.select(Enterprise))).all()
        assert sorted(after.decrypt(row.taxpayer_id, TAXPAYER_ID) for row in rows) == sorted(
            str(number) for number in range(BATCH + 3)
        )
        assert [count async for count in reencrypt(database, after, encrypted)] == []
        with pytest.raises(DecryptionFailed, match=r"enterprises\.taxpayer_id of .*'k2'"):
            await anext(reencrypt(database, before, encrypted))
        await database.close()


def enterprise(cipher: FieldCipher, number: int) -> Enterprise:
    now = SystemClock().now()
    return Enterprise(
        id=uuid4(),
        name="企业",
        password_hash="",
        must_change_password=True,
        taxpayer_id=cipher.encrypt(str(number), TAXPAYER_ID),
        identity_index=str(number),
        contact_name="",
        contact_phone="",
        revision=1,
        created_at=now,
        updated_at=now,
    )
