"""`make year [SEED=1] [SEEDS=1] [APPLICATIONS=20000] [HISTORY=file]`: a simulated year, or one for each of some seeds.

Ends with 1 if anything does not hold. The same seed and number of applications is the same year again
(PYTHONHASHSEED=0: the order of a set of texts is chance too).
"""

import argparse
import asyncio
import sys
from contextlib import ExitStack
from pathlib import Path

from shared.observability.telemetry import configure_logging
from tests.simulation.year import simulate
from tests.support.backing import Backing, choose


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1, help="so many, beginning with SEED")
    parser.add_argument("--applications", type=int, default=20_000)
    parser.add_argument("--history", type=Path, help="where to write all that was published and handed over")
    arguments = parser.parse_args()
    configure_logging("CRITICAL")
    violated = False
    backing = Backing(choose())
    try:
        for seed in range(arguments.seed, arguments.seed + arguments.seeds):
            with ExitStack() as stack:
                log = stack.enter_context(arguments.history.open("w")) if arguments.history else None
                report = asyncio.run(simulate(backing.postgres, seed, arguments.applications, log))
            sys.stdout.write(f"{report}\n")
            sys.stdout.flush()
            violated = violated or bool(report.violation)
    finally:
        backing.close()
    return int(violated)


if __name__ == "__main__":
    sys.exit(main())
