"""Secrets of a demo: made at its first start, kept in its data directory, readable by its owner only."""

import base64
import json
import secrets
from pathlib import Path


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def load_secrets(path: Path) -> dict[str, str]:
    """Settings fields and their values; made if the file does not exist."""
    if not path.exists():
        values = {"data_keys": f"k1:{_key()}", "index_key": _key(), "signing_keys": f"s1:{_key()}"}
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.touch(mode=0o600)
        partial.write_text(json.dumps(values, indent=1))
        partial.replace(path)
    loaded: dict[str, str] = json.loads(path.read_text())
    return loaded
