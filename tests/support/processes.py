"""Processes of this Python as an operator would start them, alone or with `make run`'s."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import httpx2

from tests.support.wait import PATIENCE

ROOT = Path(__file__).parents[2]


@dataclass
class Process:
    """One started process; its output goes to a file that a failing test can show."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path
    arguments: tuple[str, ...]
    environment: dict[str, str]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal its whole group and wait; the exit status."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, number)
        try:
            return self.popen.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self.popen.pid, signal.SIGKILL)
            return self.popen.wait()


@dataclass
class Processes:
    """Starts processes of this Python with one environment and stops them all."""

    directory: Path
    environment: dict[str, str]
    running: dict[str, Process] = field(default_factory=dict)

    def start(self, name: str, *arguments: str, **environment: str) -> Process:
        log = self.directory / f"{name}.log"
        output: IO[bytes]
        with log.open("ab") as output:
            popen = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env={**self.environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        process = Process(name, popen, log, arguments, environment)
        self.running[name] = process
        return process

    def start_again(self, name: str) -> Process:
        """Start what was stopped as it was."""
        before = self.running[name]
        return self.start(name, *before.arguments, **before.environment)

    def stop(self) -> None:
        for process in self.running.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.popen.pid, signal.SIGTERM)
        for process in self.running.values():
            process.stop()

    def logs(self) -> str:
        """All that was written so far."""
        return "\n".join(
            f"=== {process.name}\n{process.log.read_text(errors='replace')}" for process in self.running.values()
        )


@contextmanager
def processes(directory: Path, environment: dict[str, str]) -> Iterator[Processes]:
    started = Processes(directory, environment)
    try:
        yield started
    except BaseException:
        sys.stderr.write(started.logs()[-20_000:])
        raise
    finally:
        started.stop()


def base_environment() -> dict[str, str]:
    """What a process needs of ours, without any GANZHENG_* of the developer's; it may keep what it has compiled for the
    next one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GANZHENG_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


@contextmanager
def demo(directory: Path, port: int, **environment: str) -> Iterator[Process]:
    """`make run`'s process."""
    patient = {"GANZHENG_REQUESTS_WAIT_SECONDS": "30"}
    own = {"PORT": str(port), "VAR": str(directory / "var"), **patient, **environment}
    with processes(directory, base_environment()) as started:
        yield started.start("embedded", "-m", "deploy.embedded", **own)


async def ready(http: httpx2.AsyncClient, base: str) -> bool:
    """Whether the API at that address says that it is."""
    try:
        return (await http.get(f"{base}/readyz")).status_code == 200
    except httpx2.TransportError:
        return False
