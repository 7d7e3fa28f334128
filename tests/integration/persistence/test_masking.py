"""Id numbers that the version before let into text are masked by the migrations, in the ledger too."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import alembic.command
import pytest
import sqlalchemy as sa

from deploy.synthetic import id_number
from shared.persistence.db import alembic_config, migrate
from shared.values.idnumber import mask
from tests.support.backing import Postgres

OWN = id_number(sequence=9)
VALUES = {
    "application": UUID(int=1),
    "series": UUID("00000000-0000-4000-8000-000000000707"),
    "now": datetime(2026, 3, 2, tzinfo=UTC),
    "certificate": f"T{OWN}",
    "name": f"张三 {OWN}",
    "address": f"住 {OWN}",
}
# Of each service the revision before, rows with an id number in text, and where they must be masked.
LEAKS = {
    "certnumber": (
        "0003",
        [
            "INSERT INTO counters (series_id, period, last) VALUES (:series, 0, 1)",
            """
            INSERT INTO approvals (application_id, decision_no, status, post, post_name, enterprise_name, holder_masked,
                                   approved_at, replaces)
            VALUES (:application, 1, 'numbered', '10', '土建施工员', :name, '张**', :now, :certificate)
            """,
            """
            INSERT INTO ledger (number, lookup, series_id, period, serial, application_id, decision_no, state, post,
                                post_name, enterprise_name, holder_masked, issued_on, assigned_at, replaces)
            VALUES ('1', '1', :series, 0, 1, :application, 1, 'valid', '10', '土建施工员', :name, '张**', :now, :now,
                    :certificate)
            """,
        ],
        ["SELECT replaces, enterprise_name FROM ledger", "SELECT replaces, enterprise_name FROM approvals"],
        (f"T{mask(OWN)}", f"张三 {mask(OWN)}"),
    ),
    "enterprise": (
        "0004",
        [
            """
            INSERT INTO enterprises (id, name, password_hash, must_change_password, taxpayer_id, identity_index,
                                     contact_name, contact_phone, address, revision, created_at, updated_at)
            VALUES (:application, :name, '', false, '', '', '张三', '0791-88888888', :address, 1, :now, :now)
            """
        ],
        ["SELECT name, address FROM enterprises"],
        (f"张三 {mask(OWN)}", f"住 {mask(OWN)}"),
    ),
}


@pytest.mark.parametrize("service", LEAKS)
async def test_what_was_stored_is_masked(postgres: Postgres, service: str) -> None:
    revision, inserts, queries, expected = LEAKS[service]
    with postgres.temporary() as url:
        await asyncio.to_thread(alembic.command.upgrade, alembic_config(service, url), revision)
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        with engine.begin() as connection:
            for insert in inserts:
                connection.execute(sa.text(insert), VALUES)
        await asyncio.to_thread(migrate, service, url)
        with engine.begin() as connection:
            for query in queries:
                assert tuple(connection.execute(sa.text(query)).one()) == expected
        if service == "certnumber":
            with engine.connect() as connection, pytest.raises(sa.exc.DBAPIError, match="the ledger only grows"):
                connection.execute(sa.text("UPDATE ledger SET replaces = NULL"))
        engine.dispose()
