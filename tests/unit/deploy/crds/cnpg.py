"""CloudNativePG and its Barman plugin."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from tests.unit.deploy.crds.parts import KeyReference, Part, Quantity, Reference, Resource, Resources


class Volume(Part):
    size: Quantity


class Affinity(Part):
    enable_pod_anti_affinity: bool
    pod_anti_affinity_type: Literal["required", "preferred"]
    topology_key: str


class Synchronous(Part):
    method: Literal["any", "first"]
    number: int
    data_durability: Literal["required", "preferred"]


class Postgresql(Part):
    parameters: dict[str, str]
    synchronous: Synchronous


class Initdb(Part):
    encoding: str
    locale_c_type: Annotated[str, Field(alias="localeCType")]
    locale_collate: str
    data_checksums: bool


class Bootstrap(Part):
    initdb: Initdb


class Role(Part):
    name: str
    ensure: Literal["present", "absent"]
    login: bool
    password_secret: Reference


class ServiceTemplate(Part):
    metadata: Reference


class AdditionalService(Part):
    selector_type: Literal["rw", "r", "ro"]
    service_template: ServiceTemplate


class Services(Part):
    additional: list[AdditionalService]


class Managed(Part):
    roles: list[Role]
    services: Services


class Plugin(Part):
    name: str
    is_wal_archiver: Annotated[bool, Field(alias="isWALArchiver")]
    parameters: dict[str, str]


class ClusterSpec(Part):
    instances: int
    image_name: str
    storage: Volume
    wal_storage: Volume
    resources: Resources
    affinity: Affinity
    postgresql: Postgresql
    bootstrap: Bootstrap
    managed: Managed
    plugins: list[Plugin]


class Cluster(Resource):
    api_version: Literal["postgresql.cnpg.io/v1"]
    spec: ClusterSpec


class DatabaseSpec(Part):
    name: str
    owner: str
    cluster: Reference
    database_reclaim_policy: Literal["delete", "retain"]


class Database(Resource):
    api_version: Literal["postgresql.cnpg.io/v1"]
    spec: DatabaseSpec


class ScheduledBackupSpec(Part):
    schedule: Annotated[str, StringConstraints(pattern=r"^\S+( \S+){5}$")]
    immediate: bool
    backup_owner_reference: Literal["none", "self", "cluster"]
    cluster: Reference
    method: Literal["plugin", "barmanObjectStore", "volumeSnapshot"]
    plugin_configuration: Reference


class ScheduledBackup(Resource):
    api_version: Literal["postgresql.cnpg.io/v1"]
    spec: ScheduledBackupSpec


class S3Credentials(Part):
    access_key_id: KeyReference
    secret_access_key: KeyReference


class Compressed(Part):
    compression: Literal["gzip", "bzip2", "snappy", "lz4", "xz", "zstd"]


class StoreConfiguration(Part):
    destination_path: str
    endpoint_url: Annotated[str, Field(alias="endpointURL")]
    s3_credentials: Annotated[S3Credentials, Field(alias="s3Credentials")]
    wal: Compressed
    data: Compressed


class ObjectStoreSpec(Part):
    configuration: StoreConfiguration
    retention_policy: Annotated[str, StringConstraints(pattern=r"^[1-9]\d*[dwm]$")]


class ObjectStore(Resource):
    api_version: Literal["barmancloud.cnpg.io/v1"]
    spec: ObjectStoreSpec
