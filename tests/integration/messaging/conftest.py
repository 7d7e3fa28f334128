from collections.abc import AsyncIterator, Iterator

import pytest

from shared.persistence.db import Database
from tests.support.backbone import Backbone, backbone, create_tables
from tests.support.backing import Postgres


@pytest.fixture
def database_url(postgres: Postgres) -> Iterator[str]:
    """An empty database with the backbone's tables and `effects`."""
    with postgres.temporary(postgres.template("template_messaging", create_tables)) as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture(params=["in-process", "rabbitmq"])
def transport(request: pytest.FixtureRequest) -> str | None:
    """Both transports in turn: None, or the AMQP URL of an empty vhost."""
    return str(request.getfixturevalue("vhost")) if request.param == "rabbitmq" else None


@pytest.fixture
async def bus(transport: str | None, database_url: str) -> AsyncIterator[Backbone]:
    async with backbone(database_url, transport) as running:
        yield running
