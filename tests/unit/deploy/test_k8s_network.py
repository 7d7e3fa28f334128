"""deploy/k8s: who may talk to whom, on which port. The policies are evaluated as Kubernetes evaluates them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest

from deploy.embedded.platform import SERVICES
from tests.unit.deploy.kustomize import OVERLAYS, WORKLOADS, Manifest, labels_of, of_kind, pod_of, selects

NAMESPACE = "ganzheng"
APIS = tuple(f"{service}-api" for service in SERVICES)
WORKERS = (*(f"{service}-worker" for service in SERVICES), "certnumber-celery", "certnumber-beat")
MIGRATIONS = tuple(f"{service}-migrate" for service in SERVICES)
WATCHED = (*APIS, *(worker for worker in WORKERS if worker != "certnumber-beat"), "portal")
PICTURES = ("renewal-api", "renewal-worker")
INTERNET = "internet"

Edge = tuple[str, str, int]


@dataclass(frozen=True)
class Pod:
    """`ports` by name; the nameless ones are called by their number."""

    name: str
    labels: dict[str, str]
    ports: dict[str, int] = field(default_factory=dict)
    namespace: str = NAMESPACE


def outsider(namespace: str, *ports: int, **labels: str) -> Pod:
    return Pod(namespace, labels, {str(port): port for port in ports}, namespace)


# Pods that operators make, as far as policies and neighbours care; and those in other namespaces.
OTHERS = {
    "single-node": (outsider("monitoring", 4318), outsider("keda"), outsider(INTERNET, 80, 443, 6443)),
    "production": (
        Pod("postgres", {"cnpg.io/cluster": "postgres"}, {"5432": 5432, "8000": 8000, "9187": 9187}),
        Pod(
            "rabbitmq",
            {"app.kubernetes.io/name": "rabbitmq", "app.kubernetes.io/component": "rabbitmq"},
            {str(port): port for port in (4369, 5672, 15672, 15692, 25672, 35672)},
        ),
        outsider("monitoring", 4318),
        outsider("keda"),
        outsider("cnpg-system"),
        outsider("rabbitmq-system"),
        outsider("envoy-gateway-system"),
        outsider(INTERNET, 80, 443, 6443),
    ),
}
DNS = Pod("kube-dns", {"k8s-app": "kube-dns"}, {"53": 53}, "kube-system")


@cache
def pods(overlay: str) -> tuple[Pod, ...]:
    own = (
        Pod(
            re.sub(r"-\d[\d.]*$", "", name),
            labels_of(workload),
            {port["name"]: port["containerPort"] for port in pod_of(workload)["containers"][0].get("ports", [])},
        )
        for name, workload in of_kind(overlay, *WORKLOADS).items()
    )
    return (*own, *OTHERS[overlay], DNS)


def is_peer(peer: Manifest, pod: Pod) -> bool:
    if "ipBlock" in peer:
        assert peer["ipBlock"] == {"cidr": "0.0.0.0/0"}
        return True
    if "namespaceSelector" in peer:
        within = selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": pod.namespace})
    else:
        within = pod.namespace == NAMESPACE
    return within and selects(peer.get("podSelector", {}), pod.labels)


def is_port(rule: Manifest, target: Pod, port: int) -> bool:
    def covers(entry: dict[str, Any]) -> bool:
        first = target.ports.get(entry["port"]) if isinstance(entry["port"], str) else entry["port"]
        return first is not None and first <= port <= entry.get("endPort", first)

    return any(covers(entry) for entry in rule["ports"])


def allowed(policies: Iterable[Manifest], direction: str, pod: Pod, other: Pod, port: int) -> bool:
    if pod.namespace != NAMESPACE:
        return True
    kind, side = ("Egress", "to") if direction == "egress" else ("Ingress", "from")
    target = other if direction == "egress" else pod
    applying = [
        policy["spec"]
        for policy in policies
        if kind in policy["spec"]["policyTypes"] and selects(policy["spec"]["podSelector"], pod.labels)
    ]
    # Whom no policy selects may do everything.
    return not applying or any(
        is_port(rule, target, port) and (side not in rule or any(is_peer(peer, other) for peer in rule[side]))
        for spec in applying
        for rule in spec.get(direction, [])
    )


def edges(overlay: str) -> set[Edge]:
    policies = of_kind(overlay, "NetworkPolicy").values()
    return {
        (source.name, target.name, port)
        for source in pods(overlay)
        for target in pods(overlay)
        if NAMESPACE in (source.namespace, target.namespace)
        for port in target.ports.values()
        if allowed(policies, "egress", source, target, port) and allowed(policies, "ingress", target, source, port)
    }


def every(sources: Iterable[str], targets: Iterable[str], *ports: int) -> set[Edge]:
    return {(source, target, port) for source in sources for target in targets for port in ports}


def expected(overlay: str) -> set[Edge]:
    common = {
        *every(["gateway"], [*APIS, "portal"], 8000),
        *every(["portal"], ["gateway"], 8000),
        # Whoever trusts an issuer fetches its keys.
        *(
            (f"{name}-api", f"{issuer}-api", 8000)
            for name, (service, _) in SERVICES.items()
            for issuer in getattr(service.load_settings, "trusted_issuers", ())
        ),
        *every([*APIS, *WORKERS, *MIGRATIONS], ["postgres"], 5432),
        *every(WORKERS, ["rabbitmq"], 5672),
        *every(["monitoring"], WATCHED, 9000),
        *every(["monitoring"], ["gateway"], 9100),
        *every(["monitoring"], ["rabbitmq"], 15692),
        *every((pod.name for pod in pods(overlay) if pod.namespace == NAMESPACE), ["kube-dns"], 53),
    }
    if overlay == "single-node":
        anybody = [pod.name for pod in pods(overlay) if pod.namespace != NAMESPACE]
        return {
            *common,
            *every(anybody, ["gateway"], 8080, 8443),
            *every([*PICTURES, "store-setup", "gateway", "monitoring"], ["minio"], 9000),
        }
    return {
        *common,
        *every(["envoy-gateway-system"], ["gateway"], 8080),
        *every(PICTURES, [INTERNET], 443),
        *every(["keda"], ["rabbitmq"], 5672),
        *every(["rabbitmq-system"], ["rabbitmq"], 15672),
        *every(["rabbitmq"], ["rabbitmq"], 4369, 25672, 35672),
        *every(["postgres", "cnpg-system"], ["postgres"], 5432, 8000),
        *every(["monitoring"], ["postgres"], 9187),
        *every(["postgres"], [INTERNET], 443, 6443),
        *every(WATCHED, ["monitoring"], 4318),
    }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_everybody_reaches_what_they_need_and_nothing_else(overlay: str) -> None:
    assert edges(overlay) == expected(overlay)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_no_rule_names_is_refused(overlay: str) -> None:
    deny = of_kind(overlay, "NetworkPolicy")["default-deny"]["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
