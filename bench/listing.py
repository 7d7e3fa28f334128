"""The review desk's page against OFFSET and COUNT, at a hundred thousand items."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import sqlalchemy as sa

from bench.run import compare
from services.review import queries
from services.review.models import Item
from services.review.schemas import ItemSearch
from shared.persistence.db import Database, migrate
from shared.web.pagination import PageRequest, decode_cursor, encode_cursor
from tests.support.backing import Backing

ITEMS = 100_000
PAGES = 30
DEPTH = 1000

FILL = """
INSERT INTO items (application_id, change_no, revision, decision_no, application_number, status, name, person,
    id_number_index, enterprise_id, enterprise_name, post, post_name, added_at, submitted_at, images)
SELECT gen_random_uuid(), 1, 1, 0, 'HZ' || n, (ARRAY['pending_review', 'certified', 'rejected'])[1 + n % 3],
    chr(20000 + n % 300) || chr(21000 + n % 211) || chr(22000 + n % 97), :person, md5(n::text), gen_random_uuid(),
    '企业' || n % 5000, '10', '土建施工员', now() - n * interval '1 minute', now(), '[]'
FROM generate_series(1, :count) AS n
"""


async def listing(backing: Backing, rounds: int) -> None:
    """Measure the desk's list against OFFSET and COUNT, and print."""
    with backing.postgres.temporary() as url:
        migrate("review", url)
        database = Database(url, pool_size=2)
        async with database.transaction() as session:
            await session.execute(sa.text(FILL), {"count": ITEMS, "person": "sealed"})
        async with database.engine.connect() as connection:
            await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(sa.text("ANALYZE items"))
        async with database.transaction() as session:
            row = (
                await session.execute(sa.select(Item).order_by(Item.added_at.desc()).offset(DEPTH).limit(1))
            ).scalar_one()
            deep = decode_cursor(encode_cursor(row.added_at, row.application_id))

        def pages(read: Callable[[Any], Awaitable[Any]]) -> Callable[[], Awaitable[float]]:
            async def measure() -> float:
                started = time.perf_counter()
                for _ in range(PAGES):
                    async with database.transaction() as session:
                        await read(session)
                return PAGES / (time.perf_counter() - started)

            return measure

        async def first(session: Any) -> None:
            await queries.search_items(session, ItemSearch(), PageRequest(20, None))

        async def later(session: Any) -> None:
            await queries.search_items(session, ItemSearch(status="pending_review"), PageRequest(20, deep))

        async def by_name(session: Any) -> None:
            await queries.search_items(session, ItemSearch(name=chr(20007) + chr(21007)), PageRequest(20, None))

        async def offset_and_count(session: Any) -> None:
            await session.scalar(sa.select(sa.func.count()).select_from(Item))
            page = sa.select(Item).order_by(Item.added_at.desc(), Item.application_id.desc()).offset(DEPTH).limit(20)
            await session.execute(page)

        await compare(
            f"The desk's list of {ITEMS:,}",
            "pages/s",
            "offset and count",
            {
                "offset and count": pages(offset_and_count),
                "first page": pages(first),
                f"page after {DEPTH} rows, one status": pages(later),
                "name contains two characters": pages(by_name),
            },
            rounds,
        )
        await database.close()
