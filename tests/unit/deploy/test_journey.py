"""The story says where it looked for a platform."""

import subprocess
import sys

from tests.support.processes import base_environment
from tests.support.wait import PATIENCE


def test_names_the_address_where_nothing_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.journey"],
        env=base_environment() | {"PORT": "9"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    assert "http://localhost:9" in done.stderr
    assert "Traceback" not in done.stderr
