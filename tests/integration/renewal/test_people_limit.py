"""Nobody finds out by trying who is in the platform's data."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from shared.web.ratelimit import new_limiter
from tests.support.backing import Postgres
from tests.support.office import Office, new_person, problem
from tests.support.platform import embedded_harness

PER_DAY = 4


@pytest.fixture
async def limited(postgres: Postgres, tmp_path: Path) -> AsyncIterator[Office]:
    async with embedded_harness(postgres, tmp_path) as harness:
        office = await Office.open(harness)
        office.renewal.people_per_day = PER_DAY
        office.renewal.limiter = new_limiter()
        yield office


async def _ask(
    office: Office, person: str, path: str = "/eligibility-checks", token: str | None = None
) -> httpx2.Response:
    return await office.request("POST", path, token, json={"id_number": person, "post": "10"})


def _ways() -> Iterator[str]:
    while True:
        yield from ("/eligibility-checks", "/applications")


async def test_both_ways_to_ask_count_together_known_people_or_not(limited: Office) -> None:
    ways = _ways()
    people = [await limited.person(), new_person(), await limited.person(), new_person()]
    answers = [(await _ask(limited, person, next(ways))).status_code for person in people]
    assert answers == [200, 404, 200, 404]
    for path in ("/eligibility-checks", "/applications"):
        refused = await _ask(limited, await limited.person(), path)
        problem(refused, 429, "too_many_people")
        assert 0 < int(refused.headers["Retry-After"]) <= 86400


async def test_the_same_person_counts_once_however_written(limited: Office) -> None:
    person = await limited.person()
    for text in (person, f" {person} ", f"{person[:6]} {person[6:14]}-{person[14:]}") * 2:
        assert (await _ask(limited, text)).status_code == 200
    assert (await _ask(limited, person, "/applications")).status_code == 201
    for _ in range(PER_DAY - 1):
        assert (await _ask(limited, new_person())).status_code == 404
    assert (await _ask(limited, new_person())).status_code == 429
    assert (await _ask(limited, person)).status_code == 200, "whom one knows already"


async def test_a_number_that_is_none_is_not_counted(limited: Office) -> None:
    for number in range(2 * PER_DAY):
        problem(await _ask(limited, f"36019919900101{number:04}"), 422, "invalid_id_number")
    assert (await _ask(limited, new_person())).status_code == 404


async def test_many_accounts_at_one_address_are_no_way_round(limited: Office) -> None:
    asked = 0
    for _ in range(5):
        token = await limited.harness.enterprise()
        for _ in range(PER_DAY):
            assert (await _ask(limited, new_person(), token=token)).status_code == 404
            asked += 1
    assert asked == 5 * PER_DAY
    problem(await _ask(limited, new_person(), token=await limited.harness.enterprise()), 429, "too_many_people")
