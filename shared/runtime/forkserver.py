"""A process that forks itself for each call it is asked for: `serve` is its program, run by `shared.runtime.children`.

It imports what the calls need and nothing else, so that a copy of it costs little. Each call comes as a socket that the
child reads the call from and writes the answer to. Messages on it are a length and as many bytes; what the server says
of a child that was killed is a length from `KILLED` on.
"""

import gc
import os
import pickle
import resource
import select
import signal
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

# What a child takes beyond what it works on: its interpreter, its libraries, its arguments and its answer, in bytes.
OWN_MEMORY = 64 * 1024 * 1024
LENGTH = struct.Struct("!Q")
# Added to the number of the signal that a child was killed by.
KILLED = 1 << 63

_WORK = 3
Call = tuple[Callable[..., Any], Sequence[Any], int, int]
"""A function, its arguments, and what it may take: bytes of memory, seconds of processor time."""


def serve(control: int, preload: Sequence[str]) -> None:
    """Fork a child for each socket that comes over `control`, until its other end is closed."""
    # An interrupt from the keyboard goes to all; the parent decides what becomes of the calls.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in preload:
        import_module(name)
    gc.collect()
    gc.freeze()
    _Server(socket.socket(fileno=control)).run()


class _Server:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._poll = select.poll()
        # By the descriptors that tell of it: the process of a call, and the socket to whoever asked for it.
        self._calls: dict[int, tuple[int, int, int]] = {}

    def run(self) -> None:
        self._poll.register(self._control, select.POLLIN)
        while True:
            for ready, _ in self._poll.poll():
                if ready == self._control.fileno():
                    _, sockets, _, _ = socket.recv_fds(self._control, 1, 1)
                    if not sockets:
                        return self._kill_all()
                    self._begin(sockets[0])
                elif ready in self._calls:
                    self._end(ready)

    def _begin(self, work: int) -> None:
        pid = os.fork()
        if pid == 0:
            _child(work)
        process = os.pidfd_open(pid)
        self._calls[process] = self._calls[work] = (pid, process, work)
        self._poll.register(process, select.POLLIN)
        # Only that the other end was closed is of interest: then nobody wants the answer any more.
        self._poll.register(work, 0)

    def _end(self, ready: int) -> None:
        pid, process, work = self._calls[ready]
        if ready == work:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            with suppress(OSError):
                os.write(work, LENGTH.pack(KILLED + os.WTERMSIG(status)))
        for descriptor in (process, work):
            self._poll.unregister(descriptor)
            del self._calls[descriptor]
            os.close(descriptor)

    def _kill_all(self) -> None:
        for pid, *_ in set(self._calls.values()):
            os.kill(pid, signal.SIGKILL)


def _child(work: int) -> None:
    """Do one call and end. It has no descriptors but its own, lest another call's socket stays open by it."""
    try:
        os.dup2(work, _WORK)
        os.closerange(_WORK + 1, os.sysconf("SC_OPEN_MAX"))
        with socket.socket(fileno=_WORK) as connection:
            call: Call = pickle.loads(_read(connection))  # noqa: S301 - the parent's own
            answer = pickle.dumps(_outcome(call))
            connection.sendall(LENGTH.pack(len(answer)) + answer)
    finally:
        os._exit(0)


def _outcome(call: Call) -> tuple[bool, Any]:
    function, arguments, memory, processor = call
    present = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    allowed = present + memory + OWN_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
    resource.setrlimit(resource.RLIMIT_CPU, (processor, processor + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        return True, function(*arguments)
    except Exception as error:
        return False, error


def _read(connection: socket.socket) -> bytearray:
    (size,) = LENGTH.unpack(connection.recv(LENGTH.size, socket.MSG_WAITALL))
    data = bytearray(size)
    connection.recv_into(data, size, socket.MSG_WAITALL)
    return data
