"""Prometheus operator."""

from typing import Annotated, Literal

from pydantic import Field

from tests.unit.deploy.crds.parts import Duration, Part, Resource, Selector


class Relabeling(Part):
    source_labels: list[str] | None = None
    separator: str = ";"
    regex: str = "(.*)"
    target_label: str
    replacement: str = "$1"


class PodMetricsEndpoint(Part):
    port: str
    interval: Duration
    relabelings: list[Relabeling] | None = None


class PodMonitorSpec(Part):
    selector: Selector
    pod_metrics_endpoints: list[PodMetricsEndpoint]


class PodMonitor(Resource):
    api_version: Literal["monitoring.coreos.com/v1"]
    spec: PodMonitorSpec


class Rule(Part):
    alert: str
    expr: str
    for_: Annotated[Duration, Field(alias="for")] = "0s"
    labels: dict[str, str]
    annotations: dict[str, str]


class RuleGroup(Part):
    name: str
    rules: list[Rule]


class PrometheusRuleSpec(Part):
    groups: list[RuleGroup]


class PrometheusRule(Resource):
    api_version: Literal["monitoring.coreos.com/v1"]
    spec: PrometheusRuleSpec
