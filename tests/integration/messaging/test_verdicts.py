"""What becomes of a message, and what a consumer tells operators of it: verdict, log line, metrics."""

from datetime import timedelta
from typing import ClassVar
from uuid import uuid4

import pytest

import shared.messaging.consumer as module
from shared.errors import Unavailable
from shared.messaging import Consumer, Event, Message, Outcome, Subscription, Verdict
from shared.observability.metrics import EVENT_AGE, MESSAGES
from shared.persistence.cipher import DecryptionFailed
from shared.persistence.db import Database
from shared.values.clock import SystemClock
from tests.support.backbone import FIRST, Orders, Pinged, Unheard, subscription
from tests.support.events import message
from tests.support.logs import logged_by

DONE = Outcome(Verdict.done)


class Listed(Event):
    type: ClassVar[str] = "test.listed"
    subject_field: ClassVar[str] = "key"
    key: str = "k"
    names: tuple[str, ...]


@pytest.fixture
def orders() -> Orders:
    return Orders(FIRST)


@pytest.fixture
def consumer(database: Database, orders: Orders) -> Consumer:
    return Consumer(subscription(FIRST), orders, database)


def tried(name: str, attempts: int = 0) -> Message:
    sent = message(Pinged(name=name))
    return Message(sent.id, sent.routing_key, sent.body, attempts)


def settled(verdict: Verdict) -> float:
    return float(MESSAGES.labels(FIRST.name, verdict)._value.get())


def ages() -> tuple[float, float]:
    """How many batches' oldest events were counted, and their ages' sum in seconds."""
    (family,) = EVENT_AGE.labels(FIRST.name).collect()
    samples = {sample.name.rpartition("_")[2]: sample.value for sample in family.samples if "bucket" not in sample.name}
    return samples["count"], samples["sum"]


@pytest.mark.parametrize("error", [ConnectionResetError(), Unavailable()], ids=lambda error: type(error).__name__)
async def test_an_outage_costs_no_attempt_and_says_what_is_away(
    consumer: Consumer, orders: Orders, error: Exception
) -> None:
    orders.broken["a"] = error
    name = type(error).__name__
    with logged_by(module) as lines:
        outcomes = await consumer.process([tried("a", FIRST.max_attempts), tried("b")])
    assert outcomes == [Outcome(Verdict.retry, name, counted=False)] * 2
    assert lines == [{"event": "consumer.unavailable", "log_level": "warning", "queue": FIRST.name, "error": name}]


async def test_a_failure_is_tried_again_until_the_last_attempt(consumer: Consumer, orders: Orders) -> None:
    orders.broken["a"] = ValueError("a person's name")
    line = {"queue": FIRST.name, "log_level": "warning", "event": "consumer.retry", "error": "ValueError"}
    last = FIRST.max_attempts - 1
    for attempts in (0, last - 1):
        with logged_by(module) as lines:
            assert await consumer.process([tried("a", attempts)]) == [Outcome(Verdict.retry, "ValueError")]
        assert lines == [{**line, "attempts": attempts}]
    died = f"ValueError after {FIRST.max_attempts} attempts"
    with logged_by(module) as lines:
        assert await consumer.process([tried("a", last)]) == [Outcome(Verdict.dead, died)]
    assert lines == [{"event": "consumer.dead", "log_level": "error", "queue": FIRST.name, "error": died}]


async def test_what_no_key_opens_is_dead_at_once(consumer: Consumer, orders: Orders) -> None:
    orders.broken["a"] = DecryptionFailed("unknown key")
    assert await consumer.process([tried("a"), tried("b")]) == [Outcome(Verdict.dead, "DecryptionFailed"), DONE]


async def test_what_cannot_be_read_is_dead_at_once_and_says_why(consumer: Consumer) -> None:
    sent = message(Pinged(name="a"))
    incomplete = sent.body.replace(b'"name"', b'"nom"').replace(b'"source"', b'"origin"')
    outcomes = await consumer.process(
        [
            message(Unheard(name="a")),
            Message(sent.id, sent.routing_key, b"no envelope"),
            Message(sent.id, sent.routing_key, sent.body.replace(b'{"name":"a"}', b'{"nom":"a"}')),
            Message(sent.id, sent.routing_key, incomplete.replace(b'"subject"', b'"object"')),
        ]
    )
    assert outcomes == [
        Outcome(Verdict.dead, reason)
        for reason in (
            "unknown event type",
            "invalid: not an envelope",
            "invalid: name",
            "invalid: source, subject",
        )
    ]


async def test_what_cannot_be_read_is_named_by_its_place(database: Database) -> None:
    async def never(*_: object) -> None:
        raise AssertionError

    listening = Consumer(Subscription(FIRST, {Listed: never}), None, database)
    sent = message(Listed(names=("a", "b")))
    body = sent.body.replace(b'["a","b"]', b'["a",{}]')
    outcomes = await listening.process([Message(sent.id, sent.routing_key, body)])
    assert outcomes == [Outcome(Verdict.dead, "invalid: names.1")]


async def test_each_message_is_counted_once_by_its_verdict(consumer: Consumer, orders: Orders) -> None:
    orders.broken |= {"retry": ValueError(), "dead": DecryptionFailed("")}
    before = [settled(verdict) for verdict in Verdict]
    await consumer.process([tried(name) for name in ("a", "retry", "b", "dead", "c")])
    assert [settled(verdict) for verdict in Verdict] == [
        before[0] + 3,
        before[1] + 1,
        before[2] + 1,
    ]


async def test_a_batch_is_as_old_as_its_oldest_event_and_never_younger_than_now(consumer: Consumer) -> None:
    now = SystemClock().now()
    count, total = ages()
    old, young = message(Pinged(name="old"), at=now - timedelta(hours=10)), message(Pinged(name="young"), at=now)
    assert await consumer.process([young, old]) == [DONE, DONE]
    assert ages()[0] == count + 1
    assert 36_000 <= ages()[1] - total < 37_000
    count, total = ages()
    assert await consumer.process([message(Pinged(name="of a fast clock"), at=now + timedelta(hours=1))]) == [DONE]
    assert ages() == (count + 1, total)


async def test_a_message_that_comes_again_is_handled_no_second_time(consumer: Consumer, orders: Orders) -> None:
    first, second = message(Pinged(name="a"), uuid4()), message(Pinged(name="b"), uuid4())
    await consumer.process([first])
    assert await consumer.process([first, second]) == [DONE, DONE]
    assert orders.batches == [1, 1]
    assert await consumer.process([]) == []
    assert orders.batches == [1, 1]
