"""`make soak`: the whole stack as processes under load, with faults, and what of its promises was kept.

    make soak                  five minutes, another seed each time
    make soak MINUTES=60 SEED=4711
    make soak OPERATIONS=400   ends by work that was acknowledged, as the test of `make test` does

Prints each fault, how the load fared, what processes hold on to and the verdict; var/soak/SEED has all logs and the
history. Exit status 1 if a promise was broken. A seed has the same faults and the same people again, each fault after
as much work as before; what else happens at that moment is the machine's.
"""

import argparse
import asyncio
import shutil
import signal
import sys

from tests.soak.run import new_seed, soak
from tests.support.backing import Backing, choose
from tests.support.processes import ROOT


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--operations", type=int)
    parser.add_argument("--seed", type=int)
    arguments = parser.parse_args()
    seed = new_seed() if arguments.seed is None else arguments.seed
    # A terminated run must stop what it started, as one ended by Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    directory = ROOT / "var" / "soak" / str(seed)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    end = {"operations": arguments.operations} if arguments.operations else {"minutes": arguments.minutes}
    ((unit, number),) = end.items()
    say(f"seed {seed}, {number:g} {unit}; logs and history in {directory.relative_to(ROOT)}")
    backing = Backing(choose())
    try:
        backing.start({"postgres", "rabbitmq", "s3"})
        parts = backing.postgres, backing.rabbitmq, backing.s3
        verdict = asyncio.run(soak(*parts, directory, seed=seed, say=say, **end))
    finally:
        backing.close()
    say(f"{'kept' if verdict else 'BROKEN'}: {verdict} (SEED={seed})")
    return 0 if verdict else 1


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
