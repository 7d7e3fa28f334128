"""What a service stored before identity numbers were kept out of text: masked once, by a migration."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic.operations import Operations

from shared.values.idnumber import masked


def mask_stored(op: Operations, table: str, key: Sequence[str], columns: Sequence[str], guard: str = "") -> None:
    """Mask the id numbers in these columns of text. `guard` is a trigger that refuses changes, for the time of this."""
    connection = op.get_bind()
    digits = (f"length(regexp_replace(normalize({column}, NFKC), '[^0-9]', '', 'g')) >= 15" for column in columns)
    statement = f"SELECT {', '.join((*key, *columns))} FROM {table} WHERE {' OR '.join(digits)}"  # noqa: S608 - names of ours
    changed = []
    for row in connection.execute(sa.text(statement)).mappings():
        clean = {column: row[column] and masked(row[column]) for column in columns}
        if any(clean[column] != row[column] for column in columns):
            changed.append({**{f"key_{name}": row[name] for name in key}, **clean})
    if not changed:
        return
    if guard:
        op.execute(f"ALTER TABLE {table} DISABLE TRIGGER {guard}")
    of_key = " AND ".join(f"{name} = :key_{name}" for name in key)
    values = ", ".join(f"{column} = :{column}" for column in columns)
    connection.execute(sa.text(f"UPDATE {table} SET {values} WHERE {of_key}"), changed)  # noqa: S608 - likewise
    if guard:
        op.execute(f"ALTER TABLE {table} ENABLE TRIGGER {guard}")
