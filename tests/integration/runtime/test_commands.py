"""What a service's command says before it does anything."""

import os
import subprocess
import sys

import pytest

from shared.runtime.settings import new_key
from tests.support.processes import ROOT
from tests.support.wait import PATIENCE


def test_a_command_says_what_is_wrong_in_a_line_for_each() -> None:
    variables = {
        "GANZHENG_DATABASE_URL": "postgresql://nobody:nothing@127.0.0.1/enterprise",
        "GANZHENG_INDEX_KEY": new_key() + "!",
        "GANZHENG_SIGNING_KEYS": f"s1:{new_key()}",
        "GANZHENG_LOG_LEVEL": "loud",
    }
    done = subprocess.run(
        [sys.executable, "-m", "services.enterprise", "api"],
        env={"PATH": os.defpath, **variables},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "GANZHENG_LOG_LEVEL: Input should be 'DEBUG', 'INFO', 'WARNING', 'ERROR' or 'CRITICAL'",
        "GANZHENG_DATABASE_URL: must be a postgresql+psycopg:// address",
        "GANZHENG_DATA_KEYS: Field required",
        "GANZHENG_INDEX_KEY: a key must be base64",
    ]


@pytest.mark.parametrize(
    "command",
    [["-m", "services.certnumber", "worker"], ["-m", "celery", "-A", "services.certnumber.tasks", "worker"]],
    ids=["worker", "celery"],
)
def test_guessable_secrets_stop_the_start(command: list[str]) -> None:
    variables = {
        "GANZHENG_DATABASE_URL": "postgresql+psycopg://postgres:postgres@127.0.0.1:1/certnumber",
        "GANZHENG_BROKER_URL": "amqp://guest:guest@127.0.0.1:1/",
        "GANZHENG_CELERY_BROKER_URL": "amqp://127.0.0.1:1/",
        "GANZHENG_DATA_KEYS": f"k1:{new_key()}",
        "GANZHENG_INDEX_KEY": new_key(),
        "GANZHENG_JWKS_URLS": '{"review": "http://127.0.0.1:1/jwks.json"}',
    }
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={"PATH": os.defpath, **variables},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "GANZHENG_DATABASE_URL, GANZHENG_BROKER_URL, GANZHENG_CELERY_BROKER_URL: the password can be guessed; use a"
        " random one, such as of openssl rand -hex 24"
    )
