"""The full stack as processes, as an operator would start it: fixture `stack`.

Each service's api and worker, Celery's worker and beat, on the test's own databases, vhost and bucket. Between any two
that talk is a proxy of tests/support/proxy.py, so that a test may break what it likes.
"""

import asyncio
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import aio_pika
import httpx2
import pytest

from deploy.embedded.platform import SERVICES
from deploy.embedded.postgres import free_port
from deploy.journey import Api, log_in_reviewer
from shared.runtime.settings import new_key
from tests.support.backing import Postgres, RabbitMQ, S3Address
from tests.support.collector import Collector, collecting
from tests.support.platform import ALL_ROLES, REVIEWER, REVIEWER_PASSWORD, service_databases
from tests.support.processes import ROOT, Processes, base_environment, processes, ready
from tests.support.proxy import Proxies, proxies
from tests.support.wait import PATIENCE, until
from tests.support.witness import Caller, Witness

INITIAL_PASSWORD = "Initial-2026-pass"
CELERY = ("-m", "celery", "-A", "services.certnumber.tasks")
WORKER = (
    *CELERY,
    "worker",
    "--without-gossip",
    "--without-mingle",
    "--without-heartbeat",
    "--concurrency",
    "1",
    "-n",
    "cert@%h",
)


@dataclass
class Stack:
    """`api` speaks to each service at its own address, as a gateway would; `operations` are the addresses for operators
    by process, `collector` has the spans of all, `urls` and `broker_url` are not by way of a proxy.

    `network` holds the proxies: before a service's `api`, and between a service and its `database`, its `broker` and
    its `store`, each by both names, such as "renewal database".
    """

    api: Api
    http: httpx2.AsyncClient
    bases: dict[str, str]
    urls: dict[str, str]
    operations: dict[str, str]
    rabbitmq: RabbitMQ
    broker_url: str
    processes: Processes
    collector: Collector
    network: Proxies

    async def failing(self, process: str) -> set[str] | None:
        """What the process says that it lacks; None while it does not answer."""
        try:
            return set((await self.http.get(f"{self.operations[process]}/readyz")).json()["failed"])
        except httpx2.TransportError:
            return None

    @asynccontextmanager
    async def nobody_woken(self, **environment: str) -> AsyncIterator[None]:
        """What the block approves, and sees waiting for its number, wakes nobody: only a sweep can find it later."""
        worker = self.processes.running["celery-worker"]
        assert await asyncio.to_thread(worker.stop) == 0
        yield
        async with await aio_pika.connect(self.broker_url) as administrator:
            queue = await (await administrator.channel()).get_queue("certnumber.numbering")
            await queue.purge()
        self.processes.start(worker.name, *worker.arguments, **(worker.environment | environment))

    async def all_ready(self) -> bool:
        return all([await self.failing(name) == set() for name in self.operations])


@asynccontextmanager
async def running_stack(
    postgres: Postgres,
    rabbitmq: RabbitMQ,
    s3: S3Address,
    directory: Path,
    *,
    traced: bool = True,
    proxied: bool = True,
    **own: str,
) -> AsyncIterator[Stack]:
    """Start all processes, ready and with a reviewer; `traced` to have them export their spans, `proxied` to have
    proxies between them, `own` are variables that take the place of ours."""
    vhost = await rabbitmq.create_vhost()
    ports = {name: free_port() for name in SERVICES}
    names = [f"{name}-{part}" for name in SERVICES for part in ("api", "worker")] + ["celery-worker"]
    metrics = {name: str(free_port()) for name in names}
    with ExitStack() as resources:
        network = resources.enter_context(proxies(between=proxied))
        bases = {name: network.before(f"{name} api", f"http://127.0.0.1:{port}") for name, port in ports.items()}
        jwks = ", ".join(f'"{i}": "{bases[i]}/api/{i}/v1/.well-known/jwks.json"' for i in ("enterprise", "review"))
        collector = resources.enter_context(collecting())
        environment = base_environment() | {
            "GANZHENG_DEMO": "true",
            "GANZHENG_RATE_LIMITS": "false",
            "GANZHENG_REQUESTS_WAIT_SECONDS": "30",
            "GANZHENG_RESYNC_SECONDS": "2",
            "GANZHENG_RESYNC_SETTLE_SECONDS": "1",
            "GANZHENG_STALL_SECONDS": "5",
            "GANZHENG_DATA_KEYS": f"k1:{new_key()}",
            "GANZHENG_INDEX_KEY": new_key(),
            "GANZHENG_JWKS_URLS": f"{{{jwks}}}",
            "GANZHENG_S3_ENDPOINT": urlsplit(network.before("renewal store", s3.url)).netloc,
            "GANZHENG_S3_ACCESS_KEY": s3.access_key,
            "GANZHENG_S3_SECRET_KEY": s3.secret_key,
            "GANZHENG_S3_SECURE": str(s3.secure).lower(),
            "GANZHENG_S3_SECONDS": "5",
            "GANZHENG_S3_BUCKET": f"renewal-{secrets.token_hex(4)}",
            **own,
        }
        if traced:
            environment |= {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "200"}
        urls = resources.enter_context(service_databases(postgres))
        postgres.move_to_small_disk(urls["review"])
        started = resources.enter_context(processes(directory, environment))
        for name in SERVICES:
            service = {
                "GANZHENG_BROKER_URL": network.before(f"{name} broker", vhost),
                "GANZHENG_DATABASE_URL": network.before(f"{name} database", urls[name]),
                "GANZHENG_PORT": str(ports[name]),
                "GANZHENG_SIGNING_KEYS": f"s1:{new_key()}",
            }
            for part in ("api", "worker"):
                process = f"{name}-{part}"
                operators = {"GANZHENG_METRICS_PORT": metrics[process], "PGAPPNAME": process}
                started.start(process, "-m", f"services.{name}", part, **service, **operators)
            if name == "certnumber":
                started.start("celery-worker", *WORKER, **service, GANZHENG_METRICS_PORT=metrics["celery-worker"])
                started.start("celery-beat", *CELERY, "beat", **service)
        _add_reviewer(environment | {"GANZHENG_DATABASE_URL": urls["review"]})
        async with httpx2.AsyncClient(timeout=PATIENCE, trust_env=False) as http:
            for name, base in bases.items():
                await until(partial(ready, http, base), interval=0.2, what=f"{name} to be ready")
            api = Api(http, "", bases)
            await change_initial_password(api)
            operations = {name: f"http://127.0.0.1:{port}" for name, port in metrics.items()}
            yield Stack(api, http, bases, urls, operations, rabbitmq, vhost, started, collector, network)
    await rabbitmq.delete_vhost(vhost)


@pytest.fixture(scope="session")
async def stack(
    postgres: Postgres, rabbitmq: RabbitMQ, s3: S3Address, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    async with running_stack(postgres, rabbitmq, s3, tmp_path_factory.mktemp("stack")) as running:
        yield running


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


@pytest.fixture(scope="session")
async def one_witness(stack: Stack) -> Witness:
    """With submitted applications, for all tests of the session that break things."""
    witness = Witness(Caller(stack.http, stack.bases), stack.operations)
    await witness.begin()
    await witness.open(3, date(1990, 5, 1))
    return witness


@pytest.fixture
async def witness(stack: Stack, one_witness: Witness) -> AsyncIterator[Witness]:
    """Checks at the end of the test that everything acknowledged was done, and that all processes are ready."""
    await until(stack.all_ready, interval=0.2, what="all processes to be ready")
    await one_witness.begin()
    yield one_witness
    await one_witness.check()
    await until(stack.all_ready, interval=0.2, what="all processes to be ready again")


async def change_initial_password(api: Api) -> None:
    token = await log_in_reviewer(api, REVIEWER, INITIAL_PASSWORD)
    change = {"old_password": INITIAL_PASSWORD, "new_password": REVIEWER_PASSWORD}
    await api.call("PUT", "review", "/password", token=token, json=change, expect=204)
