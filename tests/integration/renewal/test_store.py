"""Pictures in a real S3 store, and what is left of the service when the store is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import httpx2
import sqlalchemy as sa
from fastapi import FastAPI
from minio import Minio
from pydantic import SecretStr

from deploy.synthetic import jpeg
from services.renewal.app import build, create_app
from services.renewal.container import RenewalContainer
from services.renewal.models import Image
from services.renewal.pictures.service import sweep_orphans
from services.renewal.settings import RenewalSettings
from shared.files.storage import DirectoryStore, StoreUnavailable
from tests.support.backing import S3Address
from tests.support.keys import keys_in
from tests.support.office import Office, problem
from tests.support.wait import until

KINDS = ("id-front", "id-back", "commitment-letter")


@asynccontextmanager
async def serving(office: Office, **settings: Any) -> AsyncIterator[tuple[RenewalContainer, "Client"]]:
    """A second copy of the service on the platform's database, with a store of its own."""
    own = office.renewal.settings.model_copy(update={"store_directory": None, **settings})
    container = build(own, client=office.harness.platform.client)  # type: ignore[arg-type]  # a copy of its own kind
    app = create_app(container)
    try:
        async with app.router.lifespan_context(app):
            yield container, Client(app, office)
    finally:
        await container.close()


class Client:
    def __init__(self, app: FastAPI, office: Office) -> None:
        self._http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://renewal")
        self._office = office

    async def __call__(self, method: str, path: str, token: str | None = None, **options: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {token or self._office.enterprise}"}
        return await self._http.request(method, path, headers=headers, **options)

    async def put(self, application: str, kind: str, data: bytes) -> httpx2.Response:
        files = {"file": ("p.jpg", data, "image/jpeg")}
        return await self("PUT", f"/applications/{application}/images/{kind}", files=files)


def s3_settings(s3: S3Address) -> dict[str, Any]:
    return {
        "s3_endpoint": s3.endpoint,
        "s3_access_key": SecretStr(s3.access_key),
        "s3_secret_key": SecretStr(s3.secret_key),
        "s3_bucket": f"renewal-{uuid4().hex[:8]}",
        "s3_secure": s3.secure,
    }


async def test_pictures_in_s3(office: Office, s3: S3Address) -> None:
    draft = (await office.draft(await office.person(), "10", pictures=False))["id"]
    async with serving(office, **s3_settings(s3)) as (container, client):
        assert (await client("GET", "/readyz")).status_code == 200
        for seed, kind in enumerate(KINDS):
            assert (await client.put(draft, kind, jpeg(seed=seed))).status_code == 200
        served = await client("GET", f"/applications/{draft}/images/id-front")
        assert served.status_code == 200
        assert served.headers["content-type"] == "image/jpeg"
        assert (await client("POST", f"/applications/{draft}/submission", json={"revision": 0})).status_code == 200

        orphan = f"applications/{draft}/{uuid4()}.jpg"
        await container.store.put(orphan, b"an upload whose row never came", "image/jpeg")
        assert await sweep_orphans(container) == 0
        # The store's clock counts whole seconds.
        assert await until(lambda: sweep_orphans(container, timedelta(0)), what="the orphan to be swept") == 1
        assert len(await keys_in(container.store, "", timedelta(0))) == 3
        assert (await client("GET", f"/applications/{draft}/images/id-front")).content == served.content


async def test_replaced_pictures_are_kept_only_if_they_were_submitted(office: Office, s3: S3Address) -> None:
    draft = (await office.draft(await office.person(), "10", pictures=False))["id"]
    async with serving(office, **s3_settings(s3)) as (container, client):
        for seed, kind in enumerate(KINDS):
            assert (await client.put(draft, kind, jpeg(seed=seed))).status_code == 200
        assert (await client.put(draft, "id-front", jpeg(seed=3))).status_code == 200
        assert (await client("POST", f"/applications/{draft}/submission", json={"revision": 0})).status_code == 200
        assert await sweep_orphans(container) == 0
        assert len(await keys_in(container.store, "", timedelta(0))) == 4
        assert await until(lambda: sweep_orphans(container, timedelta(0)), what="the replaced picture to be swept") == 1
        for kind in KINDS:
            assert (await client("GET", f"/applications/{draft}/images/{kind}?revision=1")).status_code == 200


async def test_orphans_are_swept_whatever_their_number(office: Office, tmp_path: Path) -> None:
    draft = (await office.draft(await office.person(), "10", pictures=False))["id"]
    async with serving(office, store_directory=tmp_path) as (container, client):
        await container.store.ensure_bucket()
        for seed in range(5):
            assert (await client.put(draft, "id-front", jpeg(seed=seed))).status_code == 200
        for number in range(7):
            await container.store.put(f"applications/{number}/{uuid4()}.jpg", b"no row names it", "image/jpeg")
        assert await sweep_orphans(container, timedelta(0), batch=2) == 4 + 7
        assert len(await keys_in(container.store, "", timedelta(0))) == 1
        assert (await client("GET", f"/applications/{draft}/images/id-front")).status_code == 200


async def test_a_bucket_missing_at_the_start_is_made_at_the_first_upload(office: Office, s3: S3Address) -> None:
    draft = (await office.draft(await office.person(), "10", pictures=False))["id"]
    async with serving(office, **s3_settings(s3)) as (container, client):
        settings = cast("RenewalSettings", container.settings)
        bare = Minio(s3.endpoint, s3.access_key, s3.secret_key, secure=s3.secure)
        bare.remove_bucket(settings.s3_bucket)
        assert (await client("GET", "/readyz")).json() == {"status": "degraded", "failed": ["store"]}
        assert (await client.put(draft, "id-front", jpeg(seed=1))).status_code == 200
        assert (await client("GET", "/readyz")).json() == {"status": "ok", "failed": []}


async def test_a_link_for_browsers(office: Office, s3: S3Address) -> None:
    draft = (await office.draft(await office.person(), "10", pictures=False))["id"]
    async with serving(office, **s3_settings(s3), s3_public_endpoint=s3.url) as (_, client):
        uploaded = (await client.put(draft, "id-front", jpeg(seed=1))).json()
        response = await client("GET", f"/applications/{draft}/images/id-front")
        assert response.status_code == 307
        link = response.headers["location"]
        assert link.startswith(s3.url)
        assert "X-Amz-Expires=300" in link
        assert response.headers["cache-control"] == "no-store"
        async with httpx2.AsyncClient(trust_env=False) as browser:
            picture = await browser.get(link)
        assert picture.status_code == 200
        assert len(picture.content) == uploaded["bytes"]
        assert picture.headers["content-type"] == "image/jpeg"


async def test_without_the_store_nothing_is_lost(office: Office, s3: S3Address) -> None:
    draft = (await office.draft(await office.person(), "10"))["id"]
    unreachable = s3_settings(s3) | {"s3_endpoint": "127.0.0.1:9"}
    async with serving(office, **unreachable) as (_, client):
        for response in (
            await client.put(draft, "id-front", jpeg(seed=1)),
            await client("GET", f"/applications/{draft}/images/id-front"),
        ):
            assert problem(response, 503, "unavailable")["retry_after"] == 5
            assert response.headers["retry-after"] == "5"
        ready = await client("GET", "/readyz")
        assert (ready.status_code, ready.json()) == (200, {"status": "degraded", "failed": ["store"]})
        assert (await client("GET", "/posts")).status_code == 200
        assert len((await client("GET", f"/applications/{draft}")).json()["images"]) == 3
        assert (await client("GET", f"/applications/{draft}/commitment-letter")).status_code == 200
        answer = await client("POST", f"/applications/{draft}/submission", json={"revision": 0})
        assert answer.json()["status"] == "pending_review"
    async with office.renewal.database.transaction() as session:
        statement = sa.select(sa.func.count()).where(Image.application_id == draft)
        assert await session.scalar(statement) == 3


class SlowStore(DirectoryStore):
    """Answers nothing until it is told to, and then that it cannot."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked = 0
        self.answer = asyncio.Event()

    async def get(self, key: str) -> bytes:
        self.asked += 1
        await self.answer.wait()
        raise StoreUnavailable(key)

    async def put(self, key: str, data: bytes, content_type: str) -> None:  # noqa: ARG002
        await self.get(key)


async def test_a_store_that_hangs_takes_no_database_connection(office: Office, tmp_path: Path) -> None:
    """More requests wait for the store than the pool has connections, and the other routes answer all the same."""
    draft = (await office.draft(await office.person(), "10"))["id"]
    slow = SlowStore(tmp_path)
    async with serving(office, store_directory=tmp_path, database_pool=2) as (container, client):
        container.store = slow
        waiting = [asyncio.create_task(client("GET", f"/applications/{draft}/images/id-front")) for _ in range(3)]
        waiting += [asyncio.create_task(client.put(draft, kind, jpeg(seed=7))) for kind in KINDS]
        await until(lambda: slow.asked == 6, what="all six requests to wait for the store")
        assert (await client("GET", "/posts")).status_code == 200
        assert (await client("GET", f"/applications/{draft}")).status_code == 200
        slow.answer.set()
        for response in await asyncio.gather(*waiting):
            problem(response, 503, "unavailable")
