"""The event loop of every process: uvloop, where there is one."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import uvicorn

T = TypeVar("T")


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    # Without log_config it would set up logging of its own.
    return uvicorn.Config("", log_config=None).get_loop_factory()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a process's work to its end, as asyncio.run does."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(main)
