"""`make restore FROM=DIRECTORY/2026-11-22T03-00-00Z`: a backup into an installation that holds nothing yet.

Refuses before it changes anything: a damaged backup, secrets that do not open it, a database that is not empty.
"""

import argparse
import io
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

from deploy.compose.backup import say, travelling
from deploy.compose.installation import SERVICES, Installation, OperationFailed, digest, once

BACKING = ("postgres", "rabbitmq", "minio")
TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"


def restore(installation: Installation, backup: Path) -> None:
    """Restore the backup in this directory, and prove what came of it. Raises OperationFailed."""
    manifest = json.loads((backup / "manifest.json").read_text())
    check(manifest, backup, installation.key_prints())
    say(f"backup of {manifest['made_at']}, image {manifest['image']}: complete, and the secrets open it")
    installation.run("up", "--detach", "--wait", *BACKING)
    refuse_unless_empty(installation)
    for service in SERVICES:
        target = ("exec", "--no-TTY", "postgres", "pg_restore", "-U", "postgres", "--single-transaction", "-d", service)
        with (backup / f"{service}.dump").open("rb") as dump:
            installation.run(*target, stdin=dump)
    say(f"{len(SERVICES)} databases restored")
    installation.run("run", "--rm", "--no-deps", "--no-TTY", "minio-setup")
    send_pictures(installation, backup.parent)
    installation.run("up", "--detach", "--wait")
    say("all services are ready")
    installation.run("exec", "--no-TTY", "renewal-api", "python", "-m", "services.renewal", "pictures", "check")
    installation.run("exec", "--no-TTY", "certnumber-api", "python", "-m", "services.certnumber", "prove")


def check(manifest: dict[str, Any], backup: Path, keys: dict[str, str]) -> None:
    """Refuse, by OperationFailed, unless the files are whole and these keys open them."""
    damaged = [name for name, sha256 in manifest["sha256"].items() if digest(backup / name) != sha256]
    if damaged:
        raise OperationFailed(f"damaged: {', '.join(damaged)}")
    missing = [name for name, fingerprint in manifest["keys"].items() if keys.get(name) != fingerprint]
    if missing:
        raise OperationFailed(f"the secrets are not this backup's, they lack: {', '.join(missing)}")


def refuse_unless_empty(installation: Installation) -> None:
    """Refuse, by OperationFailed, when a database has tables or a queue an event."""
    for service in SERVICES:
        query = ("exec", "--no-TTY", "postgres", "psql", "-U", "postgres", "-d", service, "-Atc", TABLES)
        if int(installation.output(*query)):
            raise OperationFailed(f"the database {service} is not empty; a backup goes into a new installation")
    if waiting := travelling(installation.depths()):
        raise OperationFailed(f"the broker holds events that the backup knows nothing of: {waiting}")


def send_pictures(installation: Installation, home: Path) -> None:
    """Give the pictures under `home` to the store. Raises OperationFailed for a damaged one."""
    with (
        installation.piped(*once("renewal-worker", "services.renewal", "pictures", "import")) as (stdin, _),
        tarfile.open(fileobj=stdin, mode="w|") as archive,
    ):
        for line in (home / "pictures.sha256").read_text().splitlines():
            sha256, _, name = line.partition("  ")
            if digest(home / name) != sha256:
                raise OperationFailed(f"damaged: {name}")
            data = (home / name).read_bytes()
            member = tarfile.TarInfo(name.removeprefix("pictures/"))
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.compose.restore", description="Restore a backup.")
    parser.add_argument("backup", type=Path)
    backup = parser.parse_args().backup.resolve()
    try:
        restore(Installation(), backup)
    except (OperationFailed, OSError) as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
