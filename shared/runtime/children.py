"""Runs what is hostile or heavy in child processes: one for each call, with limits of its own, and gone after it.

What a child allocates is given back when it ends; one that is killed takes only its own call along. What it answers is
read as data: a decoder that a picture has taken over must not get at this process by it.
"""

import asyncio
import atexit
import dataclasses
import io
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from shared.runtime.admission import Admission
from shared.runtime.forkserver import KILLED, LENGTH, OWN_MEMORY, Call

__all__ = ["OWN_MEMORY", "ChildDied", "ChildOverspent", "Children", "Spending"]

T = TypeVar("T")

_PROGRAM = (
    "import sys; sys.path[:] = {path!r}; from shared.runtime.forkserver import serve; serve({control}, {preload!r})"
)
# As much of a call as there may be on the way to its child without anybody waiting for it.
_BUFFER = 1024 * 1024
_PIECE = 64 * 1024


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

        `memory` is what it may allocate, in bytes; beyond it allocations fail there. An answer may be made of what is
        built in, dataclasses and exceptions. Raises ChildDied, ChildOverspent, and what `room` raises.
        """
        call: Call = (function, arguments, memory, self.spending.processor)
        request = pickle.dumps(call)
        async with self.room.enter(memory + OWN_MEMORY):
            try:
                async with asyncio.timeout(self.spending.clock):
                    answer = await _ask(tuple(self.preload), request)
            except (TimeoutError, OSError):
                raise ChildDied from None
        succeeded, outcome = _read(answer)
        if not succeeded:
            raise outcome
        return cast(T, outcome)


async def _ask(preload: tuple[str, ...], request: bytes) -> bytes:
    """Send a call to a new child, and wait for its answer and its end. Raises ChildDied, ChildOverspent, OSError.

    It is killed as soon as nobody waits here any more: then our end of the socket is closed.
    """
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
            _server(preload).fork(theirs)
        ours.setblocking(False)
        with suppress(BrokenPipeError, ConnectionResetError):  # it died over its arguments
            await loop.sock_sendall(ours, LENGTH.pack(len(request)) + request)
        received = bytearray()
        while piece := await loop.sock_recv(ours, _PIECE):
            received += piece
    size, answer = received[: LENGTH.size], bytes(received[LENGTH.size :])
    if len(size) < LENGTH.size:
        raise ChildDied
    (length,) = LENGTH.unpack(size)
    if length == KILLED + signal.SIGXCPU:
        raise ChildOverspent
    if length != len(answer):
        raise ChildDied
    return answer


class _Answer(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        found = super().find_class(module, name)
        if isinstance(found, type) and (issubclass(found, Exception) or dataclasses.is_dataclass(found)):
            return found
        raise pickle.UnpicklingError(f"{module}.{name} is no answer")


def _read(answer: bytes) -> tuple[bool, Any]:
    """Raises ChildDied for what no call of ours answers."""
    try:
        succeeded, outcome = _Answer(io.BytesIO(answer)).load()
    except Exception:
        raise ChildDied from None
    if not succeeded and not isinstance(outcome, Exception):
        raise ChildDied
    return succeeded, outcome


class _Server:
    """The process that children are copies of; started again if it has died."""

    def __init__(self, preload: Sequence[str]) -> None:
        self._preload = list(preload)
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def fork(self, work: socket.socket) -> None:
        """Have a child read and write at this socket."""
        if self._control is not None:
            try:
                socket.send_fds(self._control, [b"."], [work.fileno()])
            except (BrokenPipeError, ConnectionResetError):
                self.close()
            else:
                return
        self._control = self._started()
        socket.send_fds(self._control, [b"."], [work.fileno()])

    def close(self) -> None:
        """End it, and the children there are."""
        if self._control is not None and self._process is not None:
            self._control.close()
            self._control = None
            self._process.wait()

    def _started(self) -> socket.socket:
        # A message is one call's, whole.
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            program = _PROGRAM.format(path=sys.path, control=theirs.fileno(), preload=self._preload)
            self._process = subprocess.Popen(  # noqa: S603 - this Python and a program of ours
                [sys.executable, "-B", "-c", program], stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )
        return ours


_servers: dict[tuple[str, ...], _Server] = {}


def _server(preload: tuple[str, ...]) -> _Server:
    return _servers.setdefault(preload, _Server(preload))


@atexit.register
def _close() -> None:
    for server in _servers.values():
        server.close()
