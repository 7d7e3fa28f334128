"""`make bench [ROUNDS=3] [ONLY=backbone,numbering,chain,listing,pages,submission,overload,uploads,importing,embedded]`.

What is printed is kept in docs/performance.md.
"""

import argparse
import asyncio
import io
import sys
from contextlib import redirect_stdout
from datetime import UTC, datetime
from typing import TextIO

from bench.backbone import backbone
from bench.chain import chain
from bench.embedded import embedded
from bench.importing import importing
from bench.listing import listing
from bench.numbering import numbering
from bench.overload import overload
from bench.page import PAGE, keep
from bench.pages import pages
from bench.submission import submission
from bench.uploads import uploads
from shared.observability.telemetry import configure_logging
from tests.support.backing import Backing, choose

BENCHES = {
    "backbone": backbone,
    "numbering": numbering,
    "chain": chain,
    "listing": listing,
    "pages": pages,
    "submission": submission,
    "overload": overload,
    "uploads": uploads,
    "importing": importing,
    "embedded": embedded,
}


class _Both(io.StringIO):
    """Keeps what is written, and shows it on `shown`."""

    def __init__(self, shown: TextIO) -> None:
        super().__init__()
        self._shown = shown

    def write(self, text: str) -> int:
        self._shown.write(text)
        self._shown.flush()
        return super().write(text)


async def _main(names: list[str], rounds: int) -> None:
    backing = Backing(choose())
    try:
        for name in names:
            with redirect_stdout(_Both(sys.stdout)) as printed:
                await BENCHES[name](backing, rounds)
            today = datetime.now(UTC).date()
            PAGE.write_text(keep(PAGE.read_text(), list(BENCHES), name, printed.getvalue(), today, rounds))
    finally:
        backing.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(BENCHES), help=f"any of {', '.join(BENCHES)}")
    arguments = parser.parse_args()
    configure_logging("ERROR")
    asyncio.run(_main(arguments.only.split(","), arguments.rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
