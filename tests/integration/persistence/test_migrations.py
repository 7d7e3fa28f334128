"""Each service's migrations make, from nothing, just what its models say; and what newer ones leave working."""

import asyncio
from uuid import uuid4

import alembic.command
import pytest
import sqlalchemy as sa

from deploy.embedded.platform import SERVICES
from shared.persistence.db import alembic_config, is_migrated, migrate
from tests.support.backing import Postgres


@pytest.mark.parametrize("service", SERVICES)
async def test_migrations_make_what_the_models_say(postgres: Postgres, service: str) -> None:
    with postgres.temporary() as url:
        await asyncio.to_thread(migrate, service, url)
        # Raises when a difference is left.
        await asyncio.to_thread(alembic.command.check, alembic_config(service, url))
        await asyncio.to_thread(migrate, service, url)


async def test_a_new_version_waits_for_its_revision_and_an_old_one_for_none(postgres: Postgres) -> None:
    with postgres.temporary() as url:
        assert not is_migrated("review", url)
        await asyncio.to_thread(alembic.command.upgrade, alembic_config("review", url), "0001")
        assert not is_migrated("review", url)
        await asyncio.to_thread(migrate, "review", url)
        assert is_migrated("review", url)
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = 'of-tomorrow'"))
        assert is_migrated("review", url)


@pytest.mark.parametrize("service", ["enterprise", "review"])
async def test_the_version_before_browser_sessions_runs_on_their_tables(postgres: Postgres, service: str) -> None:
    open_session = sa.text(
        "INSERT INTO sessions (id, subject, refresh_hash, expires_at) VALUES (:id, :id, :hash, now()) RETURNING id"
    )
    with postgres.temporary() as url:
        await asyncio.to_thread(alembic.command.upgrade, alembic_config(service, url), "0001")
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        for hashed in ("before", "after"):
            with engine.begin() as connection:
                connection.execute(open_session, {"id": uuid4(), "hash": hashed})
            await asyncio.to_thread(migrate, service, url)
        with engine.begin() as connection:
            rows = connection.execute(sa.text("SELECT refresh_hash, last_seen_at FROM sessions")).all()
        assert sorted(rows) == [("after", None), ("before", None)]
