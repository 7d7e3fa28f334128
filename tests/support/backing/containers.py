"""Containers of a Docker engine, by testcontainers."""

import gc
import secrets
import warnings
from contextlib import closing
from functools import partial

from docker.errors import DockerException, ImageNotFound
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient

from deploy.embedded.postgres import free_port
from tests.support.backing.provider import RabbitMQAddress, S3Address, Unusable
from tests.support.backing.ready import postgres_answers, rabbitmq_answers, s3_answers
from tests.support.wait import PATIENCE, poll

IMAGES = {
    "postgres": "postgres:18",
    "rabbitmq": "rabbitmq:4.3.7-management",
    "s3": "docker.io/pgsty/silo:RELEASE.2026-10-26T00-00-00Z",
}
_USER = "ganzheng"


class DockerBacking:
    """Works where an engine answers and has, or can fetch, every one of IMAGES."""

    disposable = True
    small_disks = False

    def __init__(self) -> None:
        # Its reaper would be one more image, with the engine's socket in its hands; close() removes what we start.
        testcontainers_config.ryuk_disabled = True
        self._password = secrets.token_hex(12)
        self._started: list[DockerContainer] = []
        self._broker: tuple[DockerContainer, RabbitMQAddress] | None = None
        self._postgres: DockerContainer | None = None
        self._database_url = ""
        problem = _problem()
        if problem:
            raise Unusable(f"no Docker engine with our images: {problem}")

    def start_postgres(self) -> str:
        host, (port,) = self._run(
            DockerContainer(IMAGES["postgres"])
            .with_env("POSTGRES_PASSWORD", self._password)
            .with_env("POSTGRES_INITDB_ARGS", "--locale=C.UTF-8 --encoding=UTF8")
            .with_command("postgres -c max_connections=300 -c fsync=off"),
            5432,
        )
        self._postgres = self._started[-1]
        url = f"postgresql+psycopg://postgres:{self._password}@{host}:{port}/postgres"
        self._database_url = url
        poll(partial(postgres_answers, url), PATIENCE, "PostgreSQL's container")
        return url

    @property
    def tablespace(self) -> None:
        return None

    def fill_postgres(self) -> None:
        raise Unusable("the server has no small disk: run this test with BACKING=local, as root")

    def empty_postgres(self) -> None:
        pass

    def kill_postgres(self) -> None:
        if self._postgres is not None:
            self._postgres.get_wrapped_container().kill()

    def revive_postgres(self) -> None:
        if self._postgres is not None:
            self._postgres.get_wrapped_container().start()
            poll(partial(postgres_answers, self._database_url), PATIENCE, "PostgreSQL's container, again")

    def start_rabbitmq(self) -> RabbitMQAddress:
        if self._broker is None:
            container = (
                DockerContainer(IMAGES["rabbitmq"])
                .with_env("RABBITMQ_DEFAULT_USER", _USER)
                .with_env("RABBITMQ_DEFAULT_PASS", self._password)
            )
            host, (amqp, management) = self._run(container, 5672, 15672)
            login = f"{_USER}:{self._password}@{host}"
            self._broker = container, RabbitMQAddress(f"amqp://{login}:{amqp}/", f"http://{login}:{management}")
        else:
            self._broker[0].get_wrapped_container().start()
        address = self._broker[1]
        poll(partial(rabbitmq_answers, address), PATIENCE, "RabbitMQ's container")
        return address

    def stop_rabbitmq(self) -> None:
        if self._broker is not None:
            self._broker[0].get_wrapped_container().stop(timeout=30)

    def kill_rabbitmq(self) -> None:
        if self._broker is not None:
            self._broker[0].get_wrapped_container().kill()

    def freeze_rabbitmq(self) -> None:
        if self._broker is not None:
            self._broker[0].get_wrapped_container().pause()

    def thaw_rabbitmq(self) -> None:
        if self._broker is not None:
            self._broker[0].get_wrapped_container().unpause()

    def control_rabbitmq(self, *command: str) -> None:
        if self._broker is not None:
            code, output = self._broker[0].exec(["rabbitmqctl", *command])
            if code:
                raise RuntimeError(output.decode(errors="replace"))

    def fill_rabbitmq(self) -> None:
        raise Unusable("a container's disk is the host's: run this test with BACKING=local, as root")

    def empty_rabbitmq(self) -> None:
        pass

    def start_s3(self) -> S3Address:
        host, (port,) = self._run(
            DockerContainer(IMAGES["s3"])
            .with_env("MINIO_ROOT_USER", _USER)
            .with_env("MINIO_ROOT_PASSWORD", self._password)
            .with_command("server /data"),
            9000,
        )
        address = S3Address(f"http://{host}:{port}", _USER, self._password)
        poll(partial(s3_answers, address), PATIENCE, "the S3 store's container")
        return address

    def close(self) -> None:
        for container in self._started:
            container.stop()

    def _run(self, container: DockerContainer, *inner_ports: int) -> tuple[str, list[int]]:
        """Starts it; the host and its ports there. They are chosen by us: the engine's choice changes at a restart."""
        ports = [free_port() for _ in inner_ports]
        for inner, outer in zip(inner_ports, ports, strict=True):
            container.with_bind_ports(inner, outer)
        self._started.append(container)
        container.start()
        return container.get_container_host_ip(), ports


def _problem() -> str | None:
    """Why no engine can run IMAGES, or None; fetches what it lacks."""
    problem = None
    with warnings.catch_warnings():
        # The library forgets its socket when nobody answers.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            client = DockerClient().client
            with closing(client):
                for image in IMAGES.values():
                    try:
                        client.images.get(image)
                    except ImageNotFound:
                        client.images.pull(image)
        except (DockerException, OSError) as error:
            problem = str(error)
        gc.collect()
    return problem
