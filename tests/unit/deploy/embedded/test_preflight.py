"""What `make run` refuses, it refuses at once and on one line."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.embedded.preflight import Refused, check_address, read_options
from deploy.embedded.secrets import load_secrets
from tests.support.wait import PATIENCE


@pytest.fixture
def var(tmp_path: Path) -> Path:
    return tmp_path / "var"


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def embedded(*arguments: str, **environment: str) -> tuple[int, list[str]]:
    """Exit status and lines of standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "deploy.embedded", *arguments],
        env={"PATH": os.defpath, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode, done.stderr.splitlines()


class TestOptions:
    @pytest.mark.parametrize("port", ["abc", "", "-1", "0", "65536", "99999", "8000.0", "８０００", "²"])
    def test_a_port_is_a_number(self, var: Path, port: str) -> None:
        with pytest.raises(Refused, match="PORT"):
            read_options({"VAR": str(var), "PORT": port})
        assert not var.exists()

    def test_demo_mode_is_said_clearly(self, var: Path) -> None:
        with pytest.raises(Refused, match="GANZHENG_DEMO"):
            read_options({"VAR": str(var), "GANZHENG_DEMO": "maybe"})
        assert not read_options({"VAR": str(var), "GANZHENG_DEMO": "False"}).demo
        assert read_options({"VAR": str(var)}).demo

    @pytest.mark.parametrize("place", ["file", "file/below", "/proc", "/proc/below"])
    def test_the_data_directory_can_be_written(self, tmp_path: Path, place: str) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(Refused, match=r"VAR=.*cannot be used"):
            read_options({"VAR": str(tmp_path / place)})

    def test_a_demo_stays_one(self, var: Path) -> None:
        load_secrets(var / "secrets.json")
        assert read_options({"VAR": str(var)}).demo
        with pytest.raises(Refused, match="published password"):
            read_options({"VAR": str(var), "GANZHENG_DEMO": "false"})

    def test_data_without_its_secrets_gets_no_new_ones(self, var: Path) -> None:
        (var / "postgres" / "cluster").mkdir(parents=True)
        with pytest.raises(Refused, match=r"secrets\.json"):
            read_options({"VAR": str(var)})
        assert not read_options({"VAR": str(var), "GANZHENG_DEMO": "false"}).demo

    @pytest.mark.parametrize("host", ["host.invalid", "a..b"])
    def test_a_host_nobody_knows(self, host: str) -> None:
        with pytest.raises(Refused, match="HOST"):
            check_address(host, 8000)


class TestSecrets:
    def test_are_made_once_for_their_owner_only(self, var: Path) -> None:
        made = load_secrets(var / "secrets.json")
        assert load_secrets(var / "secrets.json") == made
        assert [path.name for path in var.iterdir()] == ["secrets.json"]
        assert (var / "secrets.json").stat().st_mode & 0o777 == 0o600


class TestProcess:
    def test_a_port_in_use(self, var: Path, taken_port: int) -> None:
        status, lines = embedded(VAR=str(var), PORT=str(taken_port))
        assert (status, lines) == (2, [f"cannot listen on HOST=127.0.0.1 PORT={taken_port}: Address already in use"])
        assert not list(var.iterdir())

    def test_bad_settings(self, var: Path) -> None:
        own = {"GANZHENG_DEMO": "false", "GANZHENG_INDEX_KEY": "hunter2", "GANZHENG_LOG_LEVEL": "loud", "PORT": "28765"}
        status, lines = embedded(VAR=str(var), **own)
        assert status == 2
        assert [line.split(": ")[0] for line in lines] == [
            "GANZHENG_LOG_LEVEL",
            "GANZHENG_DATA_KEYS",
            "GANZHENG_INDEX_KEY",
            "GANZHENG_SIGNING_KEYS",
        ]
        assert "hunter2" not in "".join(lines)
        assert not list(var.iterdir())

    def test_dead_letters_of_nothing(self, var: Path) -> None:
        status, lines = embedded("dead-letters", "list", VAR=str(var))
        assert (status, lines) == (2, [f"VAR={var}: holds no data"])
