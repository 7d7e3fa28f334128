"""What a test sees of the SQL that the code under test sends."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from shared.persistence.db import Database


@contextmanager
def statements(database: Database | None = None, *, unrolled: bool = False) -> Iterator[list[str]]:
    """The statements that `database`, or any engine of this process, is sent inside the block.

    One with a list of parameter sets counts once, or `unrolled` once for each of them.
    """
    target = database.engine.sync_engine if database else sa.Engine
    sent: list[str] = []

    def note(*arguments: Any) -> None:
        _, _, statement, parameters, _, _ = arguments
        sent.extend([statement] * (len(parameters) if unrolled and isinstance(parameters, list) else 1))

    sa.event.listen(target, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(target, "before_cursor_execute", note)
