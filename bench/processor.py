"""Processor time and memory of processes and all that they have started: what a shared machine's rates cannot tell."""

import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import psycopg

POSTMASTER = r"SELECT split_part(pg_read_file('postmaster.pid'), E'\n', 1)::int"


@dataclass(frozen=True)
class Process:
    parent: int
    program: str
    seconds: float


class Snapshot:
    """All processes of this machine as they are now; `seconds` are of each and of its children that have ended."""

    def __init__(self) -> None:
        self.processes = dict(_read())

    @cached_property
    def _children(self) -> dict[int, list[int]]:
        children: dict[int, list[int]] = {}
        for pid, process in self.processes.items():
            children.setdefault(process.parent, []).append(pid)
        return children

    def seconds(self, *roots: int) -> float:
        """Add up what these processes took, and all below them."""
        total = 0.0
        for root in roots:
            own = self.processes[root].seconds if root in self.processes else 0.0
            total += own + self.seconds(*self._children.get(root, ()))
        return total

    def memory(self, *roots: int) -> float:
        """Add up the MiB of these processes and all below them; what they share counts once (PSS)."""
        return sum(_memory(root) + self.memory(*self._children.get(root, ())) for root in roots)

    def below(self, root: int, program: str) -> list[int]:
        """Find the topmost processes of this program that `root` has started, directly or not."""
        found = []
        for pid in self._children.get(root, ()):
            named = self.processes[pid].program == program
            found += [pid] if named else self.below(pid, program)
        return found


def _memory(pid: int) -> float:
    try:
        found = re.search(r"^Pss: +(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    except OSError:  # it has just ended
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def _read() -> list[tuple[int, Process]]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            program, _, rest = path.read_text().partition("(")[2].rpartition(")")
        except OSError:  # it has just ended
            continue
        fields = rest.split()
        ticks = sum(map(int, fields[11:15]))
        found.append((int(path.parent.name), Process(int(fields[1]), program, ticks / os.sysconf("SC_CLK_TCK"))))
    return found


def postmaster(connection: psycopg.Connection) -> int:
    """Give the process id of a server on this machine."""
    (pid,) = connection.execute(POSTMASTER).fetchone() or (0,)
    return int(pid)
