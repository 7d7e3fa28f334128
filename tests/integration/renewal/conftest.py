import pytest

from tests.fixtures.platform import Harness
from tests.integration.renewal.support import Office


@pytest.fixture(scope="module")
async def office(shared_embedded: Harness) -> Office:
    return await Office.open(shared_embedded)
