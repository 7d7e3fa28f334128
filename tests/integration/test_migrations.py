"""Each service's migrations make, from nothing, just what its models say."""

import asyncio

import alembic.command
import pytest

from deploy.embedded.platform import SERVICES
from shared.db import alembic_config, migrate
from tests.fixtures.backing import Postgres


@pytest.mark.parametrize("service", SERVICES)
async def test_migrations_make_what_the_models_say(postgres: Postgres, service: str) -> None:
    with postgres.temporary() as url:
        await asyncio.to_thread(migrate, service, url)
        # Raises when a difference is left.
        await asyncio.to_thread(alembic.command.check, alembic_config(service, url))
        await asyncio.to_thread(migrate, service, url)
