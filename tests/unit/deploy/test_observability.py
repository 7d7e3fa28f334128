"""deploy/observability: rules and dashboard ask for metrics that exist. The programs are not started here."""

import json
import re
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

import shared.observability.metrics  # noqa: F401 - registers them
from tests.unit.deploy.files import COMPOSE, DEPLOY, compose, load

OBSERVABILITY = DEPLOY / "observability"
OTHERS = re.compile(r"^(rabbitmq|traefik|minio)_|^(up|ALERTS|__name__)$")
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((OBSERVABILITY / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]
PANELS: list[dict[str, Any]] = json.loads((OBSERVABILITY / "grafana" / "ganzheng.json").read_text())["panels"]


def known() -> dict[str, set[str]]:
    """Names that Prometheus sees -> their labels."""
    names: dict[str, set[str]] = {}
    for collector in REGISTRY._names_to_collectors.items():
        name, metric = collector
        if name.startswith("ganzheng_"):
            names[name] = set(getattr(metric, "_labelnames", ()))
    return names


METRICS = known()


@pytest.mark.parametrize(
    "expression",
    [rule["expr"] for rule in RULES] + [target["expr"] for panel in PANELS for target in panel["targets"]],
)
def test_an_expression_uses_metrics_and_labels_that_exist(expression: str) -> None:
    used = set(re.findall(r"ganzheng_\w+", expression))
    assert used <= METRICS.keys()
    labels = {label for group in re.findall(r"by \(([^)]*)\)", expression) for label in re.split(r",\s*", group)}
    labels |= set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression))
    if used:
        carried = {label for name in used for label in METRICS[name]}
        assert labels <= carried | {"job", "le"}
    else:
        assert re.search(r"\b(up|ALERTS|rabbitmq_\w+|traefik_\w+|__name__)", expression)
    assert expression.count("(") == expression.count(")")
    assert expression.count("{") == expression.count("}")


def test_an_alert_says_how_bad_and_what() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names))
    for rule in RULES:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]


def test_every_process_is_asked_for_metrics_and_missed_when_away() -> None:
    jobs = {job["job_name"]: job for job in load(OBSERVABILITY / "prometheus.yml")["scrape_configs"]}
    containers = compose()["services"]
    told = {
        name
        for name, container in containers.items()
        if "GANZHENG_METRICS_PORT" in container.get("environment", {}) and container["restart"] != "no"
    }
    # Beat has nothing to tell: NoConsumer and ApprovalWithoutNumber tell of what it does.
    assert told - jobs.keys() == {"certnumber-beat"}
    assert jobs.keys() <= containers.keys()
    for name in told - {"certnumber-beat"}:
        (target,) = jobs[name]["dns_sd_configs"]
        assert (target["names"], target["port"]) == ([name], 9000)
    (away,) = [rule["expr"] for rule in RULES if rule["alert"] == "ProcessAway"]
    assert set(re.findall(r'job="([\w-]+)"', away)) == jobs.keys()


def test_prometheus_is_on_every_network_where_something_answers_it() -> None:
    services = load(COMPOSE / "observability.yaml")["services"]
    reach = set(services["prometheus"]["networks"])
    for name, container in compose()["services"].items():
        if name not in ("postgres", "grafana"):
            assert reach & set(container["networks"]), name


def test_the_collector_passes_traces_on_to_where_grafana_reads_them() -> None:
    collector = load(OBSERVABILITY / "otel-collector.yaml")
    (exporter,) = collector["service"]["pipelines"]["traces"]["exporters"]
    tempo = load(OBSERVABILITY / "tempo.yaml")
    listening = tempo["distributor"]["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"]
    assert collector["exporters"][exporter]["endpoint"] == f"tempo:{listening.rpartition(':')[2]}"
    sources = {source["type"]: source for source in load(OBSERVABILITY / "grafana" / "datasources.yaml")["datasources"]}
    assert sources["tempo"]["url"] == f"http://tempo:{tempo['server']['http_listen_port']}"
    assert {panel["datasource"]["uid"] for panel in PANELS} == {sources["prometheus"]["uid"]}
