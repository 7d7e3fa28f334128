"""Write docs/asyncapi.json from the topology table and the contracts, or `--check` that it is not stale."""

import sys
from pathlib import Path

from shared.contracts.topology import PRODUCERS, QUEUES
from shared.messaging.asyncapi import render

DOCUMENT = Path(__file__).parent.parent / "docs" / "asyncapi.json"


def main() -> int:
    """Write the document, or return 1 when `--check` finds it stale."""
    text = render(PRODUCERS, QUEUES)
    if "--check" not in sys.argv:
        DOCUMENT.write_text(text)
        return 0
    if DOCUMENT.read_text() == text:
        return 0
    sys.stderr.write("docs/asyncapi.json is stale: run `make asyncapi`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
