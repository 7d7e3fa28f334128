"""The desk's search finds what a plain search of every item would, in the same order, whatever is stored and asked."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.review import listing, queries
from services.review.domain import STATUS_LABELS
from services.review.models import Item
from services.review.schemas import AuditSearch, ItemSearch
from shared.persistence.db import Database
from shared.persistence.search import search_key
from tests.support.backing import Postgres
from tests.support.clock import START

NAMES = ["王伟", "王小伟", "李伟王", "伟伟", "王", "欧阳伟", "阿卜杜·王伟买提", "王 伟", "ABCＡＢＣ", "%_王\\"]
ENTERPRISES = ["赣州市宏达", "赣州宏达", "九江市宏达建设", "宏（达）建设", "达宏", "%_"]
PARTS = ["王", "伟", "王伟", "伟王", "王小伟", "abc", "ＡＢＣａ", "阿卜杜·王", "杜.王伟买", "%", "_王", "\\", "·", "龘"]
ENTERPRISE_PARTS = ["赣州", "宏达", "达建设", "(达)", "达", "市", "九江市宏达建设", "宏达赣州", "%", "无"]
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(PARTS),
        "enterprise": st.sampled_from(ENTERPRISE_PARTS),
        "status": st.sampled_from(list(STATUS_LABELS)[:2]),
        "post": st.sampled_from(["10", "11"]),
        "added_from": st.integers(0, 5).map(lambda n: START + timedelta(minutes=n)),
        "added_to": st.integers(0, 5).map(lambda n: START + timedelta(minutes=n)),
        "id_number_index": st.sampled_from(["a", "b"]),
        "certificate_number": st.sampled_from(["1－a", "(1)"]),
        "application_ids": st.lists(st.integers(0, 40).map(lambda n: UUID(int=n)), min_size=1, max_size=5),
    },
)
# Several of one instant, so that ids decide.
ITEM = st.tuples(
    st.sampled_from(NAMES),
    st.sampled_from(ENTERPRISES),
    st.sampled_from(list(STATUS_LABELS)[:2]),
    st.sampled_from(["10", "11"]),
    st.integers(0, 5),
    st.sampled_from(["a", "b"]),
    st.sampled_from([None, "1-A", "（1）"]),
)


def row(number: int, drawn: tuple[Any, ...]) -> dict[str, Any]:
    name, enterprise, status, post, minute, index, certificate = drawn
    return {
        "application_id": UUID(int=number),
        "change_no": 1,
        "revision": 1,
        "decision_no": 0,
        "application_number": f"HZ{number:08d}",
        "status": status,
        "name": name,
        "person": "",
        "id_number_index": index,
        "enterprise_id": UUID(int=number),
        "enterprise_name": enterprise,
        "post": post,
        "post_name": "岗位",
        "certificate_number": certificate,
        "images": [],
        "added_at": START + timedelta(minutes=minute),
    }


@pytest.fixture(scope="module")
async def database(postgres: Postgres, review_template: str) -> AsyncIterator[Database]:
    with postgres.temporary(review_template) as url:
        database = Database(url, pool_size=2)
        yield database
        await database.close()


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """As few rows as there are here are looked through in several portions, and names are soon too many."""
    for name, value in {"FEW": 2, "SMALLEST_PORTION": 1, "LARGE_PORTION": 8, "LARGEST_PORTION": 12}.items():
        monkeypatch.setattr(listing, name, value)


def plain(search: ItemSearch) -> sa.Select[Any]:
    def contains(column: Any, part: str) -> sa.ColumnElement[bool]:
        return sa.func.strpos(search_key(column), search_key(part)) > 0

    conditions = {
        "name": lambda part: contains(Item.name, part),
        "enterprise": lambda part: contains(Item.enterprise_name, part),
        "certificate_number": lambda number: search_key(Item.certificate_number) == search_key(number),
        "application_ids": Item.application_id.in_,
        "added_from": lambda moment: Item.added_at >= moment,
        "added_to": lambda moment: Item.added_at <= moment,
    }
    given = {name: value for name, value in vars(search).items() if value is not None}
    wanted = [conditions.get(name, getattr(Item, name, None).__eq__)(value) for name, value in given.items()]
    return sa.select(Item.application_id).where(*wanted).order_by(Item.added_at.desc(), Item.application_id.desc())


async def store(database: Database, drawn: Sequence[tuple[Any, ...]], changes: Sequence[tuple[int, Any]]) -> None:
    """Put the items there, and then change or (None) delete some of them."""
    async with database.transaction() as session:
        await session.execute(sa.text("TRUNCATE items, name_fragments, enterprise_names"))
        if drawn:
            await session.execute(sa.insert(Item), [row(number, one) for number, one in enumerate(drawn)])
        for number, change in changes:
            chosen = Item.application_id == UUID(int=number % max(1, len(drawn)))
            if change is None:
                await session.execute(sa.delete(Item).where(chosen))
            else:
                changed = {name: value for name, value in row(0, change).items() if name != "application_id"}
                await session.execute(sa.update(Item).where(chosen).values(changed))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(ITEM, max_size=40),
    st.lists(st.tuples(st.integers(0, 40), st.none() | ITEM), max_size=4),
    st.lists(FILTERS, min_size=1, max_size=4),
    st.integers(1, 7),
)
async def test_search_finds_what_a_plain_search_of_every_item_would(
    database: Database,
    drawn: list[tuple[Any, ...]],
    changes: list[tuple[int, Any]],
    filters: list[dict[str, Any]],
    limit: int,
) -> None:
    await store(database, drawn, changes)
    for one in filters:
        search = ItemSearch(**one)
        async with database.transaction() as session:
            expected = list(await session.scalars(plain(search)))
            everything = (await session.execute(sa.select(Item.added_at, Item.application_id))).all()
        found: list[UUID] = []
        after = None
        while len(page := await listing.search_items(database.read, search, after, limit + 1)) > limit:
            found += [item.application_id for item in page[:limit]]
            after = (page[limit - 1].added_at, page[limit - 1].application_id)
        found += [item.application_id for item in page]
        assert found == expected
        places = {application_id: (added_at, application_id) for added_at, application_id in everything}
        for position in list(places.values())[::5]:
            previous, following = await listing.find_neighbours(database.read, search, position)
            newer = [one for one in expected if places[one] > position]
            older = [one for one in expected if places[one] < position]
            assert [one and one.application_id for one in (previous, following)] == [
                newer[-1] if newer else None,
                older[0] if older else None,
            ]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(ITEM, max_size=20),
    st.lists(st.tuples(st.integers(0, 20), st.none() | ITEM), max_size=4),
    st.sampled_from([None, *PARTS]),
    st.sampled_from([None, *ENTERPRISE_PARTS]),
)
async def test_the_trail_is_searched_by_the_same_applications(
    database: Database,
    drawn: list[tuple[Any, ...]],
    changes: list[tuple[int, Any]],
    name: str | None,
    enterprise: str | None,
) -> None:
    await store(database, drawn, changes)
    async with database.transaction() as session:
        expected = set(await session.scalars(plain(ItemSearch(name=name, enterprise=enterprise))))
        search = AuditSearch(name=name, enterprise=enterprise)
        assert set(await session.scalars(queries.matching_applications(search))) == expected
