from collections.abc import AsyncIterator

import pytest

from tests.integration.web.service import SERVICE, Service, running
from tests.support.backing import Postgres
from tests.support.platform import service_database


@pytest.fixture
async def service(postgres: Postgres) -> AsyncIterator[Service]:
    with service_database(postgres, SERVICE) as url:
        async with running(url) as started:
            yield started
