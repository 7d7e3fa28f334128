"""docs/operations.md tells an operator only what exists: commands, services, files, secrets, alerts."""

import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import shared.runtime.service
from deploy.compose.make_secrets import make
from deploy.compose.rotate import LISTS, STEPS
from tests.unit.deploy.files import DEPLOY, compose

ROOT = DEPLOY.parent
HANDBOOK = (ROOT / "docs" / "operations.md").read_text()
BLOCKS = [
    re.sub(r"^ +", "", block, flags=re.MULTILINE) for block in re.findall(r"```sh\n(.*?)```", HANDBOOK, re.DOTALL)
]
SERVICES = compose()["services"]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
PER_SERVICE = re.compile(r"for service in ([a-z ]+); do (.*); done")
ALERTS = {
    rule["alert"]: rule["labels"]["severity"]
    for group in yaml.safe_load((DEPLOY / "observability" / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
}


def commands() -> list[str]:
    """One a line, loops over services unrolled, without comments and what follows a pipe or semicolon."""
    lines: list[str] = []
    for line in "".join(BLOCKS).splitlines():
        if loop := PER_SERVICE.fullmatch(line):
            lines += [loop[2].replace("$service", service) for service in loop[1].split()]
        else:
            lines.append(line)
    parts = [part.strip() for line in lines for part in re.split(r"\s\s+#|;\s|\s\|\s|&&", line)]
    return [part for part in parts if part]


COMMANDS = commands()
COMPOSE = [command for command in COMMANDS if "docker compose " in command and "config" not in command]
# Options that take a value of their own.
VALUED = ("--since", "--tail", "--scale", "--format")
NAMED = re.compile(r"\$(APIS|WORKERS)")
LISTED = dict(re.findall(r'^(APIS|WORKERS)="([^"]*)"', "".join(BLOCKS), re.MULTILINE))


class Parsed(Exception):
    """The command line was understood."""


def words(command: str) -> list[str]:
    return shlex.split(NAMED.sub(lambda match: LISTED[match[1]], command))


def services_named(command: str) -> list[str]:
    """The services a `docker compose` command names."""
    arguments = words(command[command.index("docker compose ") :])[2:]
    action, rest = arguments[0], iter(arguments[1:])
    named = []
    for word in rest:
        if word in VALUED:
            value = next(rest)
            named += [value.partition("=")[0]] if word == "--scale" else []
        elif word.startswith(("<", ">")):
            break
        elif not word.startswith("-"):
            named.append(word)
            if action in ("exec", "run"):
                break
    return [name for name in named if name != "$service"]


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_is_shell(block: str) -> None:
    subprocess.run(["bash", "-n"], input=block, text=True, check=True)


def test_make_has_the_targets() -> None:
    called = [words(command) for command in COMMANDS if command.startswith("make ")]
    assert {arguments[1] for arguments in called} <= TARGETS
    assert {"secrets", "backup", "restore", "rotate"} <= {arguments[1] for arguments in called}
    for arguments in called:
        given = dict(word.split("=", 1) for word in arguments[2:])
        match arguments[1]:
            case "rotate":
                assert given["KEYS"] in LISTS
                assert given["STEP"] in STEPS
            case "backup":
                assert given.keys() == {"TO"}
            case "restore":
                assert given.keys() == {"FROM"}
            case "demo-journey":
                assert given.keys() == {"BASE", "REVIEWER"}
            case _:
                assert not given


def test_compose_has_the_services() -> None:
    named = [name for command in COMPOSE for name in services_named(command)]
    named += [name for command in COMMANDS if command.startswith("rolling ") for name in words(command)[1:]]
    assert len(named) > 40
    assert set(named) <= set(SERVICES)
    assert {name for name in SERVICES if name.endswith("-api")} == set(LISTED["APIS"].split())
    ours = {name for name in SERVICES if name.endswith(("-worker", "-celery", "-beat"))}
    assert ours == set(LISTED["WORKERS"].split())


PYTHON = sorted({command[command.index("python -m ") :] for command in COMMANDS if "python -m " in command})


@pytest.mark.parametrize("command", PYTHON)
def test_a_service_has_the_command(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def parsed() -> None:
        raise Parsed

    module, *arguments = shlex.split(command)[2:]
    monkeypatch.setattr(shared.runtime.service, "explained_settings", parsed)
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    with pytest.raises(Parsed):
        runpy.run_module(f"{module}.__main__", run_name="__main__")


def test_files_and_secrets_exist(tmp_path: Path) -> None:
    text = HANDBOOK.replace("deploy/compose/.env ", "")
    for path in set(re.findall(r"\bdeploy/[\w./-]*\w", text)) - {"deploy/compose/.env", "deploy/compose/secrets"}:
        secret = path.removeprefix("deploy/compose/secrets/")
        if secret != path:
            make(tmp_path)
            assert (tmp_path / secret).is_file(), path
        else:
            assert (ROOT / path).exists(), path


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_has_its_section_which_says_how_urgent_it_is(alert: str) -> None:
    section = re.search(rf"^### {alert}\n\n\*(\w+)\. ", HANDBOOK, re.MULTILINE)
    assert section, alert
    assert section[1].lower() == ALERTS[alert]


def test_links_lead_somewhere() -> None:
    headings = re.findall(r"^#+ (.*)$", HANDBOOK, re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    for target in re.findall(r"\]\(([^)]+)\)", HANDBOOK):
        file, _, anchor = target.partition("#")
        assert (anchor in anchors) if not file else (ROOT / "docs" / file).exists(), target
