"""A service's stored ciphertext under the current data key, so that an older key can be dropped."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from shared.persistence.cipher import DecryptionFailed, FieldCipher
from shared.persistence.db import Database

BATCH = 500


@dataclass(frozen=True)
class Encrypted:
    """A mapped column of ciphertext or NULL, and the context that binds it. Its table's primary key is one column."""

    column: InstrumentedAttribute[str] | InstrumentedAttribute[str | None]
    context: str

    def __str__(self) -> str:
        return str(self.column.expression)


async def reencrypt(database: Database, cipher: FieldCipher, encrypted: Encrypted) -> AsyncIterator[int]:
    """Encrypt anew batch by batch, each a transaction; yields how many values each has changed.

    May run beside the service and be interrupted; a value under the current key is left alone. Raises DecryptionFailed,
    naming the row.
    """
    model = encrypted.column.class_
    (key,) = model.__table__.primary_key
    old = encrypted.column.not_like(f"{cipher.current}.%")
    rest: sa.ColumnElement[bool] = old
    while True:
        async with database.transaction() as session:
            statement = sa.select(key, encrypted.column).where(rest).order_by(key).limit(BATCH).with_for_update()
            rows = (await session.execute(statement)).all()
            if not rows:
                return
            changes = [_changed(cipher, encrypted, key.name, *row) for row in rows]
            await session.execute(sa.update(model), changes)
        rest = sa.and_(old, key > rows[-1][0])
        yield len(rows)


def _changed(cipher: FieldCipher, encrypted: Encrypted, key: str, identity: Any, value: str) -> dict[str, Any]:
    try:
        plain = cipher.decrypt(value, encrypted.context)
    except DecryptionFailed as error:
        raise DecryptionFailed(f"{encrypted} of {identity}: {error}") from error
    return {key: identity, encrypted.column.key: cipher.encrypt(plain, encrypted.context)}
