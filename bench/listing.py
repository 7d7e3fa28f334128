"""The review desk's list: what every filter costs, from few items to many."""

import os
import random
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bench.desk_data import GIVEN, KINDS, PLACES, POSTS, SURNAMES, fill
from services.review import listing as desk_list
from services.review.schemas import ItemSearch
from shared.persistence.db import Database, migrate
from tests.support.backing import Backing

# `SCALE=10000,1000000,10000000 make bench ONLY=listing`; ten million take some minutes to build, and 25 GB.
SCALE = [int(size) for size in os.environ.get("SCALE", "10000,300000").split(",")]
PAGE = 21
# Each search is measured in the best of so many tries, because what else the machine does is no part of it.
SEARCHES, TRIES = 30, 2
PERSON = "k1.sealed"

Draw = Callable[[], tuple[dict[str, Any], desk_list.Position | None]]


async def listing(backing: Backing, rounds: int) -> None:  # noqa: ARG001 - every search has tries of its own
    """Measure each filter's p50 and p95 at each size, in milliseconds of both processors' time, and print."""
    figures: dict[str, list[tuple[float, float]]] = {}
    for count in SCALE:
        with backing.postgres.temporary() as url:
            migrate("review", url)
            fill(url, count, PERSON)
            database = Database(url, pool_size=2)
            for name, draw in (await _filters(database)).items():
                figures.setdefault(name, []).append(await _measure(database, draw))
            await database.close()
    print(f"\nSearches of the desk's list at {', '.join(f'{count:,}' for count in SCALE)} items (p50 / p95, ms)")
    for name, columns in figures.items():
        print(f"  {name:34}" + "".join(f"{middle:10.2f} /{high:7.2f}" for middle, high in columns))


async def _measure(database: Database, draw: Draw) -> tuple[float, float]:
    ((backend,),) = await database.read("SELECT pg_backend_pid()", {})

    def spent() -> float:
        return int(Path(f"/proc/{backend}/schedstat").read_text().split()[0]) / 1e9 + time.process_time()

    taken = []
    for _ in range(SEARCHES):
        filters, after = draw()
        tries = []
        for _ in range(TRIES):
            started = spent()
            await desk_list.search_items(database.read, ItemSearch(**filters), after, PAGE)
            tries.append(spent() - started)
        taken.append(min(tries) * 1000)
    taken.sort()
    return taken[len(taken) // 2], taken[int(len(taken) * 0.95)]


async def _filters(database: Database) -> dict[str, Draw]:
    """List ways to narrow the list, each with values drawn anew: of what is there, common and rare, and of nobody."""
    rows = await database.read(
        "SELECT name, enterprise_name, added_at, application_id, id_number_index, certificate_number"
        " FROM items ORDER BY application_id LIMIT 1000",
        {},
    )
    chance = random.Random(5)

    def one(values: Any) -> Any:
        return chance.choice(values)

    def place() -> tuple[datetime, Any]:
        row = one(rows)
        return row[2], row[3]

    def status() -> str:
        return str(one(["pending_review", "approved", "certified", "rejected", "cancelled"]))

    def post() -> str:
        return str(one(POSTS)[0])

    return {
        "nothing": lambda: ({}, None),
        "nothing, after a cursor": lambda: ({}, place()),
        "status": lambda: ({"status": status()}, None),
        "post": lambda: ({"post": post()}, None),
        "status, post, after a cursor": lambda: ({"status": status(), "post": post()}, place()),
        "three days": lambda: ({"added_from": (day := place()[0]), "added_to": day + timedelta(days=3)}, None),
        "status, until a day": lambda: ({"status": status(), "added_to": place()[0]}, None),
        "id number": lambda: ({"id_number_index": one(rows)[4]}, None),
        "certificate number": lambda: ({"certificate_number": one(rows)[5] or "0"}, None),
        "surname": lambda: ({"name": one(SURNAMES)}, None),
        "rare surname": lambda: ({"name": one(SURNAMES[-40:])}, None),
        "surname, after a cursor": lambda: ({"name": one(SURNAMES)}, place()),
        "one character of a given name": lambda: ({"name": one(GIVEN)}, None),
        "name of two characters": lambda: ({"name": one(SURNAMES) + one(GIVEN)}, None),
        "whole name": lambda: ({"name": one(rows)[0]}, None),
        "name of nobody": lambda: ({"name": one(["凹凸", "龘", "司马龙龙", "王李张"])}, None),
        "surname, status": lambda: ({"name": one(SURNAMES), "status": status()}, None),
        "surname, status, post": lambda: ({"name": one(SURNAMES), "status": status(), "post": post()}, None),
        "enterprise: a city": lambda: ({"enterprise": one(PLACES)}, None),
        "enterprise: a city, after a cursor": lambda: ({"enterprise": one(PLACES)}, place()),
        "enterprise: a kind": lambda: ({"enterprise": one(KINDS)}, None),
        "enterprise: two characters": lambda: ({"enterprise": one(rows)[1][3:5]}, None),
        "enterprise: four characters": lambda: ({"enterprise": one(rows)[1][3:7]}, None),
        "enterprise: whole": lambda: ({"enterprise": one(rows)[1]}, None),
        "enterprise: nobody's": lambda: ({"enterprise": one(["火星", "杭州", "公司有限", "南昌市龘"])}, None),
        "enterprise: whole, status": lambda: ({"enterprise": one(rows)[1], "status": status()}, None),
        "city, status, post": lambda: ({"enterprise": one(PLACES), "status": status(), "post": post()}, None),
        "surname, city": lambda: ({"name": one(SURNAMES), "enterprise": one(PLACES)}, None),
        "whole name, enterprise": lambda: ({"name": one(rows)[0], "enterprise": one(rows)[1]}, None),
        "surname, enterprise": lambda: ({"name": one(SURNAMES), "enterprise": one(rows)[1]}, None),
        "everything": lambda: (
            {
                "name": one(SURNAMES),
                "enterprise": one(rows)[1][2:6],
                "status": status(),
                "post": post(),
                "added_to": place()[0],
            },
            None,
        ),
    }
