"""`make mutants`: how many small faults in the pure rules and in the backbone the tests notice.

mutmut makes the faults (its settings are in pyproject.toml), each of which the tests that reach it must notice. A file
whose tests notice less than 90 % fails the run, and so does a fault that goes unnoticed and is not in docs/mutants.md
with the reason why it may. A private PostgreSQL serves all of them. It takes tens of minutes, and is no part of
`make test`.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.embedded.postgres import EmbeddedPostgres

ROOT = Path(__file__).parents[1]
WORK = ROOT / "mutants"
LIST = ROOT / "docs" / "mutants.md"
LEAST = 0.9
# Seconds for what a fault may keep from ever happening; without faults the same tests have to do with them.
PATIENCE = 20
NOTICED = {"killed", "timeout", "segfault"}
UNTESTED = {"not checked", "check was interrupted by user"}
_ENTRY = re.compile(r"^### `([^`]+)`\n+```diff\n(.*?)```\n+(.*?)(?=^#|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Survivor:
    """A fault that no test has noticed: `path:function`, and the lines that it takes away and puts in."""

    place: str
    change: str

    def __str__(self) -> str:
        return f"### `{self.place}`\n\n```diff\n{self.change}\n```\n"


@dataclass(frozen=True)
class Score:
    """What the tests have noticed of one file's faults."""

    path: str
    faults: int
    survivors: tuple[Survivor, ...]
    untested: int = 0

    @property
    def noticed(self) -> float:
        return 1 - len(self.survivors) / self.faults


def reasons(text: str) -> dict[Survivor, str]:
    """Read the listed survivors and why they may survive."""
    return {Survivor(place, change.rstrip("\n")): reason.strip() for place, change, reason in _ENTRY.findall(text)}


def changed_lines(diff: str) -> str:
    """The removed and added lines of a unified diff, without their indentation."""
    lines = [line for line in diff.splitlines() if line[:1] in "+-" and not line.startswith(("+++", "---"))]
    return "\n".join(f"{line[0]} {line[1:].strip()}" for line in lines)


def function_of(mutant: str) -> str:
    """`shared.messaging.relay.xǁRelayǁ_claim__mutmut_7` -> `Relay._claim`."""
    name = mutant.rpartition(".")[2].rpartition("__mutmut_")[0]
    return name.removeprefix("x_") if name.startswith("x_") else name.removeprefix("xǁ").replace("ǁ", ".")


def scores() -> Iterator[Score]:
    """Read what mutmut has left in WORK, which is beside the present directory."""
    from mutmut.mutation.data import SourceFileMutationData
    from mutmut.mutation.diff_apply import get_diff_for_mutant
    from mutmut.stats import status_by_exit_code

    for meta in sorted(WORK.rglob("*.py.meta")):
        path = meta.relative_to(WORK).with_suffix("")
        data = SourceFileMutationData(path=path)
        data.load()
        statuses = {key: status_by_exit_code[code] for key, code in data.exit_code_by_key.items()}
        if statuses:
            survivors = [
                Survivor(f"{path}:{function_of(key)}", changed_lines(get_diff_for_mutant(key)))
                for key, status in statuses.items()
                if status not in NOTICED | UNTESTED
            ]
            untested = sum(status in UNTESTED for status in statuses.values())
            yield Score(str(path), len(statuses), tuple(survivors), untested)


def judge(found: Sequence[Score], listed: Mapping[Survivor, str]) -> list[str]:
    """Say what is wrong: too low a score, a survivor that is not listed or has no reason, one that is no more."""
    if not found:
        return ["no faults were made"]
    wrong = [f"{score.path}: only {score.noticed:.1%} noticed" for score in found if score.noticed < LEAST]
    wrong += [f"{score.path}: {score.untested} faults were not tested" for score in found if score.untested]
    survivors = {survivor for score in found for survivor in score.survivors}
    for what, which in (
        ("not listed", survivors - set(listed)),
        ("without a reason", {survivor for survivor in survivors if listed.get(survivor) == ""}),
        ("listed, and noticed now", set(listed) - survivors),
    ):
        wrong += [f"{what}:\n\n{survivor}" for survivor in sorted(which, key=str)]
    return wrong


def run(jobs: int) -> int:
    """Make the faults and test each, from scratch; the exit status of mutmut."""
    shutil.rmtree(WORK, ignore_errors=True)
    command = [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", str(jobs)]
    with TemporaryDirectory() as directory, EmbeddedPostgres(Path(directory) / "postgres") as postgres:
        environment = {
            **os.environ,
            "BACKING": "env",
            "TEST_POSTGRES_URL": postgres.url("postgres"),
            "TEST_PATIENCE": str(PATIENCE),
        }
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode  # noqa: S603


def main() -> int:
    """Run, print each file's score, and return 1 when something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutants", description=__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--again", action="store_true", help="only read what the last run has left in mutants/")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    if not arguments.again and (status := run(arguments.jobs)):
        return status
    found = list(scores())
    print("\nMutants (faults made, noticed by the tests)")
    for score in found:
        noticed = score.faults - len(score.survivors)
        print(f"  {score.path:34} {score.faults:6,} {noticed:6,}   {score.noticed:6.1%}")
    wrong = judge(found, reasons(LIST.read_text()))
    print("\n" + ("\n".join(wrong) or f"{sum(len(score.survivors) for score in found)} survive, each with its reason"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
