from collections.abc import AsyncIterator, Iterator
from copy import copy

import pytest
import sqlalchemy as sa

from services.certnumber.app import build
from services.certnumber.consumers import SUBSCRIPTIONS
from services.certnumber.container import CertnumberContainer
from shared.messaging import Consumer
from shared.persistence.connections import connect_args
from shared.persistence.db import migrate
from tests.support.backing import Postgres
from tests.support.numbering import Asleep, new_settings


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    template = postgres.template("certnumber_template", lambda empty: migrate("certnumber", empty))
    with postgres.temporary(template) as url:
        yield url


@pytest.fixture
async def container(url: str) -> AsyncIterator[CertnumberContainer]:
    container = build(new_settings(url), eager=True)
    yield container
    await container.close()


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(url, pool_size=8, connect_args=connect_args())
    yield engine
    engine.dispose()


@pytest.fixture
def consumer(container: CertnumberContainer) -> Consumer:
    """Does not wake the numbering: the test numbers when it wants to."""
    quiet = copy(container)
    quiet.waker = Asleep()
    return Consumer(SUBSCRIPTIONS[0], quiet, container.database)
