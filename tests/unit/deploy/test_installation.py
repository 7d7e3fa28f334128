"""How docker compose is called, with a stand-in for it that notes its call and says what the test wants."""

import json
import os
from pathlib import Path
from subprocess import PIPE

import pytest

from deploy.compose.installation import FILE, ROOT, Installation, OperationFailed, once
from deploy.compose.trial import PROJECT, environment

STAND_IN = """#!/bin/sh
echo "$@" >> "{notes}/arguments"
echo "$PWD $COMPOSE_FILE $COMPOSE_PROJECT_NAME" >> "{notes}/surroundings"
{script}
"""


class Docker:
    """The stand-in, first on the PATH of `installation`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def says(self, script: str) -> None:
        program = self._directory / "docker"
        program.write_text(STAND_IN.format(notes=self._directory, script=script))
        program.chmod(0o755)

    def noted(self, what: str) -> list[str]:
        return (self._directory / what).read_text().splitlines()


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    for name in ("COMPOSE_FILE", "COMPOSE_PROJECT_NAME"):
        monkeypatch.delenv(name, raising=False)
    return Docker(tmp_path)


def test_commands_run_in_the_root_on_the_file_that_is_named(docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    docker.says("exit 0")
    Installation().run("up", "--wait")
    assert docker.noted("arguments") == ["compose --progress quiet up --wait"]
    monkeypatch.setenv("COMPOSE_FILE", "a.yaml:b.yaml")
    Installation().run("stop")
    Installation(environment(Path("secrets"))).run("down")
    assert docker.noted("surroundings") == [
        f"{ROOT} {FILE} ",
        f"{ROOT} a.yaml:b.yaml ",
        # The trial is apart from what the operator's shell names.
        f"{ROOT} {FILE} {PROJECT}",
    ]


def test_words_and_files_go_in_and_out(docker: Docker, tmp_path: Path) -> None:
    installation = Installation()
    docker.says("cat")
    assert installation.output("exec", stdin="密码\n") == "密码\n"
    assert installation.output("exec") == ""
    (tmp_path / "in").write_bytes(b"dump")
    with (tmp_path / "in").open("rb") as stdin, (tmp_path / "out").open("wb") as stdout:
        installation.run("exec", stdin=stdin, stdout=stdout)
    assert (tmp_path / "out").read_bytes() == b"dump"
    with installation.piped("exec", stdout=PIPE) as (stdin, stdout):
        assert stdout is not None
        stdin.write(b"stream")
        stdin.close()
        assert stdout.read() == b"stream"


def test_a_failure_tells_what_the_command_said(docker: Docker) -> None:
    installation = Installation()
    docker.says("echo no such service >&2; exit 3")
    with pytest.raises(OperationFailed, match="docker compose stop x: no such service"):
        installation.run("stop", "x")
    with pytest.raises(OperationFailed, match="no such service"):
        installation.output("ps")
    with pytest.raises(OperationFailed, match="no such service"), installation.piped("run"):
        pass
    # However much is still to be written when it ends.
    with pytest.raises(OperationFailed, match="no such service"), installation.piped("run") as (stdin, _):
        stdin.write(bytes(4_000_000))
    docker.says("exit 3")
    with pytest.raises(OperationFailed, match="exit status 3"):
        installation.run("stop")


def test_what_compose_answers_is_read(docker: Docker, tmp_path: Path) -> None:
    for name, secret in (("data_keys", "k2:YQ==, k1:Yg=="), ("index_key", "Yw==")):
        (tmp_path / name).write_text(secret)
    config = {
        "services": {"renewal-api": {"image": "ganzheng:1"}, "setup": {"restart": "no"}},
        "secrets": {name: {"file": str(tmp_path / name)} for name in ("data_keys", "index_key")},
    }
    containers = [
        {"Service": "gateway", "Publishers": [{"PublishedPort": 8080}, {"PublishedPort": 0}, {"PublishedPort": 8080}]},
        {"Service": "postgres", "Publishers": None},
    ]
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "ps.json").write_text("\n".join(map(json.dumps, containers)))
    queues = "renewal.decisions\\tready 2\\tretry 1\\tdead 0"
    docker.says(
        f'case "$4" in config|ps) cat {tmp_path}/"$4".json;; run) printf "{queues}\\n";; logs) echo line;; esac'
    )
    installation = Installation()
    assert installation.services == ["renewal-api"]
    assert installation.image() == "ganzheng:1"
    assert installation.published_ports() == {"gateway": [8080]}
    assert installation.depths() == {"renewal.decisions": {"ready": 2, "retry": 1, "dead": 0}}
    assert installation.logs() == "line\n"
    prints = installation.key_prints()
    assert list(prints) == ["k2", "k1", "index"]
    assert len(set(prints.values())) == 3
    assert docker.noted("arguments").count("compose --progress quiet config --format json") == 1
    assert f"compose --progress quiet {' '.join(once('certnumber-worker', 'services.certnumber', 'queues'))}" in (
        docker.noted("arguments")
    )
