"""What `make migration` writes, and that it writes nothing when nothing has changed."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import alembic.command
import pytest
import sqlalchemy as sa
from alembic.config import Config

from services.review.models import Base
from shared.persistence.db import alembic_config, migrate
from tests.support.backing import Postgres
from tools.migration import ROOT, next_revision


@pytest.fixture
def config(postgres: Postgres, tmp_path: Path) -> Iterator[Config]:
    """Of a migrated database of review, with a copy of its migrations."""
    shutil.copytree(ROOT / "services" / "review" / "migrations", tmp_path / "migrations")
    with postgres.temporary() as url:
        migrate("review", url)
        config = alembic_config("review", url)
        config.set_main_option("script_location", str(tmp_path / "migrations"))
        yield config


@pytest.fixture
def new_table() -> Iterator[None]:
    table = sa.Table("tried", Base.metadata, sa.Column("name", sa.Text, primary_key=True))
    yield
    Base.metadata.remove(table)


def revisions(config: Config) -> list[Path]:
    return sorted(Path(str(config.get_main_option("script_location"))).glob("versions/*.py"))


async def test_nothing_is_written_when_models_and_migrations_agree(config: Config) -> None:
    before = revisions(config)
    assert await asyncio.to_thread(next_revision, config, "nothing") is None
    assert revisions(config) == before


@pytest.mark.usefixtures("new_table")
async def test_a_change_becomes_the_next_number_in_the_house_style(config: Config) -> None:
    before = revisions(config)
    number = len(before) + 1
    file = await asyncio.to_thread(next_revision, config, "what is tried")
    assert file is not None
    assert revisions(config) == [*before, file]
    assert file.name == f"{number:04d}_what_is_tried.py"
    text = file.read_text()
    assert text.startswith('"""what is tried"""\n\nimport sqlalchemy as sa\nfrom alembic import op\n\nrevision = "')
    assert f'revision = "{number:04d}"\ndown_revision = "{number - 1:04d}"\n' in text
    assert "op.create_table(" in text
    assert "# ###" not in text
    await asyncio.to_thread(alembic.command.upgrade, config, "head")
    assert await asyncio.to_thread(next_revision, config, "nothing more") is None
