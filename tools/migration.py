"""`make migration SERVICE=renewal MESSAGE="what changes"`: the next migration of a service, from what its models say.

A private PostgreSQL is brought to the newest revision and compared with the models; the difference becomes
`services/SERVICE/migrations/versions/NNNN_what_changes.py`. It is a draft: read it, add what a comparison cannot know
(data that moves, an index that is built concurrently), and let `make test` prove that it makes what the models say.
The tables of shared/ are changed by a numbered function beside them, which each service's migration calls.
"""

import argparse
import logging
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import alembic.command
from alembic.config import Config
from alembic.script import ScriptDirectory

from deploy.embedded.postgres import EmbeddedPostgres
from shared.persistence.db import alembic_config, migrate

ROOT = Path(__file__).parents[1]
SERVICES = sorted(directory.parent.name for directory in ROOT.glob("services/*/migrations"))


def next_revision(config: Config, message: str) -> Path | None:
    """Write the next migration, and return its file; None when models and migrations agree.

    The database that `config` names has the newest revision.
    """
    head = ScriptDirectory.from_config(config).get_current_head()

    def refuse_empty(_context: Any, _revision: Any, directives: list[Any]) -> None:
        if directives[0].upgrade_ops.is_empty():
            directives.clear()

    written = alembic.command.revision(
        config,
        message,
        autogenerate=True,
        rev_id=f"{int(head or 0) + 1:04d}",
        process_revision_directives=refuse_empty,
    )
    if not written or isinstance(written, list):
        return None
    file = Path(written.path)
    _tidy(file)
    return file


def _tidy(file: Path) -> None:
    """Leave out Alembic's own comments and imports that nothing uses, and format."""
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if not line.strip().startswith("# ###")))
    for arguments in (("check", "--fix", "--select", "F401,I"), ("format",)):
        subprocess.run([sys.executable, "-m", "ruff", *arguments, "--quiet", file], cwd=ROOT, check=True)  # noqa: S603


def main() -> int:
    """Return 1 when there is nothing to write."""
    parser = argparse.ArgumentParser(prog="make migration", description=__doc__)
    parser.add_argument("service", choices=SERVICES, metavar=f"SERVICE={'|'.join(SERVICES)}")
    parser.add_argument("message", metavar="MESSAGE", help="what changes, in a few words")
    arguments = parser.parse_args()
    if not arguments.message.strip():
        parser.error('say what changes: MESSAGE="..."')
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    logging.getLogger("alembic.autogenerate").setLevel(logging.INFO)
    with TemporaryDirectory() as directory, EmbeddedPostgres(Path(directory) / "postgres") as postgres:
        url = postgres.create_database(arguments.service)
        migrate(arguments.service, url)
        config = alembic_config(arguments.service, url)
        config.cmd_opts = argparse.Namespace(quiet=True)
        file = next_revision(config, arguments.message)
    if file is None:
        sys.stderr.write(f"nothing to write: the models of {arguments.service} are what its migrations make\n")
        return 1
    sys.stdout.write(f"{file.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
