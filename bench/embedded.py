"""`make run`: how long until it answers, what memory it takes, and what it does while nobody asks anything.

Counted are its process and those of its PostgreSQL. Memory is PSS, so that what they share counts once.
"""

import asyncio
import tempfile
import time
from functools import partial
from pathlib import Path

import httpx2

from bench.processor import Snapshot
from deploy.embedded.postgres import free_port
from tests.support.backing import Backing
from tests.support.processes import demo, ready
from tests.support.wait import until

# What a start leaves behind, such as statistics that PostgreSQL writes, must be over.
SETTLE = 10.0
IDLE = 60.0


async def embedded(_backing: Backing, rounds: int) -> None:
    """Start it anew and again, let it idle, and print."""
    with tempfile.TemporaryDirectory() as directory:
        for round_no in range(rounds + 1):
            port = free_port()
            started = time.perf_counter()
            with demo(Path(directory), port) as process:
                async with httpx2.AsyncClient(timeout=60, trust_env=False) as http:
                    base = f"http://127.0.0.1:{port}"
                    await until(partial(ready, http, base), what="the platform to be ready")
                    took = time.perf_counter() - started
                print(f"\n{'Cold' if round_no == 0 else 'Warm'} start: {took:.2f} s")
                if round_no == rounds:
                    await asyncio.sleep(SETTLE)
                    pid_file = Path(directory) / "var" / "postgres" / "cluster" / "postmaster.pid"
                    roots = process.popen.pid, int(pid_file.read_text().split()[0])
                    before = Snapshot().seconds(*roots)
                    await asyncio.sleep(IDLE)
                    now = Snapshot()
                    share = (now.seconds(*roots) - before) / IDLE
                    print(f"Idle: {share:.2%} of a core, {now.memory(*roots):.0f} MiB")
