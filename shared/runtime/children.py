"""Runs what is hostile or heavy in child processes: one for each call, with limits of its own, and gone after it.

What a child allocates is given back when it ends; one that is killed takes only its own call along.
"""

import multiprocessing
import resource
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar, cast

import anyio
import anyio.to_thread

from shared.runtime.admission import Admission

T = TypeVar("T")

# What a child takes beyond what it works on: its interpreter, its libraries, its arguments and its answer, in bytes.
OWN_MEMORY = 64 * 1024 * 1024
# The bookkeeping of multiprocessing, which reads and closes what other threads wait for.
_bookkeeping = Lock()


class ChildDied(Exception):
    """A child was killed, or did not end in time: its call may be tried again."""


class ChildOverspent(Exception):
    """A child used more processor time than a call may: trying again is of no use."""


@dataclass(frozen=True)
class Spending:
    """Limits of one call: seconds of processor time, and seconds on the clock after which something is wrong."""

    processor: int = 30
    clock: float = 120.0


@dataclass(frozen=True)
class Children:
    """Child processes, as many at once as `room` lets in by the bytes they take.

    They begin as copies of a process that has imported `preload`, which is started at the first call.
    """

    room: Admission
    preload: Sequence[str] = ()
    spending: Spending = Spending()

    async def run(self, function: Callable[..., T], *arguments: Any, memory: int) -> T:
        """Call an importable function with what can be pickled, and give its answer or raise its exception.

        `memory` is what it may allocate, in bytes; beyond it allocations fail there. Raises ChildDied, ChildOverspent,
        and what `room` raises.
        """
        async with self.room.enter(memory + OWN_MEMORY):
            child = _Child(partial(_work, function, arguments, memory, self.spending.processor), self.preload)
            try:
                # A thread per child, which only waits; how many there are is the room's matter.
                limiter = anyio.CapacityLimiter(1)
                succeeded, outcome = await anyio.to_thread.run_sync(
                    child.wait, self.spending.clock, abandon_on_cancel=True, limiter=limiter
                )
            finally:
                child.kill()
        if not succeeded:
            raise outcome
        return cast(T, outcome)


class _Child:
    """One call: waited for on a thread, and killed from another one where nobody wants its answer any more."""

    def __init__(self, work: Callable[[Connection], None], preload: Sequence[str]) -> None:
        self._work = work
        self._preload = preload
        self._process: ForkServerProcess | None = None
        self._unwanted = False

    def wait(self, clock: float) -> tuple[bool, Any]:
        """Start it, and give whether it succeeded with its answer or exception. Raises ChildDied, ChildOverspent."""
        context = multiprocessing.get_context("forkserver")
        receiver, sender = context.Pipe(duplex=False)
        with receiver:
            with _bookkeeping, sender:
                context.set_forkserver_preload([__name__, *self._preload])
                process = context.Process(target=self._work, args=(sender,), daemon=True)
                with suppress(BrokenPipeError):  # it died over its arguments
                    process.start()
                self._process = process
            try:
                outcome = receiver.recv() if not self._unwanted and receiver.poll(clock) else None
            except (EOFError, OSError):
                outcome = None
            code = self._end(process)
        if outcome is None:
            raise ChildOverspent if code == -signal.SIGXCPU else ChildDied
        return cast("tuple[bool, Any]", outcome)

    def kill(self) -> None:
        """End it, if it has not ended yet."""
        self._unwanted = True
        if self._process is not None:
            with _bookkeeping:
                if self._process is not None:
                    self._process.kill()

    def _end(self, process: ForkServerProcess) -> int | None:
        # Nothing that it still does matters now; one that is dying already keeps its own reason.
        wait([process.sentinel], timeout=0.1)
        process.kill()
        wait([process.sentinel])
        with _bookkeeping:
            self._process = None
            process.join()
            code = process.exitcode
            process.close()
        return code


def _work(
    function: Callable[..., Any], arguments: Sequence[Any], memory: int, processor: int, sender: Connection
) -> None:
    """Do the call, within its limits: what the child's process is there for."""
    # An interrupt from the keyboard goes to all; the parent decides what becomes of the call.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    present = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    allowed = present + memory + OWN_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
    resource.setrlimit(resource.RLIMIT_CPU, (processor, processor + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    outcome: tuple[bool, Any]
    try:
        outcome = True, function(*arguments)
    except Exception as error:
        outcome = False, error
    sender.send(outcome)
