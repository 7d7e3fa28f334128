"""An installation with docker compose, by the commands that an operator types: the one place that runs them."""

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from subprocess import DEVNULL, PIPE
from tempfile import TemporaryFile
from typing import IO, Any

ROOT = Path(__file__).parents[2]
FILE = "deploy/compose/compose.yaml"
COMMAND = ("docker", "compose", "--progress", "quiet")
# Those that issue tokens come last, see backup.py.
SERVICES = ("renewal", "certnumber", "enterprise", "review")
APIS = tuple(f"{service}-api" for service in SERVICES)
WORKERS = tuple(f"{service}-worker" for service in SERVICES)
# What a failed command has said is quoted up to here, from its end.
QUOTED = 2000


class OperationFailed(Exception):
    """A command of docker compose, or a step of an operation, failed; the message is for the operator."""


class Installation:
    """The installation that deploy/compose/.env and COMPOSE_* name, or `environment` where it says otherwise.

    Methods raise OperationFailed, with what the command said, when docker compose fails.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = {"COMPOSE_FILE": FILE, **os.environ, **(environment or {})}

    @cached_property
    def config(self) -> dict[str, Any]:
        """The configuration that compose makes of its files and variables."""
        config: dict[str, Any] = json.loads(self.output("config", "--format", "json"))
        return config

    def run(self, *arguments: str, stdin: IO[bytes] | None = None, stdout: IO[bytes] | None = None) -> None:
        """Run a command to its end; it reads nothing unless `stdin` is given, and prints unless `stdout` is."""
        with TemporaryFile() as said:
            done = subprocess.run(  # noqa: S603
                [*COMMAND, *arguments], **self._home, stdin=stdin or DEVNULL, stdout=stdout, stderr=said, check=False
            )
            _check(arguments, done.returncode, said)

    def output(self, *arguments: str, stdin: str = "") -> str:
        """Run a command that reads `stdin`, and return what it prints."""
        with TemporaryFile() as said:
            done = subprocess.run(  # noqa: S603
                [*COMMAND, *arguments], **self._home, input=stdin.encode(), stdout=PIPE, stderr=said, check=False
            )
            _check(arguments, done.returncode, said)
        printed: bytes = done.stdout
        return printed.decode()

    @contextmanager
    def piped(self, *arguments: str, stdout: int | None = None) -> Iterator[tuple[IO[bytes], IO[bytes] | None]]:
        """Run a command beside the block, which gets its standard input and, where `stdout` is PIPE, its output."""
        with TemporaryFile() as said:
            process = subprocess.Popen(  # noqa: S603
                [*COMMAND, *arguments], **self._home, stdin=PIPE, stdout=stdout, stderr=said
            )
            assert process.stdin is not None  # noqa: S101 - for mypy
            try:
                with process:
                    yield process.stdin, process.stdout
            except BrokenPipeError:
                # The command has ended while it was written to, and knows why.
                _check(arguments, process.returncode, said)
                raise
            _check(arguments, process.returncode, said)

    def depths(self) -> dict[str, dict[str, int]]:
        """Count messages by queue and state, without those that consumers hold."""
        found: dict[str, dict[str, int]] = {}
        for line in self.output(*once("certnumber-worker", "services.certnumber", "queues")).splitlines():
            queue, *states = line.split("\t")
            found[queue] = {state: int(number) for state, number in (entry.split() for entry in states)}
        return found

    @property
    def services(self) -> list[str]:
        """The services that keep running."""
        return [name for name, service in self.config["services"].items() if service.get("restart") != "no"]

    def image(self) -> str:
        """Name the platform's own image."""
        return str(self.config["services"]["renewal-api"]["image"])

    def published_ports(self) -> dict[str, list[int]]:
        """List, by service, the ports of this machine that running containers have."""
        found: dict[str, list[int]] = {}
        for line in self.output("ps", "--format", "json").splitlines():
            container = json.loads(line)
            ports = {port["PublishedPort"] for port in container["Publishers"] or [] if port["PublishedPort"]}
            if ports:
                found[container["Service"]] = sorted(ports)
        return found

    def logs(self) -> str:
        """Return all that all containers have logged so far."""
        return self.output("logs", "--no-color", "--no-log-prefix")

    def key_prints(self) -> dict[str, str]:
        """Fingerprint each data key and the index key, which tells keys apart without telling them."""
        keys = dict(item.strip().split(":", 1) for item in self._secret("data_keys").split(","))
        keys["index"] = self._secret("index_key")
        return {name: hashlib.sha256(base64.b64decode(key)).hexdigest()[:16] for name, key in keys.items()}

    def _secret(self, name: str) -> str:
        return Path(self.config["secrets"][name]["file"]).read_text()

    @property
    def _home(self) -> dict[str, Any]:
        return {"cwd": ROOT, "env": self._environment}


def once(service: str, *module: str) -> tuple[str, ...]:
    """Build the arguments that run a module in a container of its own, made like those of `service`."""
    return ("run", "--rm", "--no-deps", "--no-TTY", service, "python", "-m", *module)


def digest(file: Path) -> str:
    """Return the file's SHA-256 in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check(arguments: tuple[str, ...], status: int, said: IO[bytes]) -> None:
    said.seek(0)
    words = said.read().decode(errors="replace").strip()
    if status:
        raise OperationFailed(f"docker compose {' '.join(arguments)}: {words[-QUOTED:] or f'exit status {status}'}")
    if words:
        # Warnings, and what a command reports beside its output.
        sys.stderr.write(f"{words}\n")
