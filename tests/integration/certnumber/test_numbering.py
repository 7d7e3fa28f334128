import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import UUID, uuid4

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.certnumber.container import CertnumberContainer
from services.certnumber.errors import LayoutInvalid, SeriesClash
from services.certnumber.numbering.allocation import assign_batch
from services.certnumber.schemas import SeriesChange, SeriesCreation
from services.certnumber.service import series
from shared.auth.tokens import Principal
from shared.messaging import Consumer, Outbox
from shared.values.clock import SystemClock
from tests.support.clock import START
from tests.support.events import message
from tests.support.numbering import approved, assign, assign_all, deliver, events_of, fetch, proof_of, withdrawn

ADMIN = Principal("review", uuid4(), uuid4(), "管理员", frozenset({"admin"}), must_change_password=False)
TOLD = """
    SELECT string_agg(envelope::json ->> 'type', ' ' ORDER BY id) AS types FROM outbox
    WHERE envelope::json ->> 'subject' = ANY(:subjects) GROUP BY envelope::json ->> 'subject'
"""


async def add_series(container: CertnumberContainer, layout: str, posts: list[str] | None, **values: bool) -> UUID:
    async with container.database.transaction() as session:
        creation = SeriesCreation.model_validate({"name": layout, "layout": layout, "posts": posts, **values})
        created = await series.create_series(container, session, ADMIN, creation)
    # The new series has woken the numbering; let it find nothing before the test goes on.
    await container.waker.join()
    return created.series.id


async def change_series(container: CertnumberContainer, series_id: UUID, **values: object) -> None:
    async with container.database.transaction() as session:
        await series.change_series(container, session, ADMIN, series_id, SeriesChange.model_validate(values))
    await container.waker.join()


async def save_anyway(container: CertnumberContainer, layout: str, posts: list[str]) -> UUID:
    """Put a series into force whatever it prints, as the version before did."""
    statement = """
        INSERT INTO series (id, name, layout, posts, yearly, active, created_at, updated_at)
        VALUES (:id, :layout, :layout, :posts, false, true, now(), now()) RETURNING id
    """
    (row,) = await fetch(container.database, statement, id=uuid4(), layout=layout, posts=posts)
    return UUID(str(row["id"]))


async def approve(consumer: Consumer, count: int, post: str = "10", at: datetime = START) -> list[UUID]:
    applications = [uuid4() for _ in range(count)]
    await deliver(consumer, [message(approved(application, post=post, at=at)) for application in applications])
    return applications


async def serials(container: CertnumberContainer, series_id: UUID | None = None) -> list[int]:
    statement = "SELECT serial FROM ledger WHERE series_id = coalesce(:series, series_id) ORDER BY serial"
    return [row["serial"] for row in await fetch(container.database, statement, series=series_id)]


@pytest.fixture
async def limited(container: CertnumberContainer) -> UUID:
    """A series for post 20 that ends at 9."""
    return await add_series(container, "短{serial:01}", ["20"])


class TestConcurrency:
    async def test_eight_workers_give_one_to_n(
        self, consumer: Consumer, container: CertnumberContainer, engine: sa.Engine
    ) -> None:
        for _ in range(4):
            await approve(consumer, 100)
        with ThreadPoolExecutor(8) as threads:
            totals = list(threads.map(lambda _: assign_all(engine, limit=7), range(8)))
        # A worker that finds the rest locked stops early, as the task does; the sweep is the last one.
        assert sum(totals) + assign_all(engine) == 400
        assert await serials(container) == list(range(1, 401))
        assert sum(total > 0 for total in totals) > 1

    async def test_batches_over_several_series_do_not_deadlock(
        self, consumer: Consumer, container: CertnumberContainer, engine: sa.Engine
    ) -> None:
        for post in ("20", "21", "22"):
            await add_series(container, "{post}{serial:04}", [post])
        events = [message(approved(uuid4(), post=post)) for _ in range(40) for post in ("22", "10", "20", "21")]
        await deliver(consumer, events)
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda _: assign_all(engine, limit=9), range(8)))
        assign_all(engine)
        proof = await proof_of(container.database)
        assert [(entry.count, entry.highest, entry.gapless) for entry in proof.series] == [(40, 40, True)] * 4

    async def test_a_rollback_gives_the_numbers_back(
        self, consumer: Consumer, container: CertnumberContainer, engine: sa.Engine
    ) -> None:
        await approve(consumer, 5)

        with Session(engine) as session:
            assert assign_batch(session, SystemClock(), Outbox("certnumber"), 3) == 3
            session.rollback()
        assert await serials(container) == []
        assert assign_all(engine) == 5
        assert await serials(container) == [1, 2, 3, 4, 5]

    async def test_withdrawing_races_numbering(
        self, consumer: Consumer, container: CertnumberContainer, engine: sa.Engine
    ) -> None:
        told: list[sa.RowMapping] = []
        for _ in range(15):
            applications = await approve(consumer, 12)
            numbering = asyncio.gather(*(asyncio.to_thread(assign_all, engine, 2) for _ in range(3)))
            withdrawals = [message(withdrawn(application)) for application in applications[::-1]]
            for start in range(0, 12, 3):
                await deliver(consumer, withdrawals[start : start + 3])
            await numbering
            told += await fetch(container.database, TOLD, subjects=list(map(str, applications)))
        # Both ends of the race were met, and in none was a number left or announced without its voiding.
        assert {row["types"] for row in told} == {"certnumber.assigned certnumber.voided"}
        assert 0 < len(told) < 15 * 12
        assert assign_all(engine) == 0
        proof = await proof_of(container.database)
        assert proof.gapless
        assert proof.waiting == sum(entry.valid for entry in proof.series) == 0


class TestSeries:
    async def test_the_default_is_there_from_the_start(
        self, consumer: Consumer, container: CertnumberContainer, engine: sa.Engine
    ) -> None:
        (application,) = await approve(consumer, 1)
        assign(engine)
        (event,) = await events_of(container.database, application)
        assert event["number"] == "00707100000001"

    async def test_a_yearly_one_starts_anew_in_shanghai(
        self, consumer: Consumer, container: CertnumberContainer, engine: sa.Engine
    ) -> None:
        await add_series(container, "赣（{year}）{serial:03}", ["30"], yearly=True)
        old, new = datetime(2025, 12, 31, 15, 58, tzinfo=UTC), datetime(2025, 12, 31, 15, 59, tzinfo=UTC)
        applications = [*await approve(consumer, 2, "30", old), *await approve(consumer, 1, "30", new)]
        assign(engine)
        numbers = [(await events_of(container.database, application))[0]["number"] for application in applications]
        assert sorted(numbers[:2]) == ["赣（2025）001", "赣（2025）002"]
        assert numbers[2] == "赣（2026）001"
        assert {entry.period for entry in (await proof_of(container.database)).series} == {2025, 2026}

    async def test_the_widest_serial(
        self, consumer: Consumer, container: CertnumberContainer, engine: sa.Engine
    ) -> None:
        widest = await add_series(container, "{serial:012}", ["20"])
        last = 10**12 - 2
        insert = "INSERT INTO counters (series_id, period, last) VALUES (:series, 0, :last) RETURNING last"
        await fetch(container.database, insert, series=widest, last=last)
        await approve(consumer, 2, "20")
        assert assign(engine) == 2
        assert await serials(container, widest) == [last + 1]
        assert (await proof_of(container.database)).failed == 1

    async def test_overflow_fails_loudly_until_the_layout_is_widened(
        self, consumer: Consumer, container: CertnumberContainer, engine: sa.Engine, limited: UUID
    ) -> None:
        applications = await approve(consumer, 12, "20")
        assert assign_all(engine, limit=5) == 12
        proof = await proof_of(container.database)
        assert (proof.failed, proof.waiting, proof.gapless) == (3, 0, True)
        assert proof.oldest_waiting is not None
        assert proof.oldest_waiting.failure_code == "series_exhausted"
        told = [event for application in applications for event in await events_of(container.database, application)]
        assert Counter(event["type"] for event in told) == {"certnumber.assigned": 9, "certnumber.failed": 3}
        assert {event["code"] for event in told if event["type"] == "certnumber.failed"} == {"series_exhausted"}

        await change_series(container, limited, layout="短{serial:04}")
        # Woken by the change itself.
        assert await serials(container, limited) == list(range(1, 13))
        with pytest.raises(LayoutInvalid):
            await change_series(container, limited, layout="短{serial:01}")
        proof = await proof_of(container.database)
        assert (proof.failed, proof.waiting, proof.oldest_waiting_seconds) == (0, 0, None)

    async def test_no_series_for_a_post_fails_until_there_is_one(
        self, consumer: Consumer, container: CertnumberContainer, engine: sa.Engine
    ) -> None:
        (default,) = await fetch(container.database, "SELECT id FROM series")
        await change_series(container, default["id"], active=False)
        (application,) = await approve(consumer, 1)
        assert assign(engine) == 1
        (event,) = await events_of(container.database, application)
        assert (event["code"], event["type"]) == ("no_series", "certnumber.failed")
        assert await serials(container) == []
        await change_series(container, default["id"], active=True)
        assert await serials(container) == [1]

    @pytest.mark.parametrize("layout", ["短({serial:01})", "短（{serial:01}）"], ids=["same", "only wider"])
    async def test_a_taken_number_fails_without_a_gap(
        self, consumer: Consumer, container: CertnumberContainer, engine: sa.Engine, layout: str
    ) -> None:
        first = await add_series(container, "短({serial:01})", ["20"])
        await approve(consumer, 2, "20")
        assign(engine)
        await change_series(container, first, active=False)
        second = await save_anyway(container, layout, ["20"])
        await approve(consumer, 3, "20")
        assert assign(engine) == 3
        assert await serials(container, second) == []
        failures = await fetch(container.database, "SELECT failure_code FROM approvals WHERE status = 'failed'")
        assert [row["failure_code"] for row in failures] == ["number_taken"] * 3
        await change_series(container, second, layout="新{serial:02}")
        assert await serials(container, second) == [1, 2, 3]
        assert (await proof_of(container.database)).gapless

    async def test_a_taken_number_leaves_its_serial_to_another_post(
        self, consumer: Consumer, container: CertnumberContainer, engine: sa.Engine
    ) -> None:
        first = await add_series(container, "共{post}{serial:02}", ["20"])
        await approve(consumer, 2, "20")
        assign(engine)
        await change_series(container, first, active=False)
        second = await save_anyway(container, "共{post}{serial:02}", ["20", "21"])
        for day, (count, post) in enumerate([(1, "20"), (4, "21"), (1, "20")], start=1):
            await approve(consumer, count, post, datetime(2026, 4, day, tzinfo=UTC))
        assign(engine)
        assert await serials(container, second) == [1, 2, 3, 4, 5]
        failures = await fetch(container.database, "SELECT failure_code FROM approvals WHERE status = 'failed'")
        assert [row["failure_code"] for row in failures] == ["number_taken"]

    async def test_two_series_of_one_number_stop_nobody_else_and_are_mended(
        self, consumer: Consumer, container: CertnumberContainer, engine: sa.Engine
    ) -> None:
        """Both wait in one batch: it must not fail as a whole, sweep after sweep."""
        first = await save_anyway(container, "共{serial:02}", ["20"])
        second = await save_anyway(container, "共{serial:02}", ["21"])
        applications = [*await approve(consumer, 2, "20"), *await approve(consumer, 2, "21")]
        (other,) = await approve(consumer, 1, "10", datetime(2026, 6, 1, tzinfo=UTC))
        assert assign_all(engine) == 5
        assert [event["type"] for event in await events_of(container.database, other)] == ["certnumber.assigned"]
        given = {series_id: await serials(container, series_id) for series_id in (first, second)}
        assert sorted(given.values()) == [[], [1, 2]]
        told = [event for application in applications for event in await events_of(container.database, application)]
        assert Counter(event.get("code", "given") for event in told) == {"given": 2, "number_taken": 2}

        stuck, post = (first, "20") if not given[first] else (second, "21")
        with pytest.raises(SeriesClash):
            await change_series(container, stuck, layout="共{serial:02}", posts=[post, "22"])
        await change_series(container, stuck, layout="另{serial:02}")
        assert await serials(container, stuck) == [1, 2]
        proof = await proof_of(container.database)
        assert (proof.failed, proof.waiting, proof.gapless) == (0, 0, True)

    async def test_of_two_saved_at_once_one_is_refused(self, container: CertnumberContainer) -> None:
        outcomes = await asyncio.gather(
            *(add_series(container, "同{serial:04}", [post]) for post in ("20", "21", "22", "23")),
            return_exceptions=True,
        )
        assert Counter(type(outcome) for outcome in outcomes) == {UUID: 1, SeriesClash: 3}

    async def test_a_change_and_the_numbering_never_miss_each_other(
        self, consumer: Consumer, container: CertnumberContainer, engine: sa.Engine, limited: UUID
    ) -> None:
        for width in range(2, 8):
            await approve(consumer, 10, "20")
            numbering = asyncio.gather(*(asyncio.to_thread(assign_all, engine, 3) for _ in range(2)))
            await change_series(container, limited, layout=f"短{width}{{serial:0{width}}}")
            await numbering
            await asyncio.to_thread(assign_all, engine)
        proof = await proof_of(container.database)
        assert (proof.failed, proof.waiting, proof.gapless) == (0, 0, True)
        assert await serials(container, limited) == list(range(1, 61))


class TestLedger:
    @pytest.mark.parametrize(
        "statement",
        [
            "DELETE FROM ledger",
            "TRUNCATE ledger",
            "UPDATE ledger SET serial = serial + 1",
            "UPDATE ledger SET number = 'x'",
            "UPDATE ledger SET state = 'void', voided_at = now(), holder_masked = '李*'",
            "UPDATE ledger SET enterprise_name = 'x'",
        ],
    )
    async def test_refuses(
        self, statement: str, consumer: Consumer, container: CertnumberContainer, engine: sa.Engine
    ) -> None:
        await approve(consumer, 1)
        assign(engine)
        with pytest.raises(sa.exc.IntegrityError) as refused:
            await fetch(container.database, statement)
        assert isinstance(refused.value.orig, psycopg.errors.RestrictViolation)

    async def test_a_void_number_stays_void(
        self, consumer: Consumer, container: CertnumberContainer, engine: sa.Engine
    ) -> None:
        (application,) = await approve(consumer, 1)
        assign(engine)
        await deliver(consumer, [message(withdrawn(application))])
        with pytest.raises(sa.exc.IntegrityError, match="only grows"):
            await fetch(container.database, "UPDATE ledger SET state = 'valid', voided_at = NULL")


class TestProof:
    async def test_finds_an_artificial_gap(
        self, consumer: Consumer, container: CertnumberContainer, engine: sa.Engine, url: str
    ) -> None:
        await approve(consumer, 20)
        assign(engine)
        assert (await proof_of(container.database)).gapless
        with psycopg.connect(url.replace("+psycopg", "")) as superuser:
            superuser.execute("SET session_replication_role = replica")
            superuser.execute("DELETE FROM ledger WHERE serial IN (1, 7, 8, 20)")
        proof = await proof_of(container.database)
        (entry,) = proof.series
        assert (proof.gapless, entry.gapless) == (False, False)
        assert (entry.count, entry.highest, entry.counter, entry.gaps) == (16, 19, 20, 4)
        assert entry.gap_examples == [1, 7, 8, 20]

    async def test_shows_the_first_ten_of_a_wide_gap(
        self, consumer: Consumer, container: CertnumberContainer, engine: sa.Engine, url: str
    ) -> None:
        await approve(consumer, 3)
        assign(engine)
        with psycopg.connect(url.replace("+psycopg", "")) as superuser:
            superuser.execute("SET session_replication_role = replica")
            superuser.execute("UPDATE ledger SET serial = 1000000 WHERE serial = 3")
        (entry,) = (await proof_of(container.database)).series
        assert entry.gaps == 999_997
        assert entry.gap_examples == list(range(3, 13))
        assert not entry.gapless

    async def test_finds_a_repeat(
        self, consumer: Consumer, container: CertnumberContainer, engine: sa.Engine, url: str
    ) -> None:
        await approve(consumer, 3)
        assign(engine)
        with psycopg.connect(url.replace("+psycopg", "")) as superuser:
            superuser.execute("SET session_replication_role = replica")
            superuser.execute("ALTER TABLE ledger DROP CONSTRAINT uq_ledger_serial")
            superuser.execute("UPDATE ledger SET serial = 1 WHERE serial = 2")
        (entry,) = (await proof_of(container.database)).series
        assert (entry.duplicates, entry.gaps, entry.gap_examples, entry.gapless) == (1, 1, [2], False)
