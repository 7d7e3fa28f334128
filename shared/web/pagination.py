"""Keyset pages, newest first: `cursor` is an opaque text of the last row's (instant, id)."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import sqlalchemy as sa
from fastapi import Depends, Query
from pydantic import BaseModel

from shared.errors import Invalid
from shared.web.validation import YEARS

MAX_PAGE = 100
T = TypeVar("T")


class InvalidCursor(Invalid):
    code = "invalid_cursor"
    detail = "翻页参数无效，请从第一页重新开始"


class Page(BaseModel, Generic[T]):
    items: list[T]
    next_cursor: str | None


@dataclass(frozen=True)
class PageRequest:
    limit: int
    after: tuple[datetime, UUID] | None


async def page_request(
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20, cursor: Annotated[str | None, Query(max_length=200)] = None
) -> PageRequest:
    """Read a page's parameters, as a FastAPI dependency. Raises InvalidCursor."""
    return PageRequest(limit, decode_cursor(cursor) if cursor else None)


Paging = Annotated[PageRequest, Depends(page_request)]


def encode_cursor(moment: datetime, identity: UUID) -> str:
    raw = f"{moment.astimezone(UTC).isoformat()}|{identity}"
    return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[datetime, UUID]:
    """Read what `encode_cursor` wrote. Raises InvalidCursor."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
        moment, _, identity = raw.partition("|")
        parsed = datetime.fromisoformat(moment)
        position = parsed, UUID(identity)
    except (ValueError, binascii.Error):
        raise InvalidCursor from None
    if parsed.utcoffset() is None or not YEARS[0] <= parsed.year <= YEARS[1]:
        raise InvalidCursor
    return position


def keyset(statement: sa.Select[Any], page: PageRequest, moment: Any, identity: Any) -> sa.Select[Any]:
    """Give `statement` order, position and limit; one row more than the page tells whether there is a next one."""
    if page.after is not None:
        statement = statement.where(sa.tuple_(moment, identity) < sa.tuple_(*page.after))
    return statement.order_by(moment.desc(), identity.desc()).limit(page.limit + 1)


def split_page(rows: Sequence[T], page: PageRequest, position: Any) -> tuple[list[T], str | None]:
    """Give the page's rows and the cursor of the next page; `position(row)` gives (instant, id)."""
    if len(rows) <= page.limit:
        return list(rows), None
    kept = list(rows[: page.limit])
    return kept, encode_cursor(*position(kept[-1]))


def apply_filters(
    statement: sa.Select[Any], *conditions: tuple[Any, Callable[[Any, Any], sa.ColumnElement[bool]], Any]
) -> sa.Select[Any]:
    """Narrow a search: (column, comparison, value) counts unless the value is None."""
    return statement.where(*(compare(column, value) for column, compare, value in conditions if value is not None))
