"""What the processes hold on to: memory, connections, messages. What grows without end shows in a long run."""

from collections import Counter
from contextlib import suppress
from pathlib import Path

import psycopg

from tests.support.stack import Stack

CONNECTIONS = """
    SELECT datname, count(*) FROM pg_stat_activity WHERE datname IS NOT NULL AND pid <> pg_backend_pid() GROUP BY 1
"""


def memory(stack: Stack) -> dict[str, tuple[int, float]]:
    """By process, its id and the MiB that it and its children have in memory."""
    groups: Counter[int] = Counter()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError, ValueError):
            fields = status.read_text().rpartition(")")[2].split()
            groups[int(fields[2])] += int(fields[21])
    return {
        name: (process.popen.pid, groups[process.popen.pid] * 4096 / 1024**2)
        for name, process in stack.processes.running.items()
    }


def connections(stack: Stack) -> dict[str, int]:
    """By service, those that its database counts."""
    names = {url.rpartition("/")[2]: service for service, url in stack.urls.items()}
    url = next(iter(stack.urls.values())).replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        return {names[name]: number for name, number in connection.execute(CONNECTIONS) if name in names}


def lines(stack: Stack, earlier: dict[str, tuple[int, float]], depths: dict[str, int]) -> list[str]:
    """A table of all of it, memory beside what it was `earlier`."""
    told = []
    for name, (pid, now) in sorted(memory(stack).items()):
        before = earlier.get(name)
        compared = f"{before[1]:6.0f} ->" if before and before[0] == pid else "started anew"
        told.append(f"  {name:18} {compared:>12} {now:6.0f} MiB")
    told += [f"  {service:18} {number} connections" for service, number in sorted(connections(stack).items())]
    waiting = {queue: number for queue, number in depths.items() if number}
    return [*told, f"  messages in queues: {waiting or 'none'}"]
