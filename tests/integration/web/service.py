"""A small service built by `create_app`, whose routes do what real ones do and go wrong on demand."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

import httpx2
import sqlalchemy as sa
from fastapi import Depends, File, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import Field

from services.enterprise.settings import EnterpriseSettings
from shared.auth.access import allow
from shared.auth.tables import LoginSession
from shared.auth.tokens import Principal
from shared.errors import Conflict, TooLarge
from shared.runtime.container import Container, build_container
from shared.runtime.settings import new_key
from shared.values.clock import SystemClock
from shared.web.app import create_app
from shared.web.middleware import Pace
from shared.web.openapi import problems
from shared.web.ratelimit import rate_limit
from shared.web.routing import Session, transactional_router
from shared.web.validation import RequestModel, Text
from tests.support.platform import PATIENT

SERVICE = "enterprise"
UPLOAD_LIMIT = 3 * 1024 * 1024
# The reference is checked at the commit only, so that a request can succeed and its commit fail.
THINGS = """CREATE TABLE things (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL,
    parent bigint REFERENCES things (id) DEFERRABLE INITIALLY DEFERRED
)"""

router = transactional_router()
Caller = Annotated[Principal, allow("enterprise")]


class ThingRefused(Conflict):
    code = "thing_refused"
    detail = "不能这样做"


class ThingCreation(RequestModel):
    name: Text = Field(max_length=100)
    parent: int | None = None
    then: Literal["succeed", "refuse", "crash"] = "succeed"


async def _create(session: Session, body: ThingCreation) -> dict[str, Any]:
    insert = sa.text("INSERT INTO things (name, parent) VALUES (:name, :parent) RETURNING id")
    thing = await session.scalar(insert, {"name": body.name, "parent": body.parent})
    if body.then == "refuse":
        raise ThingRefused(status="not a number", since="yesterday")
    if body.then == "crash":
        raise RuntimeError(f"cannot work with {body.name}")
    return {"id": thing, "name": body.name}


@router.post("/things", status_code=201, responses=problems(ThingRefused))
async def create_thing(session: Session, body: ThingCreation) -> dict[str, Any]:
    return await _create(session, body)


@router.post("/own-things", status_code=201, responses=problems(ThingRefused))
async def create_own_thing(session: Session, caller: Caller, body: ThingCreation) -> dict[str, Any]:
    return await _create(session, body)


@router.post("/secrets", openapi_extra={"x-idempotent": False})
async def create_secret() -> dict[str, str]:
    return {"secret": uuid4().hex}


@router.get("/things/{name}")
async def read_thing(session: Session, name: str, hint: str = "") -> list[str]:
    found = await session.scalars(sa.text("SELECT name FROM things WHERE name IN (:a, :b)"), {"a": name, "b": hint})
    return list(found.all())


@router.patch("/things/{name}")
async def rename_thing(session: Session, name: str, number: int) -> None:
    # No number is checked, so that the database is what refuses it.
    await session.execute(
        sa.text("UPDATE things SET parent = :number WHERE name = :name"), locals() | {"session": None}
    )


@router.put("/upload")
async def upload(file: Annotated[UploadFile, File()]) -> int:
    return len(await file.read())


@router.get("/stream")
async def stream() -> StreamingResponse:
    async def broken() -> AsyncIterator[bytes]:
        yield b"first"
        raise RuntimeError("36019919900101001X")

    return StreamingResponse(broken())


@router.get("/limited/{name}", dependencies=[Depends(rate_limit("3/minute"))])
async def limited(name: str) -> str:
    return name


@dataclass
class Service:
    container: Container
    http: httpx2.AsyncClient
    app: Any

    def client(self, address: str) -> httpx2.AsyncClient:
        """A client at this network address."""
        transport = httpx2.ASGITransport(app=self.app, client=(address, 1))
        return httpx2.AsyncClient(transport=transport, base_url="http://service")

    async def names(self) -> list[str]:
        """What is committed."""
        async with self.container.database.engine.connect() as connection:
            return [row.name for row in await connection.execute(sa.text("SELECT name FROM things ORDER BY id"))]

    async def count(self, table: str) -> int:
        async with self.container.database.engine.connect() as connection:
            return int(await connection.scalar(sa.select(sa.func.count()).select_from(sa.table(table))) or 0)

    async def token(self, subject: UUID) -> tuple[dict[str, str], UUID]:
        """The header of a logged-in caller, and their session."""
        signing, now = self.container.signing, self.container.clock.now()
        assert signing is not None
        session_id = uuid4()
        async with self.container.database.transaction() as session:
            expires = now + timedelta(hours=1)
            session.add(LoginSession(id=session_id, subject=subject, secret_hash=session_id.hex, expires_at=expires))
        principal = Principal(SERVICE, subject, session_id, "某某", frozenset({"enterprise"}), False)
        return {"Authorization": f"Bearer {signing.sign(principal, now, timedelta(minutes=5))}"}, session_id


@asynccontextmanager
async def running(url: str, *, pace: Pace | None = None, **settings: Any) -> AsyncIterator[Service]:
    values = {
        "demo": True,
        "database_url": url,
        "data_keys": f"k:{new_key()}",
        "index_key": new_key(),
        "signing_keys": f"s:{new_key()}",
        **PATIENT,
        **settings,
    }
    container = build_container(Container, SERVICE, EnterpriseSettings(**values), clock=SystemClock())
    app = create_app(
        container,
        title="things",
        description="for tests",
        routers=[router],
        body_limits=((r"/upload$", UPLOAD_LIMIT, TooLarge),),
        pace=pace,
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(container.close)
        async with container.database.transaction() as session:
            await session.execute(sa.text(THINGS))
        transport = httpx2.ASGITransport(app=app)
        http = await stack.enter_async_context(httpx2.AsyncClient(transport=transport, base_url="http://service"))
        yield Service(container, http, app)
