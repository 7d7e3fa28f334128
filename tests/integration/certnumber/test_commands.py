"""The service's own processes, as an operator starts them."""

import asyncio
import json
import subprocess
import sys
from typing import cast
from uuid import uuid4

import alembic.autogenerate
import alembic.migration
import psycopg
import pytest
import sqlalchemy as sa

from services.certnumber import tasks
from services.certnumber.app import build
from services.certnumber.models import Base
from services.certnumber.numbering.waker import TASK
from shared.audit.trail import AuditBase
from shared.messaging import Consumer
from shared.messaging.tables import PlatformBase
from shared.web.idempotency import IdempotencyBase
from tests.support.events import message
from tests.support.numbering import approved, assign, deliver, environment, new_settings
from tests.support.processes import ROOT, base_environment


def prove(url: str) -> tuple[int, dict[str, object]]:
    done = subprocess.run(
        [sys.executable, "-m", "services.certnumber", "prove"],
        cwd=ROOT, env=base_environment() | environment(url), capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout)


async def test_prove_fails_on_a_gap(consumer: Consumer, engine: sa.Engine, url: str) -> None:
    await deliver(consumer, [message(approved(uuid4())) for _ in range(3)])
    assign(engine)
    status, proof = await asyncio.to_thread(prove, url)
    assert (status, proof["gapless"]) == (0, True)
    with psycopg.connect(url.replace("+psycopg", "")) as superuser:
        superuser.execute("SET session_replication_role = replica")
        superuser.execute("DELETE FROM ledger WHERE serial = 2")
    status, proof = await asyncio.to_thread(prove, url)
    assert (status, proof["gapless"]) == (1, False)


def test_refuses_to_start_without_a_broker(url: str) -> None:
    with pytest.raises(SystemExit, match="GANZHENG_BROKER_URL"):
        build(new_settings(url))


def test_celery_finds_the_application_only_when_asked(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(url, broker_url="amqp://nobody@127.0.0.1:1/").items():
        monkeypatch.setenv(name, value)
    app = tasks.app
    assert app is tasks.app
    assert app.conf.broker_url == "amqp://nobody@127.0.0.1:1/"
    assert app.conf.beat_schedule["sweep"]["task"] in app.tasks
    with pytest.raises(AttributeError, match="nothing_else"):
        _ = tasks.nothing_else


def test_applications_of_one_process_do_not_share_their_task(url: str) -> None:
    first, second = (tasks.create_celery(new_settings(url)) for _ in range(2))
    assert first.tasks[TASK].run is not second.tasks[TASK].run


def test_migrations_make_the_models_tables(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        context = alembic.migration.MigrationContext.configure(connection, opts={"compare_server_default": True})
        # A list is allowed, whatever the annotation says.
        metadata = cast(
            "sa.MetaData", [Base.metadata, PlatformBase.metadata, IdempotencyBase.metadata, AuditBase.metadata]
        )
        differences = alembic.autogenerate.compare_metadata(context, metadata)
    assert differences == []
