"""More come to a process than it can serve: who is let in is served, others are told so at once, strangers first."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx2
import psycopg
import pytest

from deploy.embedded.postgres import free_port
from deploy.journey import Api, register_enterprise
from shared.runtime.settings import new_key
from tests.support.backing import Postgres
from tests.support.platform import ENTERPRISE_PASSWORD, service_database
from tests.support.processes import base_environment, processes, ready
from tests.support.wait import PATIENCE, until

AT_ONCE = 2
ME = "/api/enterprise/v1/me"
# By the first pace two hundred strangers would wait for two seconds, and more are sent away.
CROWD = 250


@dataclass
class Crowded:
    """An API of `enterprise` that works on two requests at once, and what an enterprise calls it with."""

    http: httpx2.AsyncClient
    operations: str
    url: str
    headers: dict[str, str]

    async def under_way(self) -> int:
        return int(await self.figure('ganzheng_requests_under_way{service="enterprise"}'))

    async def figure(self, metric: str) -> float:
        text = (await self.http.get(f"{self.operations}/metrics")).text
        found = re.search(re.escape(metric) + r" ([0-9.e+]+)", text)
        return float(found[1]) if found else 0.0

    def rename(self, name: str) -> "asyncio.Task[httpx2.Response]":
        """Begin to change the enterprise's name."""
        return asyncio.create_task(self.http.patch(ME, json={"name": name}, headers=self.headers))

    def strangers(self) -> "list[asyncio.Task[httpx2.Response]]":
        return [asyncio.create_task(self.http.get(ME)) for _ in range(CROWD)]


@pytest.fixture
async def crowded(postgres: Postgres, tmp_path: Path) -> AsyncIterator[Crowded]:
    port, metrics = free_port(), free_port()
    base = f"http://127.0.0.1:{port}"
    with service_database(postgres, "enterprise") as url:
        environment = base_environment() | {
            "GANZHENG_DEMO": "true",
            "GANZHENG_RATE_LIMITS": "false",
            "GANZHENG_DATABASE_URL": url,
            "GANZHENG_DATA_KEYS": f"k1:{new_key()}",
            "GANZHENG_INDEX_KEY": new_key(),
            "GANZHENG_SIGNING_KEYS": f"s1:{new_key()}",
            "GANZHENG_PORT": str(port),
            "GANZHENG_METRICS_PORT": str(metrics),
            "GANZHENG_REQUESTS_AT_ONCE": str(AT_ONCE),
            "GANZHENG_REQUESTS_WAIT_SECONDS": "8",
        }
        limits = httpx2.Limits(max_connections=None)
        async with httpx2.AsyncClient(base_url=base, timeout=PATIENCE, trust_env=False, limits=limits) as http:
            with processes(tmp_path, environment) as started:
                started.start("enterprise-api", "-m", "services.enterprise", "api")
                await until(partial(ready, http, base), what="the API to be ready")
                _, token = await register_enterprise(Api(http, base), "南昌一零建设有限公司", ENTERPRISE_PASSWORD)
                bearer = {"Authorization": f"Bearer {token}"}
                yield Crowded(http, f"http://127.0.0.1:{metrics}", url.replace("+psycopg", ""), bearer)


async def test_who_is_let_in_is_served_and_the_others_are_told_when_to_come_again(crowded: Crowded) -> None:
    async with await psycopg.AsyncConnection.connect(crowded.url) as other:
        # Both places are taken by who waits for a lock.
        await other.execute("SELECT 1 FROM enterprises FOR UPDATE")
        renaming = [crowded.rename(f"南昌第{number}建设有限公司") for number in range(AT_ONCE)]
        await until(lambda: _is(crowded, AT_ONCE), what="both places to be taken")
        strangers = crowded.strangers()
        refused = await _first_refusal(strangers)
        known = asyncio.create_task(crowded.http.get(ME, headers=crowded.headers))
        claiming = await crowded.http.get(ME, headers={"Authorization": crowded.headers["Authorization"][:-4] + "AAAA"})
        assert (await crowded.http.get("/api/enterprise/v1/healthz")).status_code == 200
        assert (await crowded.http.get("/api/enterprise/v1/.well-known/jwks.json")).status_code == 200
        await other.rollback()
    answers = [await task for task in strangers]
    told = Counter(answer.status_code for answer in answers)
    assert set(told) == {401, 503}
    assert {(await task).status_code for task in renaming} == {200}
    # Though it came last: it is signed in. Who only says so is a stranger.
    assert (await known).status_code == 200
    assert claiming.status_code == 503
    for answer in (refused, claiming):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "overloaded"
        assert int(answer.headers["retry-after"]) == answer.json()["retry_after"] >= 1
        assert answer.headers["cache-control"] == "no-store"
    shed = await crowded.figure('ganzheng_requests_shed_total{caller="anonymous",service="enterprise"}')
    assert shed == told[503] + 1
    # And it is as before.
    assert (await crowded.http.get(ME)).status_code == 401
    assert await crowded.under_way() == 0


async def test_who_sends_slowly_holds_no_place(crowded: Crowded) -> None:
    finished = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b'{"name": '
        await finished.wait()
        yield '"南昌第九建设有限公司"}'.encode()

    headers = {**crowded.headers, "Content-Type": "application/json"}
    slow = [asyncio.create_task(crowded.http.patch(ME, content=slowly(), headers=headers)) for _ in range(AT_ONCE + 1)]
    answers = await asyncio.gather(*(crowded.http.get(ME, headers=crowded.headers) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    finished.set()
    assert {(await task).status_code for task in slow} == {200}


async def _is(crowded: Crowded, count: int) -> bool:
    return await crowded.under_way() == count


async def _first_refusal(tasks: "list[asyncio.Task[httpx2.Response]]") -> httpx2.Response:
    for done in asyncio.as_completed(tasks):
        answer = await done
        if answer.status_code == 503:
            return answer
    raise AssertionError("all were let in")
