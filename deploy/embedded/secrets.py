"""Secrets of a demo: made at its first start, kept in its data directory, readable by its owner only."""

import json
import os
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from shared.runtime.settings import new_key


def load_secrets(path: Path) -> dict[str, str]:
    """Return settings fields and their values, made if the file does not exist."""
    if not path.exists():
        values = {"data_keys": f"k1:{new_key()}", "index_key": new_key(), "signing_keys": f"s1:{new_key()}"}
        path.parent.mkdir(parents=True, exist_ok=True)
        # Whole or not there, and never over the keys that another first start has made at the same time.
        with NamedTemporaryFile("w", dir=path.parent) as whole, suppress(FileExistsError):
            whole.write(json.dumps(values, indent=1))
            whole.flush()
            os.fsync(whole.fileno())
            os.link(whole.name, path)
    loaded: dict[str, str] = json.loads(path.read_text())
    return loaded
