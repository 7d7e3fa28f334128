"""Imports that meet other writers of the same people and certificates."""

import asyncio
import random
from datetime import UTC, date, datetime
from uuid import uuid4

import sqlalchemy as sa

from services.renewal.models import ID_NUMBER, HeldCertificate, Person
from tests.integration.renewal.test_registry import counts, imported
from tests.support.office import Office, line, new_certificate, new_person
from tests.support.wait import until


async def somebody_waits(office: Office) -> bool:
    waiting = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    async with office.renewal.database.transaction() as session:
        return bool(await session.scalar(waiting))


async def test_a_chunk_is_judged_again_when_somebody_else_was_quicker(office: Office) -> None:
    first, both, second = new_person(), new_person(), new_person()
    one, theirs, other = new_certificate(), new_certificate(), new_certificate()
    table = [line(first, "10", one), line(both, "30", theirs), line(second, "10", other), line(second, "10", theirs)]
    cipher, now = office.renewal.cipher, datetime.now(UTC)
    stamps = {"created_at": now, "updated_at": now}
    async with office.renewal.database.transaction() as session:
        person = Person(
            id=uuid4(),
            id_number=cipher.encrypt(both, ID_NUMBER),
            id_number_index=cipher.blind_index(both),
            name="别名",
            sex="male",
            birth_date=date(1990, 1, 1),
            **stamps,
        )
        session.add(person)
        await session.flush()
        session.add(HeldCertificate(id=uuid4(), person_id=person.id, post="10", certificate_number=theirs, **stamps))
        await session.flush()
        importing = asyncio.create_task(imported(office, *table))
        await until(lambda: somebody_waits(office), what="the import to meet the other writer")
    report = await importing
    # Their person and certificate are there by now: an update, and somebody else's for the last row.
    assert counts(report) == (4, 2, 1, 0, 1)
    assert [error["code"] for error in report["errors"]] == ["certificate_taken"]
    assert counts(await imported(office, *table)) == (4, 0, 0, 3, 1)


async def test_many_imports_of_the_same_rows_at_once(office: Office) -> None:
    rows = [line(new_person(), "10", new_certificate()) for _ in range(40)]
    tables = [random.Random(seed).sample(rows, len(rows)) for seed in range(4)]
    reports = await asyncio.gather(*(imported(office, *table) for table in tables))
    assert sorted(map(counts, reports)) == [(40, 0, 0, 40, 0)] * 3 + [(40, 40, 0, 0, 0)]
