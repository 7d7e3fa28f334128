from collections.abc import AsyncIterator

import pytest

from tests.support.backing import Postgres
from tests.support.office import Office
from tests.support.platform import embedded_harness


@pytest.fixture(scope="package")
async def office(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    """One platform for all of these tests: each has people, and where it matters an enterprise, of its own."""
    async with embedded_harness(postgres, tmp_path_factory.mktemp("renewal")) as harness:
        yield await Office.open(harness)
