"""Accounts at the issuing services of one platform for each module."""

import pytest

from tests.integration.auth.issuer import ISSUERS, Portal, new_enterprise, new_reviewer
from tests.support.platform import Harness


@pytest.fixture(params=ISSUERS)
async def portal(shared_embedded: Harness, request: pytest.FixtureRequest) -> Portal:
    return await (new_reviewer if request.param == "review" else new_enterprise)(shared_embedded)


@pytest.fixture
async def reviewer(shared_embedded: Harness) -> Portal:
    return await new_reviewer(shared_embedded, "reviewer", "registrar")
