"""What can be refused before PostgreSQL starts and before any service is imported."""

import os
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from deploy.embedded.secrets import load_secrets
from services.certnumber.settings import CertnumberSettings
from services.enterprise.settings import EnterpriseSettings
from services.renewal.settings import RenewalSettings
from services.review.settings import ReviewSettings
from shared.runtime.settings import Settings, explained_settings

SETTINGS: dict[str, type[Settings]] = {
    "enterprise": EnterpriseSettings,
    "renewal": RenewalSettings,
    "review": ReviewSettings,
    "certnumber": CertnumberSettings,
}
ISSUERS = ("enterprise", "review")
INTERNAL = "http://embedded"
_TRUTH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


class Refused(Exception):
    """The message says, on one line, what the operator has to change."""


@dataclass(frozen=True)
class Options:
    """`var` exists and is writable; `demo` fits what it holds."""

    var: Path
    host: str
    port: int
    demo: bool


def read_options(environment: Mapping[str, str]) -> Options:
    """Read PORT, HOST, VAR and GANZHENG_DEMO. Raises Refused."""
    port = environment.get("PORT", "8000")
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise Refused(f"PORT={port}: must be a number from 1 to 65535")
    demo = _TRUTH.get(environment.get("GANZHENG_DEMO", "true").lower())
    if demo is None:
        raise Refused("GANZHENG_DEMO must be true or false")
    var = Path(environment.get("VAR", "var")).resolve()
    _check_directory(var)
    _check_contents(var, demo=demo)
    return Options(var, environment.get("HOST", "127.0.0.1"), int(port), demo)


def _check_directory(var: Path) -> None:
    try:
        var.mkdir(parents=True, exist_ok=True)
        # Permissions do not tell: root has all of them on a file system that cannot be written.
        tempfile.TemporaryFile(dir=var).close()
    except OSError as error:
        raise Refused(f"VAR={var}: cannot be used as data directory: {error.strerror}") from None


def _check_contents(var: Path, *, demo: bool) -> None:
    has_secrets, has_data = (var / "secrets.json").exists(), _has_data(var)
    if has_secrets and not demo:
        raise Refused(f"VAR={var}: holds a demo, whose reviewer has a published password; choose another VAR")
    if has_data and not has_secrets and demo:
        raise Refused(
            f"VAR={var}: holds data but no secrets.json; new keys could not read it. Restore the file, choose another"
            " VAR or, if it never was a demo, set GANZHENG_DEMO=false"
        )


def _has_data(var: Path) -> bool:
    return (var / "postgres" / "cluster").exists()


def check_data(var: Path) -> None:
    """Refuse, by Refused, a directory that holds no data to treat."""
    if not _has_data(var):
        raise Refused(f"VAR={var}: holds no data")


def check_address(host: str, port: int) -> None:
    """Refuse, by Refused, an address that nothing can listen on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except socket.gaierror:
        raise Refused(f"HOST={host}: no such host") from None
    except UnicodeError:
        raise Refused(f"HOST={host}: not a host's name") from None
    except OSError as error:
        raise Refused(f"cannot listen on HOST={host} PORT={port}: {os.strerror(error.errno or 0)}") from None


def service_settings(
    urls: Mapping[str, str], var: Path, *, demo: bool, overrides: Mapping[str, Any] | None = None
) -> dict[str, Settings]:
    """Make each service's settings.

    Outside demo mode secrets come from the environment only; in it they are made at the first start.

    Raises pydantic.ValidationError when a secret is missing or a default one.
    """
    common: dict[str, Any] = {
        "demo": demo,
        "jwks_urls": {issuer: f"{INTERNAL}/api/{issuer}/v1/.well-known/jwks.json" for issuer in ISSUERS},
        **(load_secrets(var / "secrets.json") if demo else {}),
        **(overrides or {}),
    }
    own: dict[str, dict[str, Any]] = {"renewal": {"store_directory": var / "images"}}
    return {
        name: kind(database_url=SecretStr(urls[name]), **common, **own.get(name, {})) for name, kind in SETTINGS.items()
    }


def check_settings(options: Options) -> None:
    """End the process with a line for each bad setting. The databases' addresses are not known yet."""
    with explained_settings():
        service_settings(dict.fromkeys(SETTINGS, "postgresql+psycopg://"), options.var, demo=options.demo)
