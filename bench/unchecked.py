"""The limit of an upload: `python -m bench.unchecked PORT DATABASE_URL DIRECTORY` takes whatever comes.

The same framework, the same store and the same rows as renewal's; nobody is asked who he is, and nothing is looked at.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated
from uuid import UUID, uuid4

import psycopg
import uvicorn
from fastapi import FastAPI, File, UploadFile

from shared.files.storage import DirectoryStore

CONNECTIONS = 8

_RETIRE = "UPDATE images SET current = false WHERE application_id = %s AND kind = %s AND current"
_IMAGE = """
INSERT INTO images (id, application_id, kind, current, object_key, content_type, sha256, pixel_sha256, width, height,
    bytes, uploaded_at)
VALUES (%s, %s, %s, true, %s, 'image/jpeg', %s, %s, 2000, 1500, %s, now())
"""
_CHANGE = """
WITH changed AS (UPDATE applications SET change_no = change_no + 1, updated_at = now() WHERE id = %s RETURNING *)
INSERT INTO history (application_id, change_no, at, action, actor, status, revision, decision_no)
SELECT id, change_no, now(), 'upload', 'enterprise', status, revision, decision_no FROM changed
"""


def create_app(database_url: str, directory: Path) -> FastAPI:
    connections: asyncio.Queue[psycopg.AsyncConnection] = asyncio.Queue()
    store = DirectoryStore(directory)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await store.ensure_bucket()
        for _ in range(CONNECTIONS):
            connections.put_nowait(await psycopg.AsyncConnection.connect(database_url))
        yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/readyz")
    async def readyz() -> None:
        return None

    @app.put("/{application_id}/{kind}")
    async def put(application_id: UUID, kind: str, file: Annotated[UploadFile, File()]) -> dict[str, object]:
        data = await file.read()
        key = f"applications/{application_id}/{uuid4()}.jpg"
        await store.put(key, data, "image/jpeg")
        connection = await connections.get()
        try:
            async with connection.transaction():
                await connection.execute(_RETIRE, (application_id, kind))
                await connection.execute(_IMAGE, (uuid4(), application_id, kind, key, "", key, len(data)))
                await connection.execute(_CHANGE, (application_id,))
        finally:
            connections.put_nowait(connection)
        return {"kind": kind, "bytes": len(data)}

    return app


def main() -> None:
    port, database_url, directory = sys.argv[1:]
    uvicorn.run(create_app(database_url, Path(directory)), port=int(port), log_level="error", access_log=False)


if __name__ == "__main__":
    main()
