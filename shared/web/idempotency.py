"""Idempotency-Key: the first answer of a POST is kept in the transaction of its effects and given again."""

import hashlib
import re
from datetime import datetime, timedelta

import sqlalchemy as sa
from fastapi import Request, Response
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared.errors import Invalid
from shared.persistence.bulk import BulkInsert, run_async
from shared.persistence.db import new_registry

HEADER = "Idempotency-Key"
KEY_SCHEMA = {"type": "string", "minLength": 1, "maxLength": 100, "pattern": "^[!-~]+$"}
VALID_KEY = re.compile(r"[!-~]{1,100}")
RETENTION = timedelta(hours=24)


class IdempotencyBase(DeclarativeBase):
    registry = new_registry()


class IdempotencyKey(IdempotencyBase):
    """The response a POST gave under an Idempotency-Key, written in the transaction of its effects."""

    __tablename__ = "idempotency_keys"
    scope: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    status: Mapped[int | None]
    body: Mapped[bytes | None]
    media_type: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    __table_args__ = (sa.Index(None, "created_at"),)


# Of every POST with a key, and so not built anew for each.
_RESERVE = BulkInsert(
    IdempotencyKey, ("scope", "key", "fingerprint"), on_conflict="DO NOTHING", returning=("fingerprint",)
)
_STORE = (
    "UPDATE idempotency_keys SET status = %(status)s, body = %(body)s, media_type = %(media_type)s"
    " WHERE scope = %(scope)s AND key = %(key)s"
)


class IdempotencyKeyInvalid(Invalid):
    code = "idempotency_key_invalid"
    detail = "Idempotency-Key 应为 1 至 100 个可见 ASCII 字符"


class IdempotencyKeyReused(Invalid):
    code = "idempotency_key_reused"
    detail = "该 Idempotency-Key 已用于另一个请求"


async def reserve_key(session: AsyncSession, request: Request, key: str, scope: str) -> Response | None:
    """Find the answer already given under `key`, or reserve the key for this request and give None.

    A second request with the same key waits here until the first one has committed or rolled back.
    Raises IdempotencyKeyInvalid, IdempotencyKeyReused.
    """
    if not VALID_KEY.fullmatch(key):
        raise IdempotencyKeyInvalid
    body = await request.body()
    digest = hashlib.sha256(f"{request.method} {request.url.path}\n".encode() + body).hexdigest()
    # Under a key of ours: the bare digest of a body that holds an id number could be found by trying all of them.
    fingerprint = request.app.state.container.cipher.blind_index(f"request:{digest}")
    if await _RESERVE.write_async(session, [(scope, key, fingerprint)]):
        return None
    row = await session.get_one(IdempotencyKey, (scope, key))
    if row.fingerprint != fingerprint or row.status is None:
        raise IdempotencyKeyReused
    return Response(row.body, row.status, {"Idempotency-Replayed": "true"}, row.media_type)


async def store_response(session: AsyncSession, key: str, scope: str, response: Response) -> None:
    """Keep the answer of the request that has reserved `key`."""
    given = {"scope": scope, "key": key, "status": response.status_code, "body": bytes(response.body)}
    await run_async(session, _STORE, {**given, "media_type": response.headers.get("content-type")})
