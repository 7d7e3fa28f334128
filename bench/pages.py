"""The portal's list of applications against the calls of the API that it is made of."""

import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import date
from pathlib import Path

import httpx2

from bench.desk_data import fill
from bench.run import compare
from services.review.models import PERSON_AT_REST, ItemPerson
from tests.integration.portal.browser import Browser
from tests.integration.portal.people import become_reviewer
from tests.support.backing import Backing
from tests.support.platform import Harness, embedded_harness

ITEMS = 100_000
PAGES = 40
ADDRESS = "http://localhost"
PERSON = ItemPerson(id_number="360199199001010009", sex="female", birth_date=date(1990, 1, 1), held=())


def _fill(harness: Harness) -> None:
    review = harness.platform.containers["review"]
    url = review.database.engine.url.render_as_string(hide_password=False)
    fill(url, ITEMS, review.cipher.seal(PERSON, PERSON_AT_REST))


def _opening(client: httpx2.AsyncClient) -> Callable[[], Awaitable[float]]:
    async def measure() -> float:
        started = time.process_time()
        for _ in range(PAGES):
            page = await client.get("/review/items")
            assert page.status_code == 200, page.text  # noqa: S101 - a measurement of an error page is none
        return PAGES / (time.process_time() - started)

    return measure


def _asking(client: httpx2.AsyncClient, session_id: str) -> Callable[[], Awaitable[float]]:
    """Make the calls that the page makes: whose session it is, and the list."""
    body = {"session_id": session_id, "active": True}

    async def measure() -> float:
        started = time.process_time()
        for _ in range(PAGES):
            access = await client.post("/api/review/v1/browser-sessions/access", json=body)
            token = access.json()["access_token"]
            answer = await client.get("/api/review/v1/items", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 200, answer.text  # noqa: S101
        return PAGES / (time.process_time() - started)

    return measure


async def pages(backing: Backing, rounds: int) -> None:
    """Measure pages a second of processor time, and the same of the calls alone, and print."""
    async with AsyncExitStack() as stack:
        var = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        harness = await stack.enter_async_context(embedded_harness(backing.postgres, var))
        _fill(harness)
        transport = httpx2.ASGITransport(app=harness.platform.app)
        client = await stack.enter_async_context(httpx2.AsyncClient(transport=transport, base_url=ADDRESS))
        calls = await stack.enter_async_context(httpx2.AsyncClient(transport=transport, base_url=ADDRESS))
        await become_reviewer(Browser(client), harness)
        session_id = client.cookies["sid"].partition(".")[2]
        measurements = {"its two calls of the API": _asking(calls, session_id), "the page": _opening(client)}
        await compare("The portal's list", "a second", "its two calls of the API", measurements, rounds)
