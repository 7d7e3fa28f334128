"""KEDA."""

from typing import Literal

from tests.unit.deploy.crds.parts import KeyReference, Part, Reference, Resource


class Rabbitmq(Part):
    protocol: Literal["amqp", "http", "auto"]
    mode: Literal["QueueLength", "MessageRate"]
    value: str
    queue_name: str


class Trigger(Part):
    type: Literal["rabbitmq"]
    metadata: Rabbitmq
    authentication_ref: Reference


class Fallback(Part):
    failure_threshold: int
    replicas: int


class ScaledObjectSpec(Part):
    scale_target_ref: Reference
    min_replica_count: int
    max_replica_count: int
    polling_interval: int
    cooldown_period: int
    fallback: Fallback
    triggers: list[Trigger]


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
