"""The custom resources of deploy/k8s, as far as it uses them: fields that exist, their types, and which are required.

After the operators' reference documentation. A field that is not here is refused, so a misspelt one is.
"""

from tests.unit.deploy.crds.cnpg import Cluster, Database, ObjectStore, ScheduledBackup
from tests.unit.deploy.crds.gateway import Gateway, HTTPRoute
from tests.unit.deploy.crds.keda import ScaledObject, TriggerAuthentication
from tests.unit.deploy.crds.parts import Resource
from tests.unit.deploy.crds.prometheus import PodMonitor, PrometheusRule
from tests.unit.deploy.crds.rabbitmq import RabbitmqCluster

_KINDS: tuple[type[Resource], ...] = (
    Cluster,
    Database,
    Gateway,
    HTTPRoute,
    ObjectStore,
    PodMonitor,
    PrometheusRule,
    RabbitmqCluster,
    ScaledObject,
    ScheduledBackup,
    TriggerAuthentication,
)
CUSTOM = {kind.__name__: kind for kind in _KINDS}
