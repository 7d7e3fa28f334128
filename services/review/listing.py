"""The desk's list: the SQL of its search.

Whatever is asked for, the answer is a part of one list, newest first, and so is what each filter leaves by itself: the
items of a state and a post (an index of theirs), those with a fragment in the person's name (`name_fragments`), those
of some enterprises (an index again). A search by a part of a name looks through the shortest of these lists in
portions, from the newest on, for what is in the others as well, until the page is full or one of them ends. The
shortest is the one whose next portion reaches furthest; where the others have nothing it leaps. So a search costs about
the same at ten million items as at ten thousand, and no plan depends on how rare a value is.

The statements are the driver's own, written once for each set of filters, and prepared.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from services.review.models import FRAGMENT, ListedItem, Neighbour
from services.review.schemas import ItemSearch
from shared.persistence.reader import Read

Position = tuple[datetime, UUID]
# After everything there is.
NEWEST: Position = (datetime(9999, 12, 31, tzinfo=UTC), UUID(int=2**128 - 1))

# With more names of enterprises than this their items are first looked for among all.
FEW = 1000
# Rows of a portion; the first has as many as the page, each further one GROWTH times as many.
SMALLEST_PORTION, LARGE_PORTION, LARGEST_PORTION, GROWTH = 16, 4096, 8192, 4

_EXACT = {
    "id_number_index": "items.id_number_index = %(id_number_index)s",
    "certificate_number": "search_key(items.certificate_number) = search_key(%(certificate_number)s)",
    "application_ids": "items.application_id = ANY(%(application_ids)s)",
}
_CHOSEN = {"post": "{0}.post = %(post)s", "status": "{0}.status = %(status)s"}
_TIMES = {"added_from": "{0}.added_at >= %(added_from)s", "added_to": "{0}.added_at <= %(added_to)s"}
_ENTERPRISES = (
    "SELECT name FROM enterprise_names"
    " WHERE string_to_array(key, NULL) @> string_to_array(%(enterprise)s, NULL) AND strpos(key, %(enterprise)s) > 0"
)
_NAMED = "strpos(search_key(items.name), %(name)s) > 0"
# Scalar subqueries, which are looked up for each item: an EXISTS could be planned as a join with all of a table.
_EMPLOYED = (
    "coalesce((SELECT strpos(key, %(enterprise)s) > 0 FROM enterprise_names WHERE name = items.enterprise_name), false)"
)
_IN_NAMES = (
    "coalesce((SELECT true FROM name_fragments AS f WHERE f.fragment = %(fragment)s"
    " AND (f.added_at, f.application_id) = (listed.added_at, listed.application_id)), false)"
)
_IN_ITEMS = (
    "coalesce((SELECT true FROM items AS i WHERE {0}"
    " AND (i.added_at, i.application_id) = (listed.added_at, listed.application_id)), false)"
)

_ITEM = (
    "items.application_id, items.application_number, items.change_no, items.revision, items.decision_no, items.name,"
    " items.person, items.enterprise_name, items.post, items.post_name, items.certificate_number, items.status,"
    " items.added_at, items.submitted_at, items.reason_code, items.comment,"
    " items.refusal_change_no, items.refusal_code, items.refusal_detail,"
    " items.numbering_decision_no, items.numbering_code, items.numbering_detail,"
    # A scalar subquery, of which the unique index allows one row: EXISTS could be planned as a scan of all decisions.
    " coalesce((SELECT true FROM decisions WHERE decisions.application_id = items.application_id"
    " AND decisions.revision = items.revision AND decisions.decision_no = items.decision_no"
    " AND decisions.outcome = 'asked'), false)"
)
_NEIGHBOUR = "items.application_id, items.name, items.status"


_PLACE = ("added_at", "application_id")


class _Direction(NamedTuple):
    """`before` is the id that comes before all others of an instant."""

    beyond: str
    order: str
    before: UUID


_OLDER, _NEWER = _Direction("<", "DESC", NEWEST[1]), _Direction(">", "ASC", UUID(int=0))


@dataclass(frozen=True)
class _Asked:
    """What a search's statements are made for: the filters that are given, whether the name's fragment is all of it,
    the columns, and how many rows at most."""

    filters: frozenset[str]
    whole: bool
    columns: str
    direction: _Direction
    number: int


async def search_items(read: Read, search: ItemSearch, after: Position | None, number: int) -> list[ListedItem]:
    """Find the first `number` items that match, newest first, of those after a position."""
    rows = await _search(read, search, _ITEM, _OLDER, after or NEWEST, number)
    return [ListedItem._make(row) for row in rows]


async def find_position(read: Read, application_id: UUID) -> Position | None:
    """Find where an item stands in the list."""
    statement = "SELECT added_at, application_id FROM items WHERE application_id = %(application_id)s"
    rows = await read(statement, {"application_id": application_id})
    return (rows[0][0], rows[0][1]) if rows else None


async def find_neighbours(
    read: Read, search: ItemSearch, position: Position
) -> tuple[Neighbour | None, Neighbour | None]:
    """Find what stands before and after a position in the list of a search."""
    found = [await _search(read, search, _NEIGHBOUR, direction, position, 1) for direction in (_NEWER, _OLDER)]
    previous, following = [Neighbour._make(rows[0]) if rows else None for rows in found]
    return previous, following


async def _search(
    read: Read, search: ItemSearch, columns: str, direction: _Direction, start: Position, number: int
) -> list[tuple[Any, ...]]:
    given = {name: value for name, value in vars(search).items() if value is not None}
    if given.keys() & {"name", "enterprise"}:
        ((name, enterprise),) = await read(
            "SELECT search_key(%(name)s), search_key(%(enterprise)s)",
            {"name": given.pop("name", ""), "enterprise": given.pop("enterprise", "")},
        )
        given |= {part: key for part, key in (("name", name), ("enterprise", enterprise)) if key}
    parameters = {
        **given,
        "added_at": start[0],
        "application_id": start[1],
        "fragment": given.get("name", "")[:FRAGMENT],
    }
    whole = len(given.get("name", "")) <= FRAGMENT
    asked = _Asked(frozenset(given), whole, columns, direction, number)
    if not given.keys() & {"name", "enterprise"} or given.keys() & _EXACT.keys():
        return await read(_page(asked), parameters)
    lists = ["name"] if "name" in given else []
    if given.keys() & _CHOSEN.keys():
        lists.append("items")
    if "enterprise" in given:
        parameters["names"] = await _enterprises(read, given, FEW + 1)
        if not parameters["names"]:
            return []
        if len(parameters["names"]) <= FEW:
            lists.append("enterprises")
    return await _look_through(read, asked, lists or ["items"], parameters)


async def _enterprises(read: Read, given: Mapping[str, Any], limit: int | None = None) -> list[str]:
    rows = await read(_ENTERPRISES + (f" LIMIT {limit}" if limit else ""), given)
    return [name for (name,) in rows]


async def _look_through(
    read: Read, asked: _Asked, lists: list[str], parameters: dict[str, Any]
) -> list[tuple[Any, ...]]:
    """Go on until the page is full or a list ends."""
    found: list[tuple[Any, ...]] = []
    furthest = min if asked.direction is _OLDER else max
    size = max(asked.number, SMALLEST_PORTION)
    while True:
        ends = {name: await read(_end(asked, name, size), parameters) for name in lists} if len(lists) > 1 else {}
        ended = [name for name, end in ends.items() if not end]
        chosen = ended[0] if ended else furthest(lists, key=lambda name: ends[name][0]) if ends else lists[0]
        found += await read(_portion(asked, chosen, size), parameters)
        if len(found) >= asked.number:
            return found[: asked.number]
        end = ends.get(chosen) or await read(_end(asked, chosen, size), parameters)
        if not end:
            return found
        parameters |= zip(_PLACE, end[0], strict=True)
        place = (end[0][0], end[0][1])
        for name in lists:
            if name != chosen:
                following = await read(_end(asked, name, 1), parameters)
                if not following:
                    return found
                place = furthest(place, (following[0][0], asked.direction.before))
        parameters |= zip(_PLACE, place, strict=True)
        size = min(size * GROWTH, LARGEST_PORTION)
        if size > LARGE_PORTION and "enterprise" in asked.filters and "enterprises" not in lists:
            # So many names are looked up one by one only if their items turn out to be rare.
            parameters["names"] = await _enterprises(read, parameters)
            lists = [*lists, "enterprises"]


@cache
def _page(asked: _Asked) -> str:
    """Select what all filters leave, as the database finds it best: some value is exact, or an index has them all."""
    parts = {"name": _NAMED, "enterprise": _EMPLOYED}
    conditions = _conditions(asked, _EXACT | _CHOSEN | _TIMES | parts, "items")
    return f"SELECT {asked.columns} FROM items WHERE {conditions} {_first(asked, 'items', asked.number)}"


@cache
def _portion(asked: _Asked, name: str, size: int) -> str:
    """Select what all filters leave of the next portion of a list: first what the others' indexes know, then the rest
    of what the items themselves say."""
    chosen = [condition.format("i") for filter_, condition in _CHOSEN.items() if filter_ in asked.filters]
    known = {"name": _IN_NAMES} if "name" in asked.filters else {}
    known |= {"items": _IN_ITEMS.format(" AND ".join(chosen))} if chosen else {}
    indexed = [condition for other, condition in known.items() if other != name]
    own = [_NAMED] if "name" in asked.filters and not asked.whole else []
    own += [_EMPLOYED] if "enterprise" in asked.filters and name != "enterprises" else []
    listed = f"SELECT * FROM ({_places(asked, name, size)} LIMIT {size}) AS listed"
    return (
        f"SELECT {asked.columns} FROM ({listed}{_where(indexed)}) AS listed"
        " JOIN items ON (items.added_at, items.application_id) = (listed.added_at, listed.application_id)"
        f"{_where(own)} {_first(asked, 'listed', asked.number)}"
    )


def _where(conditions: list[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


@cache
def _end(asked: _Asked, name: str, size: int) -> str:
    """Select the last place of the next portion; nothing where the list ends before."""
    return f"{_places(asked, name, size)} OFFSET {size - 1} LIMIT 1"


def _places(asked: _Asked, name: str, size: int) -> str:
    """Select the places of a list's items, in order, for the first `size` of them to be taken."""
    if name == "items":
        return (
            f"SELECT items.added_at, items.application_id FROM items"
            f" WHERE {_conditions(asked, _CHOSEN | _TIMES, 'items')} {_ordered(asked, 'items')}"
        )
    if name == "name":
        return (
            "SELECT named.added_at, named.application_id FROM name_fragments AS named"
            f" WHERE named.fragment = %(fragment)s AND {_conditions(asked, _TIMES, 'named')} {_ordered(asked, 'named')}"
        )
    return (
        "SELECT theirs.added_at, theirs.application_id FROM unnest(%(names)s::text[]) AS called (name)"
        " CROSS JOIN LATERAL (SELECT own.added_at, own.application_id FROM items AS own"
        " WHERE own.enterprise_name = called.name"
        f" AND {_conditions(asked, _TIMES, 'own')} {_first(asked, 'own', size)}) AS theirs {_ordered(asked, 'theirs')}"
    )


def _conditions(asked: _Asked, known: Mapping[str, str], table: str) -> str:
    """Write those of the known conditions that are asked for, and that a place comes after where the portion starts."""
    place = f"({table}.added_at, {table}.application_id)"
    own = [condition.format(table) for name, condition in known.items() if name in asked.filters]
    return " AND ".join([*own, f"{place} {asked.direction.beyond} (%(added_at)s, %(application_id)s)"])


def _ordered(asked: _Asked, table: str) -> str:
    order = asked.direction.order
    return f"ORDER BY {table}.added_at {order}, {table}.application_id {order}"


def _first(asked: _Asked, table: str, number: int) -> str:
    # Written out: of a number that is a parameter a plan knows nothing.
    return f"{_ordered(asked, table)} LIMIT {number}"
