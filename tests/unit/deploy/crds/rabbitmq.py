"""RabbitMQ cluster operator."""

from typing import Any, Literal

from tests.unit.deploy.crds.parts import Part, Quantity, Resource, Resources


class Persistence(Part):
    storage: Quantity


class RabbitmqConfiguration(Part):
    additional_config: str


class StatefulSetOverride(Part):
    # A patch of a StatefulSet.
    spec: dict[str, Any]


class Override(Part):
    stateful_set: StatefulSetOverride


class RabbitmqClusterSpec(Part):
    replicas: int
    image: str
    persistence: Persistence
    resources: Resources
    # As in a pod.
    affinity: dict[str, Any]
    rabbitmq: RabbitmqConfiguration
    override: Override


class RabbitmqCluster(Resource):
    api_version: Literal["rabbitmq.com/v1beta1"]
    spec: RabbitmqClusterSpec
