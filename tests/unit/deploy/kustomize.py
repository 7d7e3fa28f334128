"""The overlays of deploy/k8s as kubectl renders them."""

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.support.wait import PATIENCE
from tests.unit.deploy.files import DEPLOY

OVERLAYS = ("single-node", "production")
WORKLOADS = ("Deployment", "StatefulSet", "Job")
KUBECTL = Path(sys.executable).with_name("kubectl")

Manifest = dict[str, Any]


@cache
def rendered(overlay: str) -> tuple[Manifest, ...]:
    command = [str(KUBECTL), "kustomize", str(DEPLOY / "k8s" / "overlays" / overlay)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout
    return tuple(yaml.load_all(output, Loader=yaml.CSafeLoader))


def of_kind(overlay: str, *kinds: str) -> dict[str, Manifest]:
    """By name."""
    return {manifest["metadata"]["name"]: manifest for manifest in rendered(overlay) if manifest["kind"] in kinds}


def pod_of(workload: Manifest) -> Manifest:
    spec: Manifest = workload["spec"]["template"]["spec"]
    return spec


def labels_of(workload: Manifest) -> dict[str, str]:
    """Of its pods."""
    labels: dict[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return labels


def selects(selector: Manifest, labels: dict[str, str]) -> bool:
    """A label selector of Kubernetes; the empty one selects all. ValueError for an operator not used here."""

    def holds(expression: Manifest) -> bool:
        value = labels.get(expression["key"])
        match expression["operator"]:
            case "In":
                return value in expression["values"]
            case "NotIn":
                return value not in expression["values"]
            case "Exists":
                return value is not None
            case other:
                raise ValueError(other)

    named: dict[str, str] = selector.get("matchLabels", {})
    return named.items() <= labels.items() and all(map(holds, selector.get("matchExpressions", [])))
