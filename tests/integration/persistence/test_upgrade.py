"""An upgrade while the version before still serves: its migrations only add."""

import asyncio
import re

import alembic.command
import pytest

from deploy.embedded.platform import SERVICES
from shared.persistence.db import alembic_config, migrate
from tests.support.backing import Postgres
from tests.support.sql import statements

# What a process of the version before would stumble over. Taking away what that one no longer uses is a contraction:
# it is listed here, by its statement, in the version that does it.
BREAKING = re.compile(
    r"\b(DROP (TABLE|COLUMN|CONSTRAINT|VIEW)|RENAME|SET NOT NULL|TYPE|(?<!DELETE OR )TRUNCATE)\b"
    r"|ADD COLUMN (?!.*\bDEFAULT\b).*\bNOT NULL\b|ADD CONSTRAINT",
    re.IGNORECASE | re.DOTALL,
)
CONTRACTIONS: tuple[str, ...] = (
    # The version before never writes a key twice, and only reads by it.
    "ALTER TABLE images DROP CONSTRAINT uq_images_object_key",
)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_newer_revision_takes_nothing_from_the_version_before(postgres: Postgres, service: str) -> None:
    with postgres.temporary() as url:
        await asyncio.to_thread(alembic.command.upgrade, alembic_config(service, url), "0001")
        with statements() as sent:
            await asyncio.to_thread(migrate, service, url)
    assert any("alembic_version" in statement for statement in sent)
    assert [one for one in sent if BREAKING.search(one) and one not in CONTRACTIONS] == []


@pytest.mark.parametrize(
    ("statement", "breaks"),
    [
        ("ALTER TABLE items ADD COLUMN seen TIMESTAMP WITH TIME ZONE", False),
        ("ALTER TABLE items ADD COLUMN seen BOOLEAN DEFAULT false NOT NULL", False),
        ("CREATE INDEX ix_items_seen ON items (seen)", False),
        ("CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit", False),
        ("TRUNCATE items", True),
        ("ALTER TABLE items ADD COLUMN seen BOOLEAN NOT NULL", True),
        ("ALTER TABLE items DROP COLUMN seen", True),
        ("ALTER TABLE items RENAME seen TO read", True),
        ("ALTER TABLE items ALTER COLUMN seen SET NOT NULL", True),
        ("ALTER TABLE items ADD CONSTRAINT uq_items_seen UNIQUE (seen)", True),
    ],
)
def test_what_counts_as_taking_away(statement: str, breaks: bool) -> None:
    assert bool(BREAKING.search(statement)) == breaks
