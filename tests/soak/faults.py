"""What befalls the stack, and who starts again what has died: an orchestrator that restarts whatever has ended."""

import asyncio
import os
import signal
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import aio_pika
import psycopg
from aio_pika.exceptions import AMQPError

from shared.messaging.topology import EXCHANGE
from tests.soak import schedule
from tests.soak.schedule import NODE, Fault
from tests.support.backing import Postgres
from tests.support.processes import ClockOfItsOwn, Process
from tests.support.sql import throw_out
from tests.support.stack import Stack
from tests.support.wait import until

# The header of what is said a second time.
AGAIN = "x-again"
HOURS = {"move the clock an hour forward on": 1, "move the clock an hour back on": -1}


@dataclass
class Rig:
    """`deaths` counts the ends of processes by name."""

    stack: Stack
    postgres: Postgres
    clock: ClockOfItsOwn
    deaths: Counter[str] = field(default_factory=Counter)
    _busy: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    @asynccontextmanager
    async def orchestrated(self) -> AsyncIterator[None]:
        """What ends is started again as long as the block lasts."""
        orchestrator = asyncio.create_task(self._orchestrate())
        try:
            yield
        finally:
            orchestrator.cancel()
            with suppress(asyncio.CancelledError):
                await orchestrator

    async def _orchestrate(self) -> None:
        while True:
            for name, process in list(self.stack.processes.running.items()):
                if process.popen.poll() is not None:
                    self.deaths[name] += 1
                    self.stack.processes.start_again(name)
            await asyncio.sleep(0.5)

    async def inflict(self, fault: Fault) -> None:
        """Returns when it is over. Two of one target come one after the other."""
        async with self._busy[fault.target]:
            match fault.what, fault.target:
                case "kill -9", "postgres":
                    async with self.postgres.killed():
                        await asyncio.sleep(fault.seconds)
                case "kill -9", "rabbitmq":
                    async with self.stack.rabbitmq.killed():
                        await asyncio.sleep(fault.seconds)
                case "restart", _:
                    await self.stack.rabbitmq.restart()
                case "freeze", _:
                    async with self.stack.rabbitmq.frozen():
                        await asyncio.sleep(fault.seconds)
                case schedule.DELETE, queue:
                    await self._delete(queue)
                case "say twice", _:
                    await self._say_twice(fault.seconds)
                case what, _ if what in HOURS:
                    self.clock.jump(timedelta(hours=HOURS[what]))
                    await asyncio.sleep(fault.seconds)
                    self.clock.jump(timedelta())
                case _:
                    await self._inflict_on_process(fault)

    async def _inflict_on_process(self, fault: Fault) -> None:
        match fault.what:
            case "kill -9":
                _signal(self.stack.processes.running[fault.target], signal.SIGKILL)
            case "kill -9 a child of":
                for child in _children(self.stack.processes.running[fault.target].popen.pid)[:1]:
                    with suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)
            case "stop":
                process = self.stack.processes.running[fault.target]
                _signal(process, signal.SIGSTOP)
                try:
                    await asyncio.sleep(fault.seconds)
                finally:
                    _signal(process, signal.SIGCONT)
            case "end connections to the database of":
                # A server that is away has none.
                with suppress(psycopg.OperationalError):
                    await asyncio.to_thread(throw_out, self.stack.urls[fault.target])
            case _:
                await self._inflict_on_wire(fault)

    async def _inflict_on_wire(self, fault: Fault) -> None:
        wire = self.stack.network[fault.target]
        match fault.what:
            case "take away":
                async with wire.down():
                    await asyncio.sleep(fault.seconds)
            case "silence":
                async with wire.silent():
                    await asyncio.sleep(fault.seconds)
            case "lose the answers of":
                # What was asked for is done, and nobody is told.
                async with wire.silent("down"):
                    await asyncio.sleep(fault.seconds)
                    await wire.reset()
            case "half-open":
                await wire.half_open()
            case "reset":
                await wire.reset()
            case what:
                raise ValueError(what)

    async def _say_twice(self, seconds: float) -> None:
        """As a relay does that dies before it has noted what was confirmed: every event comes a second time."""
        with suppress(AMQPError, OSError, TimeoutError):
            async with asyncio.timeout(seconds), await aio_pika.connect(self.stack.broker_url, timeout=5) as connection:
                channel = await connection.channel()
                exchange = await channel.get_exchange(EXCHANGE)
                heard = await channel.declare_queue(exclusive=True)
                await heard.bind(EXCHANGE, "#")
                async with heard.iterator() as messages:
                    async for message in messages:
                        await message.ack()
                        if AGAIN not in message.headers:
                            message.headers[AGAIN] = True
                            await exchange.publish(message, message.routing_key or "")

    async def _delete(self, queue: str) -> None:
        """As by hand; a broker that is away has none to delete."""
        await self.stack.rabbitmq.delete_queue(self.stack.broker_url, queue)

    async def recovered(self) -> None:
        """Nothing holds anything up any more, and every process says that it is ready."""
        await until(self.stack.all_ready, timeout=300, interval=0.5, what="all processes to be ready")


def _signal(process: Process, number: int) -> None:
    """To it and all that it has started, as long as it lives."""
    if process.popen.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.popen.pid, number)


def _children(pid: int) -> list[int]:
    with suppress(FileNotFoundError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def on_the_node(stack: Stack, clock: ClockOfItsOwn) -> None:
    """Start the node's processes anew with the clock that will jump."""
    for name in NODE:
        before = stack.processes.running[name]
        before.stop()
        stack.processes.start(name, *before.arguments, **{**before.environment, **clock.environment})
