"""What a service's command says before it does anything."""

import os
import subprocess
import sys

from shared.runtime.settings import new_key
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
