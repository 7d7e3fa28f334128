"""Import of people and the certificates they hold, and the registrar's look at one person."""

from collections import ChainMap
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from typing import BinaryIO
from uuid import uuid4

import anyio.to_thread
from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal import queries
from services.renewal.audit import AuditAction
from services.renewal.container import RenewalContainer
from services.renewal.errors import TableInvalid
from services.renewal.models import Application, HeldCertificate, Person
from services.renewal.registry import queries as registry_queries
from services.renewal.registry.file import TEMPLATE_COLUMNS, RegistryRow, RowError, parse_row
from services.renewal.registry.plan import Held, Known, Outcome
from services.renewal.service.changes import ID_NUMBER
from services.renewal.service.eligibility import get_person
from shared.audit import trail
from shared.auth.tokens import Principal
from shared.files import tabular
from shared.files.tabular import TableError
from shared.values.clock import business_day
from shared.values.idnumber import mask

MAX_ROWS = 100_000
MAX_REPORTED_ERRORS = 1_000
CHUNK = 500


@dataclass
class ImportReport:
    """`failed` counts all bad rows; `errors` holds the first thousand as (row number in the sheet, error)."""

    rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0
    errors: list[tuple[int, RowError]] = field(default_factory=list)

    def count(self, row: int, outcome: Outcome | RowError) -> None:
        if isinstance(outcome, RowError):
            self.fail(row, [outcome])
        else:
            setattr(self, outcome, getattr(self, outcome) + 1)

    def fail(self, row: int, errors: Iterable[RowError]) -> None:
        self.failed += 1
        room = MAX_REPORTED_ERRORS - len(self.errors)
        self.errors += [(row, error) for error in islice(errors, room)]


async def count_rows(file: BinaryIO) -> int | None:
    """How many rows an import will go through, None if that is not to be had quickly. Raises TableInvalid."""
    try:
        return await anyio.to_thread.run_sync(tabular.count_rows, file, TEMPLATE_COLUMNS, MAX_ROWS)
    except TableError as error:
        raise _invalid(error, 0) from None


async def import_registry(
    container: RenewalContainer, principal: Principal, file: BinaryIO, *, dry_run: bool = False
) -> AsyncGenerator[int | ImportReport]:
    """Take in a table; yields the number of rows done after each chunk, and the report last.

    Every chunk of rows is a transaction of its own, because an import of a whole province must not hold the persons'
    locks that submissions wait for; importing the same table again changes nothing. A dry run only reads, and keeps
    what the rows so far would change in memory, some 50 MB for 100,000 new rows.

    Raises TableInvalid; rows before the place where a table breaks off, or before a caller who leaves, are kept.
    """
    async with container.database.transaction() as reading:
        names = await queries.posts(reading)
    posts = {code: code for code in names} | {post.name: code for code, post in names.items()}
    report = ImportReport()
    ahead = Known({}, {})
    today = business_day(container.clock.now())
    reader = tabular.rows(file, TEMPLATE_COLUMNS, MAX_ROWS)
    try:
        while chunk := await anyio.to_thread.run_sync(_next_chunk, container, reader, posts, today):
            async with container.database.transaction() as own:
                if dry_run:
                    await _rehearse_chunk(own, chunk, ahead, report)
                else:
                    await _import_chunk(container, own, chunk, report)
            yield report.rows
    except TableError as error:
        raise _invalid(error, 0 if dry_run else report.rows) from None
    finally:
        if report.rows and not dry_run:
            # Also for a caller who leaves: what he brought is in.
            with anyio.CancelScope(shield=True):
                await _remember(container, principal, report)
    yield report


def _invalid(error: TableError, imported: int) -> TableInvalid:
    return TableInvalid(error.message, table=error.code, row=error.row, imported=imported)


async def _remember(container: RenewalContainer, principal: Principal, report: ImportReport) -> None:
    async with container.database.transaction() as session:
        counts = {name: getattr(report, name) for name in ("rows", "created", "updated", "unchanged", "failed")}
        trail.add(session, container.clock.now(), principal, AuditAction.registry_imported, None, counts)


@dataclass(frozen=True)
class Parsed:
    """A row by its number in the sheet; `index` is the blind index of a good one's person."""

    number: int
    found: RegistryRow | list[RowError]
    index: str


def _next_chunk(
    container: RenewalContainer, reader: Iterator[tuple[int, dict[str, str]]], posts: dict[str, str], today: date
) -> list[Parsed]:
    chunk = []
    for number, row in islice(reader, CHUNK):
        found = parse_row(row, posts, today)
        index = container.cipher.blind_index(found.person.value) if isinstance(found, RegistryRow) else ""
        chunk.append(Parsed(number, found, index))
    return chunk


def _good(chunk: Sequence[Parsed]) -> list[tuple[str, RegistryRow]]:
    return [(parsed.index, parsed.found) for parsed in chunk if isinstance(parsed.found, RegistryRow)]


def _tally(chunk: Sequence[Parsed], known: Known, report: ImportReport) -> None:
    for parsed in chunk:
        report.rows += 1
        if isinstance(parsed.found, RegistryRow):
            report.count(parsed.number, known.take(parsed.index, parsed.found))
        else:
            report.fail(parsed.number, parsed.found)


def _known(people: Mapping[str, Person], certificates: Mapping[str, HeldCertificate]) -> Known:
    owners = {person.id: index for index, person in people.items()}
    return Known(
        {index: person.name for index, person in people.items()},
        {
            number: Held(owners.get(held.person_id), held.post, held.valid_until, held.application_id is not None)
            for number, held in certificates.items()
        },
    )


async def _rehearse_chunk(session: AsyncSession, chunk: Sequence[Parsed], ahead: Known, report: ImportReport) -> None:
    good = _good(chunk)
    people = await registry_queries.people_by_index(session, [index for index, _ in good], lock=False)
    numbers = [row.certificate.number for _, row in good if row.certificate]
    known = _known(people, await queries.certificates_by_number(session, numbers))
    # What is assigned stays in `ahead`.
    overlaid = Known(ChainMap(ahead.names, known.names), ChainMap(ahead.certificates, known.certificates))
    _tally(chunk, overlaid, report)


async def _import_chunk(
    container: RenewalContainer, session: AsyncSession, chunk: Sequence[Parsed], report: ImportReport
) -> None:
    good = _good(chunk)
    now = container.clock.now()
    people, new_people = await _insert_people(container, session, good, now)
    certificates, new_certificates = await _insert_certificates(session, good, people, now)
    known = _known(people, certificates)
    for index in new_people:
        del known.names[index]
    for number in new_certificates:
        del known.certificates[number]
    _tally(chunk, known, report)
    for index, person in people.items():
        if person.name != known.names[index]:
            person.name, person.updated_at = known.names[index], now
    for number, certificate in certificates.items():
        held = known.certificates[number]
        if (certificate.post, certificate.valid_until) != (held.post, held.valid_until):
            certificate.post, certificate.valid_until, certificate.updated_at = held.post, held.valid_until, now


async def _insert_people(
    container: RenewalContainer, session: AsyncSession, good: Sequence[tuple[str, RegistryRow]], now: datetime
) -> tuple[dict[str, Person], set[str]]:
    """People of the chunk by index, and the indexes that are new."""
    indexes = [index for index, _ in good]
    people = await registry_queries.people_by_index(session, indexes, lock=True)
    missing = {index: row for index, row in good if index not in people}
    inserted = await registry_queries.insert_people(
        session,
        [
            {
                "id": uuid4(),
                "id_number": container.cipher.encrypt(row.person.value, ID_NUMBER),
                "id_number_index": index,
                "name": row.name,
                "sex": row.person.sex,
                "birth_date": row.person.birth_date,
                "created_at": now,
                "updated_at": now,
            }
            for index, row in sorted(missing.items())
        ],
    )
    if missing:
        people = await registry_queries.people_by_index(session, indexes, lock=True)
    return people, inserted


async def _insert_certificates(
    session: AsyncSession, good: Sequence[tuple[str, RegistryRow]], people: dict[str, Person], now: datetime
) -> tuple[dict[str, HeldCertificate], set[str]]:
    """Certificates of the chunk by number, and the numbers that are new. The first row that names one has it."""
    wanted = {row.certificate.number: (row.certificate, index) for index, row in reversed(good) if row.certificate}
    known = await queries.certificates_by_number(session, wanted)
    inserted = await registry_queries.insert_certificates(
        session,
        [
            {
                "id": uuid4(),
                "person_id": people[index].id,
                "post": held.post,
                "certificate_number": number,
                "valid_until": held.valid_until,
                "created_at": now,
                "updated_at": now,
            }
            for number, (held, index) in sorted(wanted.items())
            if number not in known
        ],
    )
    return await queries.certificates_by_number(session, wanted), inserted


@dataclass(frozen=True)
class RegistryPerson:
    person: Person
    id_number: str
    certificates: Sequence[tuple[HeldCertificate, str]]
    applications: Sequence[tuple[Application, str]]


async def read_person(
    container: RenewalContainer, session: AsyncSession, principal: Principal, id_number: str
) -> RegistryPerson:
    """Leaves an audit entry. Raises IdNumberInvalid, PersonNotFound."""
    person, number = await get_person(container, session, id_number)
    trail.add(session, container.clock.now(), principal, AuditAction.person_viewed, mask(number), {})
    return RegistryPerson(
        person,
        number,
        await registry_queries.certificates_of(session, person),
        await registry_queries.applications_of(session, person),
    )
