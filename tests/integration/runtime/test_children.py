import asyncio
import os
import signal
import stat
from pathlib import Path

import pytest

from shared.errors import Unavailable
from shared.runtime.admission import Admission
from shared.runtime.children import OWN_MEMORY, ChildDied, ChildOverspent, Children, Spending
from shared.runtime.forkserver import LENGTH
from tests.support.wait import until

MIB = 1024 * 1024


def children(capacity: int = 4, waiting: int = 9, spending: Spending = Spending()) -> Children:
    return Children(Admission(capacity * OWN_MEMORY, waiting=waiting), spending=spending)


def die(number: int) -> None:
    os.kill(os.getpid(), number)


def allocate(size: int) -> int:
    return len(bytearray(size))


def refuse(word: str) -> None:
    raise LookupError(word)


def spin() -> None:
    while True:
        pass


def wait_for(path: Path) -> int:
    """Say that it runs, and run until the file is there or this process is killed."""
    path.with_suffix(f".{os.getpid()}").touch()
    while not path.exists():
        pass
    return os.getpid()


def started(place: Path) -> list[Path]:
    return list(place.glob("go.*"))


async def test_each_call_has_a_process_of_its_own() -> None:
    found = {await children().run(os.getpid, memory=0) for _ in range(3)}
    assert len(found) == 3
    assert os.getpid() not in found


async def test_an_exception_comes_back() -> None:
    with pytest.raises(LookupError, match="nothing there"):
        await children().run(refuse, "nothing there", memory=0)


async def test_memory_beyond_what_was_admitted_is_not_given() -> None:
    assert await children().run(allocate, 32 * MIB, memory=32 * MIB) == 32 * MIB
    with pytest.raises(MemoryError):
        await children().run(allocate, 32 * MIB + 3 * OWN_MEMORY, memory=32 * MIB)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
async def test_one_that_is_killed_takes_nobody_along(number: int, tmp_path: Path) -> None:
    pool = children()
    beside = asyncio.create_task(pool.run(wait_for, tmp_path / "go", memory=0))
    await until(lambda: started(tmp_path), what="the other child to run")
    with pytest.raises(ChildDied):
        await pool.run(die, number, memory=0)
    (tmp_path / "go").touch()
    assert await beside
    assert await pool.run(allocate, 1, memory=0) == 1


class Takeover:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("exit 3",)


def take_over() -> object:
    return Takeover()


async def test_an_answer_is_read_as_data() -> None:
    """A decoder that a picture has taken over answers what it likes."""
    with pytest.raises(ChildDied):
        await children().run(take_over, memory=0)
    assert await children().run(allocate, 9, memory=0) == 9


def answer_half() -> None:
    os.write(3, LENGTH.pack(1000) + b"x" * 10)
    os._exit(0)


def server() -> int:
    return os.getppid()


async def test_half_an_answer_is_none() -> None:
    with pytest.raises(ChildDied):
        await children().run(answer_half, memory=0)


async def test_where_the_server_was_killed_another_is_started() -> None:
    pool = children()
    first = await pool.run(server, memory=0)
    os.kill(first, signal.SIGKILL)
    # What is asked of it before that is noticed may be lost, and only that.
    answers = [await asyncio.gather(pool.run(server, memory=0), return_exceptions=True) for _ in range(2)]
    assert isinstance(answers[-1][0], int)
    assert answers[-1][0] != first


async def test_a_child_has_no_other_s_socket(tmp_path: Path) -> None:
    """Else who asked for one would wait for the end of all that were begun after it."""
    pool = children()
    beside = [asyncio.create_task(pool.run(wait_for, tmp_path / "go", memory=0)) for _ in range(2)]
    await until(lambda: len(started(tmp_path)) == 2, what="two children to run")
    assert await pool.run(open_sockets, memory=0) == 1
    (tmp_path / "go").touch()
    await asyncio.gather(*beside)


def open_sockets() -> int:
    return len([place for place in range(100) if _is_socket(place)])


def _is_socket(place: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(place).st_mode)
    except OSError:
        return False


async def test_one_that_computes_for_ever_is_ended() -> None:
    with pytest.raises(ChildOverspent):
        await children(spending=Spending(processor=1)).run(spin, memory=0)
    with pytest.raises(ChildDied):
        await children(spending=Spending(clock=0.01)).run(spin, memory=0)


async def test_an_interrupt_from_the_keyboard_is_not_the_child_s_matter() -> None:
    await children().run(die, signal.SIGINT, memory=0)


async def test_no_more_run_at_once_than_there_is_memory_for(tmp_path: Path) -> None:
    pool = children(capacity=2, waiting=1)
    calls = [asyncio.create_task(pool.run(wait_for, tmp_path / "go", memory=0)) for _ in range(3)]
    await until(lambda: len(started(tmp_path)) == 2, what="two children to run")
    with pytest.raises(Unavailable):
        await pool.run(os.getpid, memory=0)
    (tmp_path / "go").touch()
    assert len(set(await asyncio.gather(*calls))) == 3


async def test_what_nobody_waits_for_any_more_is_killed(tmp_path: Path) -> None:
    pool = children(capacity=1)
    call = asyncio.create_task(pool.run(wait_for, tmp_path / "go", memory=0))
    await until(lambda: started(tmp_path), what="the child to run")
    pid = int(started(tmp_path)[0].suffix[1:])
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await until(lambda: not Path(f"/proc/{pid}").exists(), what="the child to be gone")
    assert await pool.run(os.getpid, memory=0) != pid
