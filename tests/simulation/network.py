"""The broker of a simulated year: takes what relays publish, and hands it on late, twice, in any order, or never."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from heapq import heappop, heappush
from random import Random
from typing import TextIO

from shared.messaging import Consumer, Message, Verdict
from tests.simulation.agenda import Agenda
from tests.simulation.chance import seconds

# As many as a worker takes at a time.
BATCH = 100


@dataclass(frozen=True)
class Weather:
    """Shares of messages. `lost` are confirmed and gone, as where somebody deletes a queue; `unconfirmed` may have
    arrived or not; `repeated` are of batches whose consumer died between its commit and its acknowledgement. `delays`
    are shares with the most seconds that such a message takes."""

    lost: float = 0
    unconfirmed: float = 0
    doubled: float = 0
    repeated: float = 0
    delays: tuple[tuple[float, float], ...] = ((1, 0.5),)


CALM = Weather()
FAIR = Weather(0.002, 0.01, 0.01, 0.005, ((0.7, 2), (0.25, 120), (0.05, 7200)))


class BrokerAway(ConnectionError):
    """The broker does not answer."""


class Unconfirmed(ConnectionError):
    """The connection broke before the broker confirmed."""


class Network:
    """Publisher to all relays. `consumers` are those of the processes that run at present, by queue.

    `history` hashes all that was published and what became of each delivery; `log` is the same to be read.
    """

    def __init__(self, agenda: Agenda, source: Random, log: TextIO | None = None) -> None:
        self.consumers: dict[str, Consumer] = {}
        self.weather = FAIR
        self.away_until = self.stopped_until = agenda.entered
        self.counts: Counter[str] = Counter()
        self.dead: list[str] = []
        self.history = hashlib.sha256()
        self._agenda = agenda
        self._source = source
        self._log = log
        self._waiting: dict[str, list[tuple[datetime, int, Message]]] = {}
        self._next: dict[str, datetime] = {}
        self._serial = 0

    @property
    def is_empty(self) -> bool:
        return not any(self._waiting.values())

    async def publish(self, messages: Sequence[Message]) -> list[Exception | None]:
        if self._agenda.entered < self.away_until:
            raise BrokerAway
        return [self._take(message) for message in messages]

    def _take(self, message: Message) -> Exception | None:
        hearing = [name for name, consumer in self.consumers.items() if consumer.queue.hears(message.routing_key)]
        if not hearing:
            raise LookupError(f"nobody hears {message.routing_key}")
        self.counts["published"] += 1
        self._note("published", message.routing_key, message.body.decode())
        is_confirmed = not self._happens("unconfirmed", self.weather.unconfirmed)
        if is_confirmed or self._source.random() < 0.5:
            for name in hearing:
                if self._happens("lost", self.weather.lost):
                    continue
                self._enqueue(name, message)
                if self._happens("doubled", self.weather.doubled):
                    self._enqueue(name, message)
        return None if is_confirmed else Unconfirmed()

    def _enqueue(self, queue: str, message: Message, delay: timedelta | None = None) -> None:
        if delay is None:
            [(_, most)] = self._source.choices(self.weather.delays, [share for share, _ in self.weather.delays])
            delay = seconds(self._source, 0, most)
        self._serial += 1
        heappush(self._waiting.setdefault(queue, []), (self._agenda.entered + delay, self._serial, message))
        self._plan(queue)

    def _plan(self, queue: str) -> None:
        if self._waiting[queue]:
            due = max(self._waiting[queue][0][0], self.stopped_until, self._agenda.entered)
            if queue not in self._next or due < self._next[queue]:
                self._next[queue] = due
                self._agenda.at(due, lambda: self._deliver(queue, due))

    async def _deliver(self, queue: str, due: datetime) -> None:
        if self._next.get(queue) != due:
            return  # an earlier one was planned since
        del self._next[queue]
        waiting = self._waiting[queue]
        batch: list[Message] = []
        now = self._agenda.entered
        while waiting and waiting[0][0] <= now and len(batch) < BATCH and now >= self.stopped_until:
            batch.append(heappop(waiting)[2])
        if batch:
            await self._hand_over(queue, batch)
        self._plan(queue)

    async def _hand_over(self, queue: str, batch: Sequence[Message]) -> None:
        consumer = self.consumers[queue]
        outcomes = await consumer.process(batch)
        is_repeated = self._happens("repeated", self.weather.repeated)
        for message, outcome in zip(batch, outcomes, strict=True):
            self._note(outcome.verdict, queue, f"{message.id} {message.attempts} {outcome.error}")
            self.counts[outcome.verdict] += 1
            if outcome.verdict is Verdict.dead:
                self.dead.append(f"{queue} {message.routing_key} {message.id}: {outcome.error}")
            elif outcome.verdict is Verdict.retry:
                again = replace(message, attempts=message.attempts + int(outcome.counted))
                self._enqueue(queue, again, timedelta(milliseconds=consumer.queue.retry_delay_ms))
            elif is_repeated:
                self._enqueue(queue, message)

    def _happens(self, what: str, share: float) -> bool:
        happens = self._source.random() < share
        self.counts[what] += happens
        return happens

    def _note(self, *parts: str) -> None:
        line = " ".join((self._agenda.entered.isoformat(), *parts)) + "\n"
        self.history.update(line.encode())
        if self._log is not None:
            self._log.write(line)
