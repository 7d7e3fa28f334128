from collections.abc import AsyncIterator

import pytest

from shared.persistence.db import migrate
from tests.integration.review.desk import Desk, running
from tests.support.backing import Postgres


@pytest.fixture(scope="session")
def review_template(postgres: Postgres) -> str:
    return postgres.template("template_review", lambda url: migrate("review", url))


@pytest.fixture
async def desk(postgres: Postgres, review_template: str) -> AsyncIterator[Desk]:
    with postgres.temporary(review_template) as url:
        async with running(url) as service:
            yield service
