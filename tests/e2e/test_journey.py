"""One application from registration to its number, in both ways to run, with real processes."""

import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from deploy.journey import Api, run
from tests.fixtures.platform import REVIEWER, REVIEWER_PASSWORD
from tests.fixtures.stack import Process, Stack, base_environment, free_port, processes
from tests.fixtures.wait import until


@contextmanager
def demo(directory: Path, port: int, **environment: str) -> Iterator[Process]:
    """`make run`'s process."""
    own = {"PORT": str(port), "VAR": str(directory / "var"), **environment}
    with processes(directory, base_environment()) as started:
        yield started.start("embedded", "-m", "deploy.embedded", **own)


def dead_letters(directory: Path, status: int, action: str) -> str:
    """What the command says when it ends with `status`."""
    done = subprocess.run(
        [sys.executable, "-m", "deploy.embedded", "dead-letters", action],
        env=base_environment() | {"VAR": str(directory / "var")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=30, trust_env=False) as client:
        yield client


async def ready(http: httpx2.AsyncClient, base: str) -> bool:
    try:
        return (await http.get(f"{base}/readyz")).status_code == 200
    except httpx2.TransportError:
        return False


class TestEmbedded:
    async def test_numbers_a_certificate_and_keeps_it_over_a_restart(
        self, http: httpx2.AsyncClient, tmp_path: Path
    ) -> None:
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        said: list[str] = []
        with demo(tmp_path, port) as process:
            await until(partial(ready, http, base), timeout=60, what="the platform to be ready")
            number = await run(Api(http, base), "demo-reviewer", "Ganzheng-demo-1", said.append)
            assert process.stop(signal.SIGINT) == 0
        assert number == "00707100000001"
        assert any("断号 0" in line for line in said)
        assert "demo-reviewer" in process.log.read_text()
        with demo(tmp_path, port) as process:
            await until(partial(ready, http, base), timeout=60, what="the platform to be ready again")
            kept = await http.get(f"{base}/api/certnumber/v1/certificates/{number}")
            assert (kept.status_code, kept.json()["status"]) == (200, "valid")
            assert "another process is running on it" in dead_letters(tmp_path, 2, "list")
            assert process.stop(signal.SIGTERM) == 0
        assert dead_letters(tmp_path, 0, "list") == ""
        assert "renewal.decisions: 0 replayed" in dead_letters(tmp_path, 0, "replay")

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

    async def test_no_log_holds_an_identity_number(self, stack: Stack) -> None:
        sent: list[dict[str, Any]] = []
        await run(_Recorder(stack.api, sent), REVIEWER, REVIEWER_PASSWORD, lambda _: None)
        numbers = {request["json"]["id_number"] for request in sent if "id_number" in request.get("json", {})}
        assert len(numbers) == 1
        assert not any(number in stack.processes.logs() for number in numbers)


class _Recorder(Api):
    """Notes what is sent."""

    def __init__(self, api: Api, sent: list[dict[str, Any]]) -> None:
        self._api = api
        self._sent = sent

    async def call(self, method: str, service: str, path: str, **request: Any) -> Any:
        self._sent.append(request)
        return await self._api.call(method, service, path, **request)
