"""The platform for tests: fixtures `embedded` (in-process bus) and the parts to build others from."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from deploy.embedded.platform import SERVICES, Platform, build_platform
from deploy.journey import Api, log_in_reviewer, register_enterprise
from services.review.domain import Role
from services.review.schemas import ReviewerCreation
from services.review.service.reviewers import ensure_reviewer
from shared.persistence.db import migrate
from tests.support.backing import Postgres
from tests.support.clock import ManualClock
from tests.support.wait import PATIENCE

REVIEWER, REVIEWER_PASSWORD = "test-reviewer", "Reviewer-2026-pass"
ENTERPRISE_PASSWORD = "Enterprise-2026-pass"
ALL_ROLES: tuple[Role, ...] = ("reviewer", "registrar", "admin")
BASE = "http://platform"
# However slow the machine is, nobody is sent away.
PATIENT = {"requests_wait_seconds": 30}


def platform_clock() -> ManualClock:
    """Starts today; no two things happen at the same moment."""
    return ManualClock(datetime.now(UTC), tick=timedelta(microseconds=1))


@contextmanager
def service_databases(postgres: Postgres) -> Iterator[dict[str, str]]:
    """Migrated databases by service, for as long as the block lasts."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(service_database(postgres, name)) for name in SERVICES}


@contextmanager
def service_database(postgres: Postgres, service: str) -> Iterator[str]:
    """One service's migrated database; Alembic runs once a session, copies are cheap."""
    template = postgres.template(f"template_{service}", lambda url: migrate(service, url))
    with postgres.temporary(template) as url:
        yield url


@dataclass
class Harness:
    """A running platform and a client of its HTTP API."""

    platform: Platform
    clock: ManualClock
    api: Api
    http: httpx2.AsyncClient

    async def reviewer(self, username: str = REVIEWER, roles: tuple[Role, ...] = ALL_ROLES) -> str:
        """The token of a reviewer, made if missing."""
        review = self.platform.containers["review"]
        async with review.database.transaction() as session:
            await ensure_reviewer(
                session, ReviewerCreation(username=username, name="测试审核员", roles=list(roles)), REVIEWER_PASSWORD
            )
        return await log_in_reviewer(self.api, username, REVIEWER_PASSWORD)

    async def enterprise(self, name: str = "南昌测试建设有限公司") -> str:
        """The token of a new enterprise that has changed its password."""
        _, token = await register_enterprise(self.api, name, ENTERPRISE_PASSWORD)
        return token

    async def request(self, method: str, path: str, token: str = "", **options: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= options.pop("headers", {})
        return await self.http.request(method, path, headers=headers, **options)


@asynccontextmanager
async def embedded_harness(postgres: Postgres, var: Path, **overrides: Any) -> AsyncIterator[Harness]:
    clock = platform_clock()
    with service_databases(postgres) as urls:
        platform = build_platform(
            urls,
            var,
            demo=True,
            clock=clock,
            overrides={"rate_limits": False, "database_pool": 8, **PATIENT, **overrides},
        )
        transport = httpx2.ASGITransport(app=platform.app, raise_app_exceptions=False)
        async with platform.running(), httpx2.AsyncClient(transport=transport, base_url=BASE, timeout=PATIENCE) as http:
            yield Harness(platform, clock, Api(http, BASE), http)


@pytest.fixture
async def embedded(postgres: Postgres, tmp_path: Path) -> AsyncIterator[Harness]:
    async with embedded_harness(postgres, tmp_path) as harness:
        yield harness


@pytest.fixture(scope="module")
async def shared_embedded(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Harness]:
    """One platform for a whole module, for tests that do not mind each other's data."""
    async with embedded_harness(postgres, tmp_path_factory.mktemp(f"platform-{uuid4().hex[:8]}")) as harness:
        yield harness
