"""The full stack as processes, as an operator would start it: fixture `stack`.

Each service's api and worker, Celery's worker and beat, on the test's own databases, vhost and bucket.
"""

import base64
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

import httpx2
import pytest

from deploy.embedded.platform import SERVICES
from deploy.journey import Api, log_in_reviewer
from tests.support.backing import Postgres, RabbitMQ, S3Address
from tests.support.collector import Collector, collecting
from tests.support.platform import ALL_ROLES, REVIEWER, REVIEWER_PASSWORD, service_databases
from tests.support.wait import until

ROOT = Path(__file__).parents[2]
INITIAL_PASSWORD = "Initial-2026-pass"
CELERY = ("-m", "celery", "-A", "services.certnumber.tasks")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def new_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


@dataclass
class Process:
    """One started process; its output goes to a file that a failing test can show."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal its whole group and wait; the exit status."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, number)
        try:
            return self.popen.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self.popen.pid, signal.SIGKILL)
            return self.popen.wait(5)


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
        process = Process(name, popen, log)
        self.running[name] = process
        return process

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
    """What a process needs of ours, without any GANZHENG_* of the developer's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GANZHENG_")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


@dataclass
class Stack:
    """`api` speaks to each service at its own address, as a gateway would; `operations` are the addresses for operators
    by process, `collector` has the spans of all."""

    api: Api
    http: httpx2.AsyncClient
    bases: dict[str, str]
    urls: dict[str, str]
    operations: dict[str, str]
    rabbitmq: RabbitMQ
    processes: Processes
    collector: Collector


@pytest.fixture(scope="session")
async def stack(
    postgres: Postgres, rabbitmq: RabbitMQ, s3: S3Address, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    directory = tmp_path_factory.mktemp("stack")
    vhost = await rabbitmq.create_vhost()
    ports = {name: free_port() for name in SERVICES}
    names = [f"{name}-{part}" for name in SERVICES for part in ("api", "worker")] + ["celery-worker"]
    metrics = {name: str(free_port()) for name in names}
    bases = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    jwks = ", ".join(f'"{i}": "{bases[i]}/api/{i}/v1/.well-known/jwks.json"' for i in ("enterprise", "review"))
    environment = base_environment() | {
        "GANZHENG_DEMO": "true",
        "GANZHENG_RATE_LIMITS": "false",
        "GANZHENG_BROKER_URL": vhost,
        "GANZHENG_DATA_KEYS": f"k1:{new_key()}",
        "GANZHENG_INDEX_KEY": new_key(),
        "GANZHENG_JWKS_URLS": f"{{{jwks}}}",
        "GANZHENG_S3_ENDPOINT": s3.endpoint,
        "GANZHENG_S3_ACCESS_KEY": s3.access_key,
        "GANZHENG_S3_SECRET_KEY": s3.secret_key,
        "GANZHENG_S3_SECURE": str(s3.secure).lower(),
        "GANZHENG_S3_BUCKET": f"renewal-{secrets.token_hex(4)}",
    }
    with ExitStack() as resources:
        collector = resources.enter_context(collecting())
        environment |= {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "200"}
        urls = resources.enter_context(service_databases(postgres))
        started = resources.enter_context(processes(directory, environment))
        for name in SERVICES:
            own = {
                "GANZHENG_DATABASE_URL": urls[name],
                "GANZHENG_PORT": str(ports[name]),
                "GANZHENG_SIGNING_KEYS": f"s1:{new_key()}",
            }
            for part in ("api", "worker"):
                operators = {"GANZHENG_METRICS_PORT": metrics[f"{name}-{part}"]}
                started.start(f"{name}-{part}", "-m", f"services.{name}", part, **own, **operators)
        numbering = {"GANZHENG_DATABASE_URL": urls["certnumber"]}
        flags = ("--without-gossip", "--without-mingle", "--concurrency", "1", "-n", "cert@%h")
        started.start(
            "celery-worker", *CELERY, "worker", *flags, **numbering, GANZHENG_METRICS_PORT=metrics["celery-worker"]
        )
        started.start("celery-beat", *CELERY, "beat", **numbering)
        _add_reviewer(environment | {"GANZHENG_DATABASE_URL": urls["review"]})
        async with httpx2.AsyncClient(timeout=30, trust_env=False) as http:
            for name, base in bases.items():
                await until(partial(_ready, http, base), timeout=60, interval=0.2, what=f"{name} to be ready")
            api = Api(http, "", bases)
            await change_initial_password(api)
            operations = {name: f"http://127.0.0.1:{port}" for name, port in metrics.items()}
            yield Stack(api, http, bases, urls, operations, rabbitmq, started, collector)
    await rabbitmq.delete_vhost(vhost)


async def _ready(http: httpx2.AsyncClient, base: str) -> bool:
    try:
        return (await http.get(f"{base}/readyz")).status_code == 200
    except httpx2.TransportError:
        return False


def _add_reviewer(environment: dict[str, str]) -> None:
    command = ("add-reviewer", "--username", REVIEWER, "--name", "测试审核员", "--roles", ",".join(ALL_ROLES))
    subprocess.run(
        [sys.executable, "-m", "services.review", *command, "--password-stdin"],
        cwd=ROOT,
        env=environment | {"GANZHENG_SIGNING_KEYS": f"s1:{new_key()}"},
        input=INITIAL_PASSWORD.encode(),
        check=True,
        stdout=subprocess.DEVNULL,
    )


async def change_initial_password(api: Api) -> None:
    token = await log_in_reviewer(api, REVIEWER, INITIAL_PASSWORD)
    change = {"old_password": INITIAL_PASSWORD, "new_password": REVIEWER_PASSWORD}
    await api.call("PUT", "review", "/password", token=token, json=change, expect=204)
