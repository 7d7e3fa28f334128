"""`docker compose` for one project of ours, apart from any other installation on this machine."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "compose.yaml"


class Project:
    def __init__(self, name: str, environment: Mapping[str, str]) -> None:
        self._command = ["docker", "compose", "-p", name, "-f", str(FILE), "--progress", "quiet"]
        self._environment = {**os.environ, **environment}
        self.config: dict[str, Any] = json.loads(self.run("config", "--format", "json"))

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """Standard output. Raises RuntimeError with what the command said when it fails."""
        done = subprocess.run(  # noqa: S603 - our own arguments
            [*self._command, *arguments],
            env=self._environment,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"docker compose {' '.join(arguments)}: {done.stderr.strip()[-2000:]}")
        return done.stdout

    @property
    def services(self) -> list[str]:
        """Those that keep running."""
        return [name for name, service in self.config["services"].items() if service.get("restart") != "no"]

    def published_ports(self) -> dict[str, list[int]]:
        """Ports of this machine by service, of the containers that run."""
        containers = [json.loads(line) for line in self.run("ps", "--format", "json").splitlines()]
        found: dict[str, list[int]] = {}
        for container in containers:
            ports = {port["PublishedPort"] for port in container["Publishers"] or [] if port["PublishedPort"]}
            if ports:
                found[container["Service"]] = sorted(ports)
        return found

    def logs(self) -> str:
        return self.run("logs", "--no-color", "--no-log-prefix")
