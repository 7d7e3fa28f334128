"""The portal's list of applications with a hundred thousand of them against the same with ten."""

import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import date
from pathlib import Path

import httpx2
import sqlalchemy as sa

from bench.listing import FILL, ITEMS
from bench.run import compare
from services.review.models import PERSON_AT_REST, ItemPerson
from tests.integration.portal.browser import Browser
from tests.integration.portal.people import become_reviewer
from tests.support.backing import Backing
from tests.support.platform import Harness, embedded_harness

FEW = 10
PAGES = 20
ADDRESS = "http://localhost"
PERSON = ItemPerson(id_number="360199199001010009", sex="female", birth_date=date(1990, 1, 1), held=())


async def _fill(harness: Harness, count: int) -> None:
    review = harness.platform.containers["review"]
    async with review.database.transaction() as session:
        person = review.cipher.seal(PERSON, PERSON_AT_REST)
        await session.execute(sa.text(FILL), {"count": count, "person": person})
    async with review.database.engine.connect() as connection:
        await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(sa.text("ANALYZE items"))


def _opening(browser: Browser, query: str) -> Callable[[], Awaitable[float]]:
    async def measure() -> float:
        started = time.perf_counter()
        for _ in range(PAGES):
            page = await browser.get(f"/review/items{query}")
            assert page.status == 200, page.text  # noqa: S101 - a measurement of an error page is none
        return PAGES / (time.perf_counter() - started)

    return measure


async def pages(backing: Backing, rounds: int) -> None:
    """Measure the portal's list with few applications and with many, and print."""
    measurements = {}
    async with AsyncExitStack() as stack:
        for count in (FEW, ITEMS):
            var = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            harness = await stack.enter_async_context(embedded_harness(backing.postgres, var))
            await _fill(harness, count)
            transport = httpx2.ASGITransport(app=harness.platform.app)
            client = await stack.enter_async_context(httpx2.AsyncClient(transport=transport, base_url=ADDRESS))
            browser = Browser(client)
            await become_reviewer(browser, harness)
            for query, what in (("?limit=10", "all"), ("?limit=10&status=pending_review", "waiting")):
                measurements[f"{count:,} applications, {what}"] = _opening(browser, query)
        await compare("The portal's list", "pages/s", f"{FEW} applications, all", measurements, rounds)
