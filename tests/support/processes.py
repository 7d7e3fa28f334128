"""Processes of this Python as an operator would start them, alone or with `make run`'s."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import IO

import httpx2
import pytest

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

    @contextmanager
    def paused(self) -> Iterator[None]:
        """It does nothing as long as the block lasts, and does not know."""
        os.killpg(self.popen.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.popen.pid, signal.SIGCONT)

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


class ClockOfItsOwn:
    """What a process started with `environment` takes for the time, while its monotonic clock goes on as it was.

    By libfaketime, which tools/install-test-packages.sh installs; `directory` is for what it reads.
    """

    def __init__(self, directory: Path) -> None:
        library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
        if library is None:
            pytest.skip("libfaketime is not installed: run tools/install-test-packages.sh")
        directory.mkdir()
        self._file = directory / "time"
        # Where the monotonic clock is left alone, its clock_nanosleep() refuses every time.
        (directory / "sitecustomize.py").write_text("import threading, time\ntime.sleep = threading.Event().wait\n")
        self.environment = {
            "LD_PRELOAD": str(library),
            "PYTHONPATH": f"{directory}:{ROOT}",
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.jump(timedelta())

    def jump(self, by: timedelta) -> None:
        """Let the time be so much later than it is, at once."""
        written = self._file.with_suffix(".new")
        written.write_text(f"{by.total_seconds():+.0f}s\n")
        written.rename(self._file)


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
