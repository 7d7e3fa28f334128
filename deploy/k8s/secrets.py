"""Kubernetes Secrets out of the files that `make secrets` makes, on standard output:

    python -m deploy.k8s.secrets production | kubectl apply --server-side -f -

`--server-side`, because otherwise kubectl would keep a second copy of each in an annotation. Values come from the files
only, so a key is rotated there. What this does not make is the certificate: a Secret of type kubernetes.io/tls named
gateway-tls.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deploy.compose.make_secrets import DIRECTORY, ISSUERS, SERVICES

NAMESPACE = "ganzheng"
TLS = "gateway-tls"
SHARED = {"ganzheng_data_keys": "data_keys", "ganzheng_index_key": "index_key"}
# Mounted at GANZHENG_SECRETS_DIR, so a key is a setting's name; its value is the file's.
COMMON: dict[str, dict[str, str]] = {}
for _service in SERVICES:
    _signing = {"ganzheng_signing_keys": f"{_service}_signing_keys"} if _service in ISSUERS else {}
    COMMON[_service] = {
        **SHARED,
        **_signing,
        "ganzheng_database_url": f"{_service}_database_url",
        "ganzheng_broker_url": f"{_service}_broker_url",
    }
    COMMON[f"{_service}-owner"] = {**SHARED, **_signing, "ganzheng_database_url": f"{_service}_owner_database_url"}
COMMON["renewal"] |= {"ganzheng_s3_access_key": "s3_access_key", "ganzheng_s3_secret_key": "s3_secret_key"}
COMMON["certnumber"] |= {"ganzheng_celery_broker_url": "celery_broker_url"}
COMMON["rabbitmq-definitions"] = {"rabbitmq_definitions.json": "rabbitmq_definitions.json"}

ROLES = tuple(role for service in SERVICES for role in (service, f"{service}_owner"))
STORE_ROOT = ("s3_root_user", "s3_root_password")
SINGLE_NODE = {
    "postgres": {name: name for name in ("postgres_password", *(f"{role}_db_password" for role in ROLES))},
    "store-root": {name: name for name in STORE_ROOT},
    "store-setup": {name: name for name in (*STORE_ROOT, "s3_access_key", "s3_secret_key")},
}
# The files of these two are the operator's: the account that may write backups.
BACKUP = {"backup-store": {"access_key": "backup_s3_access_key", "secret_key": "backup_s3_secret_key"}}
# Secret -> file; KEDA is in another namespace and needs the broker's whole name.
QUEUES = {f"{service}-queues": f"{service}_broker_url" for service in ("renewal", "review", "certnumber")} | {
    "certnumber-celery-queues": "celery_broker_url"
}
OVERLAYS = ("single-node", "production")


def role_secret(role: str) -> str:
    """Name the Secret that holds a database role's password."""
    return f"postgres-{role.replace('_', '-')}"


def names(overlay: str) -> set[str]:
    """Name every Secret that an overlay refers to and somebody has to make."""
    own = set(SINGLE_NODE) if overlay == "single-node" else {*BACKUP, *QUEUES, *map(role_secret, ROLES)}
    return {*COMMON, *own, TLS}


def secrets(overlay: str, directory: Path) -> Iterator[dict[str, Any]]:
    """Build the manifests. Raises FileNotFoundError for a secret that nobody has made."""

    def value(file: str) -> str:
        return (directory / file).read_text()

    tables = COMMON | (SINGLE_NODE if overlay == "single-node" else BACKUP)
    for name, files in tables.items():
        yield _secret(name, {key: value(file) for key, file in files.items()})
    if overlay == "production":
        for name, file in QUEUES.items():
            yield _secret(name, {"host": value(file).replace("@rabbitmq:", f"@rabbitmq.{NAMESPACE}.svc:")})
        for role in ROLES:
            yield _secret(
                role_secret(role),
                {"username": role, "password": value(f"{role}_db_password")},
                kind="kubernetes.io/basic-auth",
                # CloudNativePG changes the role's password when this changes.
                labels={"cnpg.io/reload": "true"},
            )


def _secret(
    name: str, data: Mapping[str, str], *, kind: str = "Opaque", labels: Mapping[str, str] | None = None
) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": NAMESPACE,
        "labels": {"app.kubernetes.io/part-of": NAMESPACE, **(labels or {})},
    }
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "stringData": dict(data)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.k8s.secrets")
    parser.add_argument("overlay", choices=OVERLAYS)
    parser.add_argument("directory", nargs="?", type=Path, default=DIRECTORY)
    arguments = parser.parse_args()
    items = list(secrets(arguments.overlay, arguments.directory))
    print(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=1))


if __name__ == "__main__":
    main()
