"""KEDA."""

from typing import Literal

from tests.unit.deploy.crds.parts import KeyReference, Part, Reference, Resource


class Rabbitmq(Part):
    protocol: Literal["amqp", "http", "auto"]
    mode: Literal["QueueLength", "MessageRate"]
    value: str
    queue_name: str


class RabbitmqTrigger(Part):
    type: Literal["rabbitmq"]
    metadata: Rabbitmq
    authentication_ref: Reference


class Cpu(Part):
    value: str


class CpuTrigger(Part):
    type: Literal["cpu"]
    metric_type: Literal["Utilization"]
    metadata: Cpu


class Prometheus(Part):
    server_address: str
    threshold: str
    query: str


class PrometheusTrigger(Part):
    type: Literal["prometheus"]
    metadata: Prometheus


class ScaleDown(Part):
    stabilization_window_seconds: int


class Behavior(Part):
    scale_down: ScaleDown


class AutoscalerConfig(Part):
    behavior: Behavior


class Advanced(Part):
    horizontal_pod_autoscaler_config: AutoscalerConfig


class Fallback(Part):
    failure_threshold: int
    replicas: int


class ScaledObjectSpec(Part):
    scale_target_ref: Reference
    min_replica_count: int
    max_replica_count: int
    polling_interval: int
    cooldown_period: int
    advanced: Advanced | None = None
    fallback: Fallback | None = None
    triggers: list[RabbitmqTrigger | CpuTrigger | PrometheusTrigger]


class ScaledObject(Resource):
    api_version: Literal["keda.sh/v1alpha1"]
    spec: ScaledObjectSpec


class SecretTarget(KeyReference):
    parameter: Literal["host"]


class TriggerAuthenticationSpec(Part):
    secret_target_ref: list[SecretTarget]


class TriggerAuthentication(Resource):
    api_version: Literal["keda.sh/v1alpha1"]
    spec: TriggerAuthenticationSpec
