"""deploy/k8s: every object is one that Kubernetes would take, and no pod may more than it needs."""

import re
from typing import Any

import kubernetes_validate
import pytest
from prometheus_client import REGISTRY

from deploy.compose.make_secrets import make
from deploy.embedded.platform import SERVICES
from deploy.k8s.rules import TARGET, prometheus_rule
from deploy.k8s.secrets import COMMON, NAMESPACE, TLS, names, secrets
from services.portal.settings import PortalSettings
from shared.contracts.topology import QUEUES
from shared.runtime.settings import ProcessSettings
from tests.unit.deploy.crds import CUSTOM
from tests.unit.deploy.files import COMPOSE, compose
from tests.unit.deploy.kustomize import OVERLAYS, WORKLOADS, Manifest, labels_of, of_kind, pod_of, rendered, selects

# The oldest that README.md promises; what is stable in it stays in later ones.
KUBERNETES = "1.32"
CONTAINERS = compose()["services"]
SETTINGS = {name: service.load_settings for name, (service, _) in SERVICES.items()} | {"portal": PortalSettings}
EVERY_WORKLOAD = [(overlay, name) for overlay in OVERLAYS for name in of_kind(overlay, *WORKLOADS)]
LONG_RUNNING = [(overlay, name) for overlay in OVERLAYS for name in of_kind(overlay, "Deployment", "StatefulSet")]
OURS = [(overlay, name) for overlay in OVERLAYS for name in of_kind(overlay, "Deployment") if name != "gateway"]


def workload(overlay: str, name: str) -> Manifest:
    return of_kind(overlay, *WORKLOADS)[name]


def only_container(overlay: str, name: str) -> Manifest:
    (container,) = pod_of(workload(overlay, name))["containers"]
    found: Manifest = container
    return found


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in (str(key), *strings(item))]
    return [text for item in value for text in strings(item)] if isinstance(value, list) else [str(value)]


def unversioned(name: str) -> str:
    """A Job's name without its version."""
    return re.sub(r"-\d[\d.]*$", "", name)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_object_is_valid(overlay: str) -> None:
    objects = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in rendered(overlay)]
    assert len(objects) == len(set(objects))
    for manifest in rendered(overlay):
        assert manifest["kind"] == "Namespace" or manifest["metadata"]["namespace"] == NAMESPACE
        if manifest["kind"] in CUSTOM:
            CUSTOM[manifest["kind"]].model_validate(manifest)
        else:
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_a_single_node_needs_nothing_installed_before() -> None:
    assert not {manifest["kind"] for manifest in rendered("single-node")} & CUSTOM.keys()


@pytest.mark.parametrize(("overlay", "name"), EVERY_WORKLOAD)
def test_a_pod_has_no_rights_it_does_not_need(overlay: str, name: str) -> None:
    pod = pod_of(workload(overlay, name))
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "serviceAccountName"} & pod.keys()
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not any("hostPath" in volume for volume in pod["volumes"])
    for container in (*pod["containers"], *pod.get("initContainers", [])):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"].keys() == {"requests", "limits"}
        for part in container["resources"].values():
            assert part.keys() == {"cpu", "memory"}
            assert re.fullmatch(r"\d+m?", part["cpu"])
            assert re.fullmatch(r"\d+[MG]i", part["memory"])
        tag = container["image"].rpartition("/")[2].partition(":")[2]
        assert re.search(r"\d", tag)


@pytest.mark.parametrize(("overlay", "name"), LONG_RUNNING)
def test_a_container_is_asked_how_it_is_and_ends_in_peace(overlay: str, name: str) -> None:
    container = only_container(overlay, name)
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        (kind,) = {"httpGet", "tcpSocket", "exec"} & container[probe].keys()
        if kind != "exec":
            assert container[probe][kind]["port"] in {port["name"] for port in container["ports"]}
    assert not re.search("ready", str(container["livenessProbe"].get("httpGet")))
    drain = int(CONTAINERS[name].get("stop_grace_period", "30s").removesuffix("s"))
    waits = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    grace = pod_of(workload(overlay, name))["terminationGracePeriodSeconds"]
    assert grace >= drain
    # An API has 20 s for its requests, the gateway as well.
    assert not waits or grace > waits + 20


@pytest.mark.parametrize(("overlay", "name"), EVERY_WORKLOAD)
def test_a_container_runs_what_it_runs_with_docker_compose(overlay: str, name: str) -> None:
    container = only_container(overlay, name)
    twin = CONTAINERS[{"store-setup": "minio-setup"}.get(unversioned(name), unversioned(name))]
    image, tag = container["image"].rsplit(":", 1)
    if image.endswith("ganzheng"):
        assert container["command"] == twin["command"]
        assert tag == workload(overlay, name)["metadata"]["labels"]["app.kubernetes.io/version"]
    else:
        assert container["image"] == twin["image"]
        assert container.get("command") == twin.get("entrypoint")
    if name == "gateway":
        # Who is trusted differs, and who asks for its health.
        differing = re.compile("trustedIPs|entryPoints.ping.address")
        args, flags = ([a for a in both if not differing.search(a)] for both in (container["args"], twin["command"]))
        assert args == flags
    elif "args" in container:
        assert container["args"] == twin["command"]


@pytest.mark.parametrize(("overlay", "name"), OURS)
def test_a_process_gets_the_settings_it_asks_for_and_its_own_secrets(
    overlay: str, name: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = name.partition("-")[0]
    container, configuration = only_container(overlay, name), of_kind(overlay, "ConfigMap")
    environment: dict[str, str] = {}
    for source in container["envFrom"]:
        environment |= configuration[source["configMapRef"]["name"]]["data"]
    for variable in container["env"]:
        if "value" in variable:
            environment[variable["name"]] = variable["value"]
        else:
            reference = variable["valueFrom"]["configMapKeyRef"]
            environment[variable["name"]] = configuration[reference["name"]]["data"][reference["key"]]
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    make(tmp_path / "files")
    twin = CONTAINERS[name]
    mounted = [
        volume["secret"]["secretName"] for volume in pod_of(workload(overlay, name))["volumes"] if "secret" in volume
    ]
    assert mounted == ([] if service == "portal" else [service])
    assert COMMON.get(service, {}) == {secret["target"]: secret["source"] for secret in twin.get("secrets", [])}
    given = tmp_path / "given"
    given.mkdir()
    for key, file in COMMON.get(service, {}).items():
        (given / key).write_text((tmp_path / "files" / file).read_text())
    monkeypatch.setenv("GANZHENG_SECRETS_DIR", str(given))
    settings: ProcessSettings = SETTINGS[service]()
    assert not settings.demo
    assert settings.metrics_port == 9000
    ours = {variable.lower() for variable in environment if variable.startswith("GANZHENG_")}
    assert ours <= {f"ganzheng_{field}" for field in type(settings).model_fields} | {"ganzheng_secrets_dir"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_new_version_is_migrated_first(overlay: str) -> None:
    jobs = of_kind(overlay, "Job")
    for service in SERVICES:
        (name,) = [name for name in jobs if unversioned(name) == f"{service}-migrate"]
        pod = pod_of(jobs[name])
        assert name.endswith(f"-migrate-{pod['containers'][0]['image'].rpartition(':')[2]}")
        # Its name changes with the version only, so nothing else in it may.
        assert "configMap" not in str(jobs[name])
        assert [volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume] == [
            f"{service}-owner"
        ]
        for other, deployment in of_kind(overlay, "Deployment").items():
            if other.startswith(f"{service}-"):
                (first,) = pod_of(deployment)["initContainers"]
                assert first["command"] == ["python", "-m", f"services.{service}", "await-migration"]
                assert first["image"] == pod["containers"][0]["image"]


def test_production_grants_what_docker_compose_grants() -> None:
    init = (COMPOSE / "postgres" / "init.sh").read_text().replace('FOR ROLE :"owner" ', "")
    granted = set(re.findall(r"^(?:ALTER DEFAULT|REVOKE|GRANT) .*;$", init, re.MULTILINE))
    assert len(granted) == 4
    for name, job in of_kind("production", "Job").items():
        (grants,) = pod_of(job)["initContainers"]
        assert granted <= {line.strip() for line in grants["command"][2].splitlines()}, name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_secrets_are_referred_to_and_somebody_makes_them(overlay: str, tmp_path: Any) -> None:
    text = [text for manifest in rendered(overlay) for text in strings(manifest)]
    assert not any(re.search(r"://[^/\s]*:[^/\s]*@|BEGIN [A-Z ]*PRIVATE KEY", item) for item in text)
    assert not of_kind(overlay, "Secret")
    referred = set(re.findall(r"secretName': '([^']+)'", str(rendered(overlay))))
    for manifest in rendered(overlay):
        spec = manifest.get("spec", {})
        if manifest["kind"] == "TriggerAuthentication":
            referred |= {target["name"] for target in spec["secretTargetRef"]}
        elif manifest["kind"] == "Cluster":
            referred |= {role["passwordSecret"]["name"] for role in spec["managed"]["roles"]}
        elif manifest["kind"] == "ObjectStore":
            referred |= {reference["name"] for reference in spec["configuration"]["s3Credentials"].values()}
        elif manifest["kind"] == "Gateway":
            referred |= {
                ref["name"] for one in spec["listeners"] for ref in one.get("tls", {}).get("certificateRefs", [])
            }
    assert "secretKeyRef" not in str(rendered(overlay))
    assert referred == names(overlay)

    make(tmp_path)
    for name in ("backup_s3_access_key", "backup_s3_secret_key"):
        (tmp_path / name).write_text(name)
    made = {secret["metadata"]["name"]: secret for secret in secrets(overlay, tmp_path)}
    assert made.keys() == names(overlay) - {TLS}
    for secret in made.values():
        kubernetes_validate.validate(secret, KUBERNETES, strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_copies_are_never_all_taken_away_at_once(overlay: str) -> None:
    budgets = of_kind(overlay, "PodDisruptionBudget").values()
    for name, deployment in of_kind(overlay, "Deployment").items():
        found = [budget for budget in budgets if selects(budget["spec"]["selector"], labels_of(deployment))]
        assert len(found) == (name != "certnumber-beat"), name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_beat_is_one_and_the_others_are_as_many_as_wanted(overlay: str) -> None:
    deployments = of_kind(overlay, "Deployment")
    beat = deployments.pop("certnumber-beat")["spec"]
    assert (beat["replicas"], beat["strategy"]) == (1, {"type": "Recreate"})
    scaled = {
        scaler["spec"]["scaleTargetRef"]["name"]
        for scaler in of_kind(overlay, "HorizontalPodAutoscaler", "ScaledObject").values()
    }
    fixed = {name for name, deployment in deployments.items() if "replicas" in deployment["spec"]}
    # What has a scaler must not be set back with each apply.
    assert not scaled & fixed
    if overlay == "production":
        assert scaled | fixed == deployments.keys()


def test_every_queue_has_a_scaler_of_its_consumer(tmp_path: Any) -> None:
    found = {
        trigger["metadata"]["queueName"]: (
            scaler["spec"]["scaleTargetRef"]["name"],
            trigger["authenticationRef"]["name"],
        )
        for scaler in of_kind("production", "ScaledObject").values()
        for trigger in scaler["spec"]["triggers"]
        if trigger["type"] == "rabbitmq"
    }
    # Next to nothing comes to enterprise's.
    scaled = [queue for queue in QUEUES if queue.service != "enterprise"]
    assert found == {queue.name: (f"{queue.service}-worker", f"{queue.service}-queues") for queue in scaled} | {
        "certnumber.numbering": ("certnumber-celery", "certnumber-celery-queues")
    }
    make(tmp_path)
    for name in ("backup_s3_access_key", "backup_s3_secret_key"):
        (tmp_path / name).write_text(name)
    hosts = {
        secret["metadata"]["name"]: secret["stringData"].get("host", "") for secret in secrets("production", tmp_path)
    }
    for queue, (_, secret) in found.items():
        vhost = "celery" if queue == "certnumber.numbering" else "ganzheng"
        assert re.fullmatch(rf"amqp://\w+:[^@]+@rabbitmq\.{NAMESPACE}\.svc:5672/{vhost}", hosts[secret])


def test_whoever_sends_requests_away_gets_more_copies() -> None:
    """The measure is the door's own, of the copies of the very process."""
    scalers = of_kind("production", "ScaledObject").values()
    asked = {
        scaler["spec"]["scaleTargetRef"]["name"]: trigger["metadata"]["query"]
        for scaler in scalers
        for trigger in scaler["spec"]["triggers"]
        if trigger["type"] == "prometheus"
    }
    assert asked.keys() == {f"{name}-api" for name in SERVICES} | {"portal"}
    known = {metric.name for metric in REGISTRY.collect()}
    for name, query in asked.items():
        assert set(re.findall(r'job="([\w-]+)"', query)) == {name}
        assert {metric.removesuffix("_total") for metric in re.findall(r"ganzheng_\w+", query)} <= known


def test_alerts_are_those_of_docker_compose_and_find_their_jobs() -> None:
    assert TARGET.read_text() == prometheus_rule()
    (rule,) = of_kind("production", "PrometheusRule").values()
    (away,) = [r["expr"] for group in rule["spec"]["groups"] for r in group["rules"] if r["alert"] == "ProcessAway"]
    jobs = set()
    for monitor in of_kind("production", "PodMonitor").values():
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        for deployment in of_kind("production", "Deployment").values():
            labels = labels_of(deployment)
            if selects(monitor["spec"]["selector"], labels):
                assert endpoint["port"] in {port["name"] for port in pod_of(deployment)["containers"][0]["ports"]}
        for relabeling in endpoint.get("relabelings", []):
            if "sourceLabels" not in relabeling:
                jobs.add(relabeling["replacement"])
                continue
            for deployment in of_kind("production", "Deployment").values():
                labels = {re.sub(r"\W", "_", key): value for key, value in labels_of(deployment).items()}
                values = [
                    labels.get(source.removeprefix("__meta_kubernetes_pod_label_"), "")
                    for source in relabeling["sourceLabels"]
                ]
                matched = re.fullmatch(relabeling["regex"], relabeling["separator"].join(values))
                if matched and selects(monitor["spec"]["selector"], labels_of(deployment)):
                    jobs.add(matched[1])
    assert set(re.findall(r'job="([\w-]+)"', away)) == jobs


def test_routes_lead_to_the_gateway_under_its_public_name() -> None:
    (site,) = [c["data"] for name, c in of_kind("production", "ConfigMap").items() if name.startswith("site-")]
    services = of_kind("production", "Service")
    for route in of_kind("production", "HTTPRoute").values():
        assert [f"https://{host}" for host in route["spec"]["hostnames"]] == [site["PUBLIC_URL"]]
        for backend in [ref for rule in route["spec"]["rules"] for ref in rule.get("backendRefs", [])]:
            assert backend["port"] in {port["port"] for port in services[backend["name"]]["spec"]["ports"]}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_service_leads_to_ports_that_are_there(overlay: str) -> None:
    for name, service in of_kind(overlay, "Service").items():
        led = [
            w
            for w in of_kind(overlay, *WORKLOADS).values()
            if service["spec"]["selector"].items() <= labels_of(w).items()
        ]
        assert len(led) == 1, name
        ports = {port["name"] for port in pod_of(led[0])["containers"][0]["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
