"""`make backup TO=DIRECTORY`: everything that a machine needs to take over, but the secrets.

    DIRECTORY/2026-11-22T03-00-00Z/renewal.dump …    one per database, `pg_dump -Fc`
    DIRECTORY/2026-11-22T03-00-00Z/manifest.json     their SHA-256, versions, and which keys open them
    DIRECTORY/pictures/…, DIRECTORY/pictures.sha256  all backups' pictures: one never changes, so each is fetched once

Services learn from each other by events, and from tokens. While no event travels, any moment of one database fits any
moment of another: what one has decided and not yet said is a row of its outbox, in its dump. So no queue may hold an
event, and no relay or consumer run, while the dumps are made. For the queues to run dry the APIs are away for a moment;
then they serve again, and only events wait until the dumps are done. Of the tokens' issuers the dumps are made last:
nobody may be known to another service and not to the one that let them in.
"""

import argparse
import json
import sys
import tarfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from subprocess import PIPE

from deploy.compose.installation import APIS, SERVICES, WORKERS, Installation, OperationFailed, digest

PATIENCE = 180.0


def back_up(installation: Installation, to: Path) -> Path:
    """Back up into a new directory under `to`, and return it.

    Raises OperationFailed; what was stopped runs again in any case.
    """
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    unfinished = to / f".{moment}"
    # Asked first: what cannot even be read leaves no directory behind.
    _ = installation.config
    unfinished.mkdir(parents=True)
    dead = dump(installation, unfinished)
    fetched = fetch_pictures(installation, to)
    manifest = {
        "made_at": moment,
        "image": installation.image(),
        "keys": installation.key_prints(),
        "dead_letters": dead,
        "sha256": {file.name: digest(file) for file in sorted(unfinished.iterdir())},
    }
    (unfinished / "manifest.json").write_text(json.dumps(manifest, indent=1))
    say(f"{fetched} new pictures")
    return unfinished.rename(to / moment)


def dump(installation: Installation, directory: Path, patience: float = PATIENCE) -> dict[str, int]:
    """Dump every database into `directory`; returns the dead letters by queue, which are not in the dumps.

    Raises OperationFailed, also when events keep travelling for `patience` seconds.
    """
    began = time.monotonic()
    try:
        installation.run("stop", *APIS)
        dead = settle(installation, patience)
        installation.run("start", *APIS)
        say(f"APIs were away for {time.monotonic() - began:.0f} s; no event is under way")
        for service in SERVICES:
            with (directory / f"{service}.dump").open("wb") as file:
                installation.run(
                    "exec", "--no-TTY", "postgres", "pg_dump", "-U", "postgres", "-Fc", service, stdout=file
                )
    finally:
        installation.run("start", *WORKERS, *APIS)
    say(f"{len(SERVICES)} databases dumped; events waited for {time.monotonic() - began:.0f} s")
    return dead


def settle(installation: Installation, patience: float = PATIENCE) -> dict[str, int]:
    """Stop the workers at a moment when no event travels; returns the dead letters."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        installation.run("stop", *WORKERS)
        # Twice, because an event on its way from a delay queue back to its own is in neither for an instant.
        depths = installation.depths()
        if not travelling(depths) and not travelling(installation.depths()):
            return {queue: states["dead"] for queue, states in depths.items() if states["dead"]}
        installation.run("start", *WORKERS)
    raise OperationFailed(f"no backup, because events keep travelling: {travelling(installation.depths())}")


def travelling(depths: dict[str, dict[str, int]]) -> dict[str, int]:
    """Count, by queue, the events that wait for a consumer now or later."""
    waiting = {queue: states["ready"] + states["retry"] for queue, states in depths.items()}
    return {queue: number for queue, number in waiting.items() if number}


def fetch_pictures(installation: Installation, to: Path) -> int:
    """Fetch the pictures that `to` does not have yet, by the digests written down there; returns how many."""
    digests = to / "pictures.sha256"
    known = [line.partition("  pictures/")[2] for line in digests.read_text().splitlines()] if digests.exists() else []
    export = ("exec", "--no-TTY", "renewal-worker", "python", "-m", "services.renewal", "pictures", "export")
    fetched = 0
    with installation.piped(*export, stdout=PIPE) as (stdin, stdout), digests.open("a") as written:
        stdin.write("\n".join(known).encode())
        stdin.close()
        # A stream that ends too soon is one whose sender failed, and that is said.
        with suppress(tarfile.ReadError), tarfile.open(fileobj=stdout, mode="r|") as archive:
            for member in archive:
                archive.extract(member, to / "pictures", filter="data")
                written.write(f"{digest(to / 'pictures' / member.name)}  pictures/{member.name}\n")
                fetched += 1
    return fetched


def say(what: str) -> None:
    print(what, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.compose.backup", description="Back up the installation.")
    parser.add_argument("to", type=Path)
    to = parser.parse_args().to.resolve()
    try:
        made = back_up(Installation(), to)
    except OperationFailed as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    manifest = json.loads((made / "manifest.json").read_text())
    if manifest["dead_letters"]:
        say(f"NOT in this backup are dead letters; treat them and back up again: {manifest['dead_letters']}")
    say(f"{made}\nIt is worthless without deploy/compose/secrets, which is not in it and belongs elsewhere.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
