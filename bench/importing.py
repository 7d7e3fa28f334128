"""The registry's import: rows a second against a bare `unnest` of the same rows, and the memory that it takes."""

import io
import tempfile
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from uuid import uuid4

import psycopg
from pydantic import SecretStr

from bench.run import compare
from deploy.synthetic import id_number, person_name
from services.renewal.app import build
from services.renewal.container import RenewalContainer
from services.renewal.registry.report import ImportReport
from services.renewal.registry.service import import_registry
from services.renewal.settings import RenewalSettings
from shared.auth.tokens import Principal
from shared.runtime.settings import new_key
from tests.support.backing import Backing
from tests.support.platform import service_database

ROWS = 20_000
FEW, MANY = 10_000, 100_000
# Rows of the limit that are one transaction: as many as have no more to gain.
CHUNK = 5_000
REGISTRAR = Principal(
    issuer="review",
    subject=uuid4(),
    session=uuid4(),
    name="登记员",
    roles=frozenset({"registrar"}),
    must_change_password=False,
)
_PEOPLE = """
INSERT INTO people (id, id_number, id_number_index, name, sex, birth_date, created_at, updated_at)
SELECT * FROM unnest(%b::uuid[], %b::text[], %b::text[], %b::text[], %b::text[], %b::date[], %b::timestamptz[],
    %b::timestamptz[])
"""
_CERTIFICATES = """
INSERT INTO held_certificates (id, person_id, post, certificate_number, valid_until, created_at, updated_at)
SELECT * FROM unnest(%b::uuid[], %b::uuid[], %b::text[], %b::text[], %b::date[], %b::timestamptz[], %b::timestamptz[])
"""
_serial = count()


def table(rows: int) -> bytes:
    """A CSV of people nobody has had yet, with a certificate each."""
    lines = ["身份证号,姓名,岗位,证书编号,有效期至"]
    for n in (next(_serial) for _ in range(rows)):
        person = id_number("male", date(1960, 1, 1) + timedelta(days=n // 500), n % 500)
        lines.append(f"{person},{person_name(n)},30,赣建安C(2021){n:07d},{date(2027, 1, 1) + timedelta(days=n % 1000)}")
    return "\n".join(lines).encode()


def _bare(url: str) -> Callable[[], Awaitable[float]]:
    """What is written of such a table, without reading, checking, sealing or comparing anything."""

    async def measure() -> float:
        now, rows = datetime.now(UTC), []
        for n in (next(_serial) for _ in range(ROWS)):
            person, number = uuid4(), f"{n:064x}"
            rows.append(((person, "k1." + "x" * 62, number, person_name(n), "male", date(1990, 1, 1), now, now), n))
        started = time.perf_counter()
        async with await psycopg.AsyncConnection.connect(url) as connection:
            for at in range(0, ROWS, CHUNK):
                people = [person for person, _ in rows[at : at + CHUNK]]
                held = [
                    (uuid4(), person[0], "30", f"赣建安C(2021){n:07d}", date(2027, 1, 1), now, now)
                    for person, n in rows[at : at + CHUNK]
                ]
                await connection.execute(_PEOPLE, [list(column) for column in zip(*people, strict=True)])
                await connection.execute(_CERTIFICATES, [list(column) for column in zip(*held, strict=True)])
                await connection.commit()
        return ROWS / (time.perf_counter() - started)

    return measure


async def _imported(container: RenewalContainer, data: bytes, *, dry_run: bool = False) -> ImportReport:
    (report,) = [
        step
        async for step in import_registry(container, REGISTRAR, io.BytesIO(data), dry_run=dry_run)
        if isinstance(step, ImportReport)
    ]
    return report


def _ours(container: RenewalContainer, times: dict[str, float]) -> dict[str, Callable[[], Awaitable[float]]]:
    """A new table's dry run, its import, and the same once more; `times` are seconds of processor time a row."""
    tables = iter(lambda: table(ROWS), None)
    current = b""

    def measured(
        name: str, outcome: str, *, new: bool = False, dry_run: bool = False
    ) -> Callable[[], Awaitable[float]]:
        async def measure() -> float:
            nonlocal current
            current = next(tables) if new else current
            started, spent = time.perf_counter(), time.process_time()
            report = await _imported(container, current, dry_run=dry_run)
            elapsed, times[name] = time.perf_counter() - started, (time.process_time() - spent) / ROWS
            assert getattr(report, outcome) == ROWS, report  # noqa: S101 - a measurement of refused rows is none
            return ROWS / elapsed

        return measure

    return {
        "dry run": measured("dry run", "created", new=True, dry_run=True),
        "import": measured("import", "created"),
        "the same again": measured("the same again", "unchanged"),
    }


async def _peak(container: RenewalContainer, rows: int, *, dry_run: bool) -> float:
    """MiB that Python has allocated at most, beyond the table itself."""
    data = table(rows)
    tracemalloc.start()
    try:
        await _imported(container, data, dry_run=dry_run)
        return tracemalloc.get_traced_memory()[1] / 1024 / 1024
    finally:
        tracemalloc.stop()


async def importing(backing: Backing, rounds: int) -> None:
    """Measure the import of a new table, and print."""
    with service_database(backing.postgres, "renewal") as url, tempfile.TemporaryDirectory() as directory:
        settings = RenewalSettings(
            database_url=SecretStr(url),
            data_keys=SecretStr(f"k1:{new_key()}"),
            index_key=SecretStr(new_key()),
            store_directory=Path(directory),
            jwks_urls=dict.fromkeys(RenewalSettings.trusted_issuers, "http://localhost"),
        )
        container = build(settings)
        try:
            times: dict[str, float] = {}
            bare = {"bare unnest": _bare(url.replace("+psycopg", ""))}
            title = f"Import of {ROWS:,} people with a certificate each"
            await compare(title, "rows/s", "bare unnest", bare | _ours(container, times), rounds)
            for name, spent in times.items():
                print(f"  {name:34} {1e6 * spent:10.1f} µs of processor time a row, without the database's")
            for dry_run in (True, False):
                few, many = [await _peak(container, rows, dry_run=dry_run) for rows in (FEW, MANY)]
                what = "dry run" if dry_run else "import"
                print(f"  {what:34} {few:10.1f} MiB at most for {FEW:,} rows, {many:.1f} for {MANY:,}")
        finally:
            await container.close()
