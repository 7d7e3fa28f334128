"""The deployment's files as Python values."""

import re
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[3] / "deploy"
COMPOSE = DEPLOY / "compose"
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
_ACTION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}")
# What the gateway's templates ask for, as on a machine with the defaults.
_ANSWERS = {
    '(urlParse (env "S3_PUBLIC_URL")).hostname': "s3.localhost",
    'env "GATEWAY_RATE"': "100",
    'mul 10 (env "GATEWAY_RATE" | int)': "1000",
    'env "GATEWAY_PROXIES"': "0",
    'with env "GRAFANA_URL"': "",
    "(urlParse .).hostname": "grafana.localhost",
    "end": "",
    '(urlParse (env "PUBLIC_URL")).host | splitList ":" | rest | join ""': "",
}


def load(path: Path) -> Any:
    """YAML with compose's variables at their defaults."""
    text = _VARIABLE.sub(lambda match: match[2] or "", path.read_text())
    return yaml.safe_load(text.replace("$$", "$"))


def compose() -> dict[str, Any]:
    """compose.yaml as `docker compose config` would give it: with what it extends."""
    project: dict[str, Any] = load(COMPOSE / "compose.yaml")
    for service in project["services"].values():
        if extends := service.pop("extends", None):
            base = load(COMPOSE / extends["file"])["services"][extends["service"]]
            service |= {**base, **service}
    return project


def gateway(name: str) -> dict[str, Any]:
    """A file of the gateway's dynamic configuration, rendered. KeyError for an action that nobody answers here."""
    text = _ACTION.sub(lambda match: _ANSWERS[match[1]], (DEPLOY / "gateway" / name).read_text())
    configuration: dict[str, Any] = yaml.safe_load(text)
    return configuration
