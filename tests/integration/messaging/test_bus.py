"""One contract for both transports: what a service may rely on, whichever carries its events."""

from argparse import Namespace
from dataclasses import replace
from uuid import uuid4

import pytest
from sqlalchemy.exc import OperationalError

from shared.errors import Unavailable
from shared.messaging import Message, PredecessorMissing
from shared.persistence.cipher import DecryptionFailed
from shared.runtime.service import manage_dead_letters
from tests.support.backbone import FIRST, SECOND, Backbone, Pinged, Ponged, Unheard
from tests.support.events import message
from tests.support.wait import until

SECRET = "360102199003070017"


def outage() -> Exception:
    """What SQLAlchemy raises when the connection is lost."""
    return OperationalError("INSERT", {}, Exception("server closed the connection unexpectedly"))


class TestDelivery:
    async def test_an_event_written_with_a_transaction_takes_effect_once_in_every_queue(self, bus: Backbone) -> None:
        await bus.emit(*(Pinged(name=f"n{number}") for number in range(50)), Ponged(name="pong"))
        names = [f"n{number}" for number in range(50)]
        await until(lambda: bus.took([*names, "pong"]), what="all in the first queue")
        await until(lambda: bus.took(names, SECOND), what="pings in the second queue")
        await until(lambda: empty(bus), what="an empty outbox")
        assert await bus.inbox() == 101

    async def test_published_five_times_it_takes_effect_once(self, bus: Backbone) -> None:
        ping, last = message(Pinged(name="often")), message(Pinged(name="last"))
        for _ in range(5):
            assert await bus.publish([ping]) == [None]
        assert await bus.publish([last]) == [None]
        await until(lambda: bus.took(["often", "last"]), what="each effect once")

    async def test_duplicates_inside_one_batch_take_effect_once(self, bus: Backbone) -> None:
        ping = message(Pinged(name="twin"))
        # A transport may merge what it carries under one id, but must not lose it.
        await bus.publish([ping, message(Pinged(name="other")), ping])
        await until(lambda: bus.took(["twin", "other"]), what="each effect once")

    async def test_calls_after_the_commit_of_what_changed_something_only(self, bus: Backbone) -> None:
        ping = message(Pinged(name="once"))
        await bus.publish([ping])
        await until(lambda: bus.orders[FIRST.name].committed == 1, what="the call after the commit")
        await bus.publish([ping])
        await bus.publish([message(Ponged(name="next"))])
        await until(lambda: bus.took(["once", "next"]), what="both effects")
        assert bus.orders[FIRST.name].committed == 2

    async def test_what_no_queue_hears_is_the_publishers_error_and_waits_in_the_outbox(self, bus: Backbone) -> None:
        (error,) = await bus.publish([message(Unheard(name="x"))])
        assert error is not None
        await bus.emit(Unheard(name="y"), Pinged(name="heard"))
        await until(lambda: bus.took(["heard"]), what="the other event's effect")
        await until(lambda: one_left(bus), what="only the unroutable row in the outbox")


class TestFailure:
    async def test_effect_and_inbox_row_go_together(self, bus: Backbone) -> None:
        bus.orders[FIRST.name].failures["shaky"] = [ValueError("after the effect")]
        await bus.emit(Pinged(name="shaky"))
        await until(lambda: bus.took(["shaky"]), what="the effect of the second attempt")
        assert bus.orders[FIRST.name].batches == [1, 1]
        assert await until(lambda: inbox_is(bus, 2), what="one inbox row in each queue")

    async def test_one_bad_message_does_not_hold_up_its_batch(self, bus: Backbone) -> None:
        bus.orders[FIRST.name].broken["bad"] = ValueError(f"cannot take {SECRET}")
        *_, bad = await bus.emit(*(Pinged(name=f"n{number}") for number in range(9)), Pinged(name="bad"))
        names = [f"n{number}" for number in range(9)]
        await until(lambda: bus.took(names), what="the good ones' effects")
        (letter,) = await until(lambda: bus.transport.list(FIRST.name), what="a dead letter")
        assert (letter.queue, letter.event_id, letter.routing_key) == (FIRST.name, bad, "test.pinged.v1")
        assert letter.error == "ValueError after 3 attempts"
        assert SECRET not in repr(letter)
        await until(lambda: bus.took([*names, "bad"], SECOND), what="the other queue is not concerned")
        assert await bus.transport.list(FIRST.name) == [letter], "a look leaves the letter in place"

        bus.orders[FIRST.name].broken.clear()
        assert await bus.transport.replay(FIRST.name) == 1
        await until(lambda: bus.took([*names, "bad"]), what="the effect of the replay")
        assert await bus.transport.replay(FIRST.name) == 0
        assert await bus.transport.list(FIRST.name) == []
        assert await bus.took([*names, "bad"], SECOND)

    async def test_a_replay_of_one_letter_leaves_the_others(self, bus: Backbone) -> None:
        for name in ("a", "b"):
            bus.orders[FIRST.name].broken[name] = DecryptionFailed()
        first, second = await bus.emit(Ponged(name="a"), Ponged(name="b"))
        await until(lambda: letters_are(bus, 2), what="two dead letters")
        bus.orders[FIRST.name].broken.clear()
        assert await bus.transport.replay(FIRST.name, uuid4()) == 0
        assert await bus.transport.replay(FIRST.name, second) == 1
        await until(lambda: bus.took(["b"]), what="the effect of the replayed one")
        assert [letter.event_id for letter in await bus.transport.list(FIRST.name)] == [first]

    async def test_a_replay_that_fails_again_keeps_the_letter(self, bus: Backbone) -> None:
        bus.orders[FIRST.name].broken["bad"] = DecryptionFailed()
        (bad,) = await bus.emit(Ponged(name="bad"))
        await until(lambda: letters_are(bus, 1), what="a dead letter")
        assert await bus.transport.replay(FIRST.name) == 1
        await until(lambda: letters_are(bus, 1), what="the letter again")
        assert [letter.event_id for letter in await bus.transport.list(FIRST.name)] == [bad]
        assert await bus.effects() == {}

    async def test_too_early_comes_again_later(self, bus: Backbone) -> None:
        bus.orders[FIRST.name].failures["eager"] = [PredecessorMissing(), PredecessorMissing()]
        await bus.emit(Pinged(name="eager"), Pinged(name="ready"))
        await until(lambda: bus.took(["ready", "eager"]), what="both effects")
        assert await bus.transport.list(FIRST.name) == []

    async def test_an_outage_uses_no_attempts(self, bus: Backbone) -> None:
        failures = [outage(), Unavailable(), ConnectionResetError(), PredecessorMissing()]
        bus.orders[FIRST.name].failures["patient"] = failures
        await bus.emit(Pinged(name="patient"))
        await until(lambda: bus.took(["patient"]), what="the effect after more failures than attempts")
        assert failures == []
        assert await bus.transport.list(FIRST.name) == []


class TestUnreadable:
    async def test_the_command_says_what_it_did_not_find(
        self, bus: Backbone, capsys: pytest.CaptureFixture[str]
    ) -> None:
        queues = [FIRST, SECOND]
        await manage_dead_letters(bus.transport, queues, Namespace(action="list", event=None))
        assert capsys.readouterr().out == "no dead letters\n"
        nobodys = uuid4()
        with pytest.raises(SystemExit, match=f"no dead letter is the event {nobodys}"):
            await manage_dead_letters(bus.transport, queues, Namespace(action="replay", event=nobodys))
        bus.orders[FIRST.name].broken["bad"] = ValueError("broken")
        (bad,) = await bus.emit(Pinged(name="bad"))
        await until(lambda: bus.transport.list(FIRST.name), what="a dead letter")
        bus.orders[FIRST.name].broken.clear()
        capsys.readouterr()
        await manage_dead_letters(bus.transport, queues, Namespace(action="replay", event=bad))
        assert capsys.readouterr().out == f"{FIRST.name}: 1 replayed\n{SECOND.name}: 0 replayed\n"

    async def test_bytes_that_are_no_event_go_to_the_dead_letters(self, bus: Backbone) -> None:
        garbage = Message(uuid4(), Pinged.routing_key(), b"\xff\x00 " + SECRET.encode())
        assert await bus.publish([garbage, message(Pinged(name="fine"))]) == [None, None]
        await until(lambda: bus.took(["fine"]), what="the good one's effect")
        (letter,) = await until(lambda: bus.transport.list(FIRST.name), what="a dead letter")
        assert (letter.event_id, letter.error) == (garbage.id, "invalid: not an envelope")

    async def test_a_missing_field_is_named_without_its_neighbours_values(self, bus: Backbone) -> None:
        ping = message(Ponged(name=SECRET))
        await bus.publish([replace(ping, body=ping.body.replace(b'"name"', b'"nom"'))])
        (letter,) = await until(lambda: bus.transport.list(FIRST.name), what="a dead letter")
        assert letter.error == "invalid: name"
        assert SECRET not in repr(letter)

    async def test_a_version_from_the_future_goes_to_the_dead_letters(self, bus: Backbone) -> None:
        ping = message(Ponged(name="new"))
        await bus.publish([replace(ping, body=ping.body.replace(b"ponged.v1", b"ponged.v2"))])
        (letter,) = await until(lambda: bus.transport.list(FIRST.name), what="a dead letter")
        assert letter.error == "unknown event type"

    async def test_unknown_fields_are_ignored(self, bus: Backbone) -> None:
        ping = message(Ponged(name="tolerant"))
        await bus.publish([replace(ping, body=ping.body.replace(b'{"name"', b'{"later":{},"name"'))])
        await until(lambda: bus.took(["tolerant"]), what="the effect")


async def empty(bus: Backbone) -> bool:
    return await bus.outbox() == 0


async def one_left(bus: Backbone) -> bool:
    return await bus.outbox() == 1


async def inbox_is(bus: Backbone, rows: int) -> bool:
    return await bus.inbox() == rows


async def letters_are(bus: Backbone, number: int) -> bool:
    return len(await bus.transport.list(FIRST.name)) == number
