"""The compose installation that deploy/compose/.env and COMPOSE_* name, by commands as an operator types them."""

import base64
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import IO, Any

AT_HOME: dict[str, Any] = {
    "cwd": Path(__file__).parents[2],
    "env": {"COMPOSE_FILE": "deploy/compose/compose.yaml", **os.environ},
}
# Those that issue tokens come last, see backup.py.
SERVICES = ("renewal", "certnumber", "enterprise", "review")
APIS = tuple(f"{service}-api" for service in SERVICES)
WORKERS = tuple(f"{service}-worker" for service in SERVICES)


class OperationFailed(Exception):
    """Says why, in words for the operator."""


class Installation:
    """Its methods raise OperationFailed when docker compose fails."""

    def __init__(self) -> None:
        self.config: dict[str, Any] = json.loads(self.output("config", "--format", "json"))

    def run(self, *arguments: str, stdin: int | IO[bytes] = DEVNULL, stdout: int | IO[bytes] | None = None) -> bytes:
        done = subprocess.run(_command(arguments), **AT_HOME, stdin=stdin, stdout=stdout, check=False)  # noqa: S603
        _check(arguments, done.returncode)
        return done.stdout or b""

    def output(self, *arguments: str) -> str:
        return self.run(*arguments, stdout=PIPE).decode()

    @contextmanager
    def piped(self, *arguments: str, stdout: int | None = None) -> Iterator[tuple[IO[bytes], IO[bytes] | None]]:
        """Standard input and, where it is PIPE, output of the command, which has ended when the block has."""
        with subprocess.Popen(_command(arguments), **AT_HOME, stdin=PIPE, stdout=stdout) as process:  # noqa: S603
            assert process.stdin is not None  # noqa: S101 - for mypy
            yield process.stdin, process.stdout
        _check(arguments, process.returncode)

    def depths(self) -> dict[str, dict[str, int]]:
        """Messages by queue and state, without those that consumers hold."""
        found: dict[str, dict[str, int]] = {}
        for line in self.output(*once("certnumber-worker", "services.certnumber", "queues")).splitlines():
            queue, *states = line.split("\t")
            found[queue] = {state: int(number) for state, number in (entry.split() for entry in states)}
        return found

    def image(self) -> str:
        return str(self.config["services"]["renewal-api"]["image"])

    def key_prints(self) -> dict[str, str]:
        """Of each data key and the index key, what tells it from others without telling it."""
        keys = dict(item.strip().split(":", 1) for item in self._secret("data_keys").split(","))
        keys["index"] = self._secret("index_key")
        return {name: hashlib.sha256(base64.b64decode(key)).hexdigest()[:16] for name, key in keys.items()}

    def _secret(self, name: str) -> str:
        return Path(self.config["secrets"][name]["file"]).read_text()


def once(service: str, *module: str) -> tuple[str, ...]:
    """Arguments that run a module in a container of its own, made like those of `service`."""
    return ("run", "--rm", "--no-deps", "--no-TTY", service, "python", "-m", *module)


def digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _command(arguments: tuple[str, ...]) -> list[str]:
    return ["docker", "compose", "--progress", "quiet", *arguments]


def _check(arguments: tuple[str, ...], status: int) -> None:
    if status:
        raise OperationFailed(f"docker compose {' '.join(arguments)}: exit status {status}")
