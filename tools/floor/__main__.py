"""`python -m tools.floor` names what of the pages their oldest browsers do not know, and ends with 1 if any is."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from tools.floor import known, page, script, style

ROOT = Path(__file__).parents[2]
PORTAL = ROOT / "services" / "portal"
KINDS = (
    ("static", "*.js", script.breaches),
    ("static", "*.css", style.breaches),
    ("templates", "*.html", page.breaches),
)


def check(portal: Path) -> Iterator[str]:
    """Say what is not known, one line for each."""
    missing = known.read()
    for folder, pattern, breaches in KINDS:
        for path in sorted((portal / folder).rglob(pattern)):
            for line, what in breaches(path.read_text(), missing):
                yield f"{path.relative_to(portal)}:{line}: {what}"


def main() -> None:
    """Check the pages, or write anew what the browsers do not know."""
    parser = argparse.ArgumentParser(prog="python -m tools.floor", description=__doc__)
    parser.add_argument("--update", type=Path, metavar="DATA", help="data.json of @mdn/browser-compat-data")
    arguments = parser.parse_args()
    if arguments.update:
        known.write(json.loads(arguments.update.read_text()))
        return
    found = list(check(PORTAL))
    sys.stdout.writelines(f"{line}\n" for line in found)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
