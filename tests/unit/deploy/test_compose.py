"""deploy/compose: what each container may do, what it is told, and that nothing it needs is missing."""

import re
from pathlib import Path
from typing import Any

import pytest

from deploy.compose.make_secrets import Emptied, make
from deploy.embedded.platform import SERVICES
from services.portal.settings import PortalSettings
from shared.runtime.settings import ProcessSettings
from tests.unit.deploy.files import COMPOSE, DEPLOY, compose

PROJECT = compose()
CONTAINERS: dict[str, dict[str, Any]] = PROJECT["services"]
OURS = {name: service for name, service in CONTAINERS.items() if service["image"].startswith("ganzheng")}
SETTINGS = {name: service.load_settings for name, (service, _) in SERVICES.items()} | {"portal": PortalSettings}
# Images without a shell or any other program but the server.
UNASKABLE = {"otel-collector", "tempo"}
RUNTIME_LOCK = DEPLOY.parent / "requirements-runtime.lock"


def one_shot(container: dict[str, Any]) -> bool:
    return bool(container["restart"] == "no")


def secrets_of(container: dict[str, Any]) -> dict[str, str]:
    """File name in the container -> name of the secret."""
    return {
        given if isinstance(given, str) else given["target"]: given if isinstance(given, str) else given["source"]
        for given in container.get("secrets", [])
    }


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_has_no_rights_it_does_not_need(name: str) -> None:
    container = CONTAINERS[name]
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert container["mem_limit"]
    assert container["pids_limit"]
    assert container["logging"]["options"] == {"max-size": "20m", "max-file": "5"}
    assert "privileged" not in container
    assert not any("docker.sock" in volume for volume in container.get("volumes", []))


@pytest.mark.parametrize("name", CONTAINERS)
def test_an_image_is_pinned(name: str) -> None:
    image = CONTAINERS[name]["image"]
    tag = image.rpartition("/")[2].partition(":")[2]
    assert tag
    assert tag != "latest"
    assert name in OURS or re.search(r"\d", tag)


@pytest.mark.parametrize("name", sorted(CONTAINERS.keys() - UNASKABLE))
def test_a_container_that_stays_is_asked_for_its_health(name: str) -> None:
    container = CONTAINERS[name]
    if one_shot(container):
        assert container["healthcheck"] == {"disable": True}
    elif name in OURS and "healthcheck" not in container:
        # The image's own, which asks an API.
        assert container["command"][-1] == "api"
    else:
        assert container["healthcheck"]["test"][0] == "CMD"


def test_only_the_gateway_publishes_ports_and_reaches_outside() -> None:
    assert [name for name, container in CONTAINERS.items() if "ports" in container] == ["gateway"]
    outside = {name for name, network in PROJECT["networks"].items() if not (network or {}).get("internal")}
    assert [name for name, container in CONTAINERS.items() if outside & set(container["networks"])] == ["gateway"]


def test_each_service_runs_and_is_migrated_first() -> None:
    for service in SERVICES:
        assert CONTAINERS[f"{service}-migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
        for role in ("api", "worker"):
            container = CONTAINERS[f"{service}-{role}"]
            assert container["command"] == ["python", "-m", f"services.{service}", role]
            before = container["depends_on"]
            assert before[f"{service}-migrate"] == {"condition": "service_completed_successfully"}
            assert before["rabbitmq"] == {"condition": "service_healthy"}


def test_celery_has_time_to_finish_and_a_name_of_its_own_in_every_copy() -> None:
    worker = CONTAINERS["certnumber-celery"]
    assert worker["stop_grace_period"] == "75s"
    assert worker["command"][-2:] == ["-n", "cert@%h"]
    assert "hostname" not in worker


def test_demo_mode_is_off() -> None:
    assert {container["environment"].get("GANZHENG_DEMO", "false") for container in OURS.values()} == {"false"}


def test_the_files_that_are_mounted_exist() -> None:
    sources = [
        volume.split(":")[0]
        for container in CONTAINERS.values()
        for volume in container.get("volumes", [])
        if volume.startswith(".")
    ]
    assert sources
    assert [source for source in sources if not (COMPOSE / source).is_file()] == []


def test_every_secret_is_made_and_given_to_someone(tmp_path: Path) -> None:
    make(tmp_path)
    made = {path.name for path in tmp_path.iterdir()}
    wanted = {name: Path(secret["file"]).name for name, secret in PROJECT["secrets"].items()}
    assert all(name == file for name, file in wanted.items())
    # The passwords at the broker reach their services inside of addresses, and the broker as hashes.
    assert made - wanted.keys() == {f"{service}_broker_password" for service in SERVICES}
    assert wanted.keys() <= made
    given = {secret for container in CONTAINERS.values() for secret in secrets_of(container).values()}
    assert given == wanted.keys()


@pytest.mark.parametrize("name", sorted(name for name, service in OURS.items() if name != "minio-setup"))
def test_a_container_is_told_what_its_settings_ask_for_and_no_more(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    container, service = OURS[name], name.partition("-")[0]
    files, given = tmp_path / "all", tmp_path / "given"
    make(files)
    given.mkdir()
    for target, source in secrets_of(container).items():
        (given / target).write_text((files / source).read_text())
    for variable, value in container["environment"].items():
        if value:
            monkeypatch.setenv(variable, value)
    monkeypatch.setenv("GANZHENG_SECRETS_DIR", str(given))
    settings: ProcessSettings = SETTINGS[service]()
    assert not settings.demo
    known = {f"ganzheng_{field}" for field in type(settings).model_fields}
    assert secrets_of(container).keys() <= known
    assert {variable.lower() for variable in container["environment"] if variable.startswith("GANZHENG_")} <= known | {
        "ganzheng_secrets_dir"
    }
    # Nobody has another's, and only migrations may change the structure of a database.
    others = (SERVICES.keys() | {"celery"}) - {service} - ({"celery"} if service == "certnumber" else set())
    assert not any(source.startswith(tuple(others)) for source in secrets_of(container).values())
    database = secrets_of(container).get("ganzheng_database_url", "")
    assert database.endswith("_owner_database_url") == name.endswith("-migrate")


def test_secrets_are_closed_to_others_and_never_changed(tmp_path: Path) -> None:
    directory = tmp_path / "secrets"
    assert make(directory)
    assert directory.stat().st_mode & 0o777 == 0o700
    before = {path.name: path.read_text() for path in directory.iterdir()}
    (directory / "index_key").unlink()
    assert make(directory) == ["index_key"]
    after = {path.name: path.read_text() for path in directory.iterdir()}
    changed = {name for name in before if before[name] != after[name]}
    # Hashes are salted anew.
    assert changed == {"index_key", "rabbitmq_definitions.json"}


def test_the_image_runs_as_nobody_in_particular_and_without_a_shell() -> None:
    dockerfile = (DEPLOY / "docker" / "Dockerfile").read_text()
    assert "\nUSER 10001:10001\n" in dockerfile
    assert "--require-hashes" in dockerfile
    for instruction in ("CMD", "HEALTHCHECK"):
        assert re.search(rf'^{instruction} .*\["python"', dockerfile, re.MULTILINE)


def test_the_image_holds_the_versions_that_are_tested() -> None:
    def pins(path: Path) -> set[str]:
        return set(re.findall(r"^\S+==[^\s;\\]+", path.read_text(), re.MULTILINE))

    runtime = pins(RUNTIME_LOCK)
    assert runtime <= pins(RUNTIME_LOCK.with_name("requirements.lock"))
    names = {pin.partition("==")[0] for pin in runtime}
    assert {"fastapi", "celery", "minio", "uvicorn"} <= names
    assert not {"pytest", "mypy", "ruff", "testcontainers"} & names


def test_an_emptied_secret_is_named_and_not_replaced(tmp_path: Path) -> None:
    make(tmp_path)
    path = tmp_path / "data_keys"
    path.chmod(0o600)
    path.write_text("")
    with pytest.raises(Emptied, match=r"data_keys is empty"):
        make(tmp_path)
    assert path.read_text() == ""
