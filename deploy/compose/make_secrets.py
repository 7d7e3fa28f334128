"""Make the secrets of a compose installation: `python -m deploy.compose.make_secrets [DIRECTORY]`.

One file each, made if missing and never changed. Only RabbitMQ's definitions are written anew, from the passwords and
the topology of this version. The directory is closed to everybody but its owner; the files in it are readable, because
the processes in the containers, to each of which compose shows only its own files, are other users.
"""

import argparse
import json
import secrets
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from deploy.compose.definitions import CELERY_USER, CELERY_VHOST, VHOST, definitions
from shared.runtime.settings import new_key

SERVICES = ("enterprise", "renewal", "review", "certnumber")
ISSUERS = ("enterprise", "review")
DIRECTORY = Path(__file__).parent / "secrets"
S3_ACCESS_KEY = "ganzheng-renewal"


class Emptied(Exception):
    """A secret's file is there and holds nothing. What it held may be all that opens the data."""


class SecretFiles:
    """A directory of secrets; `made` names those that were not there."""

    def __init__(self, directory: Path) -> None:
        self.made: list[str] = []
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)

    def keep(self, name: str, make: Callable[[], str]) -> str:
        """Return the secret's value, which is `make()` if there was none. Raises Emptied."""
        path = self._directory / name
        if not path.exists():
            self.write(name, make())
            self.made.append(name)
        value = path.read_text()
        if not value.strip():
            raise Emptied(f"{path} is empty: put your copy of it back (a new one would not open the data)")
        return value

    def write(self, name: str, value: str) -> None:
        """Replace the secret's file, whole or not at all."""
        new = self._directory / f".{name}.new"
        new.unlink(missing_ok=True)
        new.write_text(value)
        new.chmod(0o444)
        new.replace(self._directory / name)


def _password() -> str:
    return secrets.token_urlsafe(24)


def make(directory: Path) -> list[str]:
    """Make the secrets that are missing, and return their names. Raises Emptied."""
    files = SecretFiles(directory)
    files.keep("data_keys", lambda: f"k1:{new_key()}")
    files.keep("index_key", new_key)
    for issuer in ISSUERS:
        files.keep(f"{issuer}_signing_keys", lambda: f"s1:{new_key()}")
    files.keep("postgres_password", _password)
    broker_passwords = {}
    for service in SERVICES:
        for user in (service, f"{service}_owner"):
            password = files.keep(f"{user}_db_password", _password)
            url = f"postgresql+psycopg://{user}:{password}@postgres:5432/{service}"
            files.keep(f"{user}_database_url", partial(str, url))
        password = broker_passwords[service] = files.keep(f"{service}_broker_password", _password)
        files.keep(f"{service}_broker_url", partial(str, f"amqp://{service}:{password}@rabbitmq:5672/{VHOST}"))
    celery = f"amqp://{CELERY_USER}:{broker_passwords[CELERY_USER]}@rabbitmq:5672/{CELERY_VHOST}"
    files.keep("celery_broker_url", partial(str, celery))
    files.write("rabbitmq_definitions.json", json.dumps(definitions(broker_passwords), indent=1))
    files.keep("s3_root_user", lambda: f"root-{secrets.token_hex(4)}")
    files.keep("s3_root_password", _password)
    files.keep("s3_access_key", lambda: S3_ACCESS_KEY)
    files.keep("s3_secret_key", _password)
    files.keep("grafana_password", _password)
    return files.made


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.compose.make_secrets", description=__doc__)
    parser.add_argument("directory", nargs="?", type=Path, default=DIRECTORY)
    directory = parser.parse_args().directory
    try:
        made = make(directory)
    except Emptied as error:
        sys.exit(str(error))
    print(f"{directory}:", f"made {', '.join(made)}" if made else "all there, nothing changed")


if __name__ == "__main__":
    main()
