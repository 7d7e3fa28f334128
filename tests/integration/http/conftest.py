from collections.abc import AsyncIterator

import pytest

from tests.fixtures.backing import Postgres
from tests.fixtures.platform import service_database
from tests.integration.http.service import SERVICE, Service, running


@pytest.fixture
async def service(postgres: Postgres) -> AsyncIterator[Service]:
    with service_database(postgres, SERVICE) as url:
        async with running(url) as started:
            yield started
