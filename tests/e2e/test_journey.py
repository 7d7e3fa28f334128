"""One application from registration to its number, in both ways to run, with real processes."""

import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from deploy.embedded.postgres import free_port
from deploy.journey import Api, run
from tests.support.platform import REVIEWER, REVIEWER_PASSWORD
from tests.support.processes import base_environment, demo, ready
from tests.support.stack import Stack
from tests.support.wait import PATIENCE, until


def dead_letters(directory: Path, status: int, *arguments: str) -> str:
    """What the command says when it ends with `status`."""
    done = subprocess.run(
        [sys.executable, "-m", "deploy.embedded", "dead-letters", *arguments],
        env=base_environment() | {"VAR": str(directory / "var")},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
        yield client


class TestEmbedded:
    async def test_numbers_a_certificate_and_keeps_it_over_a_restart(
        self, http: httpx2.AsyncClient, tmp_path: Path
    ) -> None:
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        said: list[str] = []
        with demo(tmp_path, port) as process:
            await until(partial(ready, http, base), what="the platform to be ready")
            number = await run(Api(http, base), "demo-reviewer", "Ganzheng-demo-1", said.append)
            assert process.stop(signal.SIGINT) == 0
        assert number == "00707100000001"
        assert any("断号 0" in line for line in said)
        assert "demo-reviewer" in process.log.read_text()
        with demo(tmp_path, port) as process:
            await until(partial(ready, http, base), what="the platform to be ready again")
            kept = await http.get(f"{base}/api/certnumber/v1/certificates/{number}")
            assert (kept.status_code, kept.json()["status"]) == (200, "valid")
            assert "another process is running on it" in dead_letters(tmp_path, 2, "list")
            assert process.stop(signal.SIGTERM) == 0
        assert dead_letters(tmp_path, 0, "list") == "no dead letters\n"
        assert "renewal.decisions: 0 replayed" in dead_letters(tmp_path, 0, "replay")
        nobodys = str(uuid4())
        assert f"no dead letter is the event {nobodys}" in dead_letters(tmp_path, 1, "replay", "--event", nobodys)

    def test_refuses_to_start_without_secrets_outside_demo_mode(self, tmp_path: Path) -> None:
        with demo(tmp_path, free_port(), GANZHENG_DEMO="false") as process:
            assert process.popen.wait(60) == 2
        assert "GANZHENG_DATA_KEYS" in process.log.read_text()


class TestFullStack:
    async def test_numbers_a_certificate(self, stack: Stack) -> None:
        said: list[str] = []
        number = await run(stack.api, REVIEWER, REVIEWER_PASSWORD, said.append)
        verified = await stack.api.call("GET", "certnumber", f"/certificates/{number}")
        assert verified["status"] == "valid"
        assert "*" in verified["holder"]
