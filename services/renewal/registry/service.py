"""Import of people and the certificates they hold, and the registrar's look at one person."""

from collections import ChainMap
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import BinaryIO, Self
from uuid import uuid4

import anyio.to_thread
from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal.audit import AuditAction
from services.renewal.container import RenewalContainer
from services.renewal.errors import TableInvalid
from services.renewal.models import ID_NUMBER, Application, HeldCertificate, Person
from services.renewal.queries import posts
from services.renewal.registry import queries
from services.renewal.registry.file import TEMPLATE_COLUMNS, RegisteredCertificate, RegistryRow, RowError, parse_row
from services.renewal.registry.plan import Change, Holding, Snapshot, plan
from services.renewal.service.eligibility import get_person
from shared.audit import trail
from shared.auth.tokens import Principal
from shared.files import tabular
from shared.files.tabular import TableError
from shared.values.clock import business_day
from shared.values.idnumber import mask
from shared.values.text import search

MAX_ROWS = 100_000
MAX_REPORTED_ERRORS = 1_000


# What a row changes, or what is wrong with it.
Judged = Change | Sequence[RowError]


@dataclass
class ImportReport:
    """`failed` counts all bad rows; `errors` holds the first thousand as (row number in the sheet, error)."""

    rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0
    errors: list[tuple[int, RowError]] = field(default_factory=list)

    def count(self, number: int, judged: Judged) -> None:
        """Count the row of this number in the sheet."""
        self.rows += 1
        if isinstance(judged, Change):
            setattr(self, judged.outcome, getattr(self, judged.outcome) + 1)
        else:
            self.failed += 1
            room = MAX_REPORTED_ERRORS - len(self.errors)
            self.errors += [(number, error) for error in islice(judged, room)]


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
        known = await posts(reading)
    codes = {code: code for code in known} | {search(post.name): code for code, post in known.items()}
    report = ImportReport()
    ahead = Snapshot({}, {})
    today = business_day(container.clock.now())
    reader = tabular.rows(file, TEMPLATE_COLUMNS, MAX_ROWS)
    try:
        while chunk := await anyio.to_thread.run_sync(_next_chunk, container, reader, codes, today):
            async with container.database.transaction() as own:
                if dry_run:
                    planned = await _rehearse(own, chunk, ahead)
                else:
                    planned = await _import(container, own, chunk)
            # Only what is committed counts.
            for parsed, judged in zip(chunk, planned, strict=True):
                report.count(parsed.number, judged)
            yield report.rows
    except TableError as error:
        raise _invalid(error, 0 if dry_run else report.rows) from None
    finally:
        if report.rows and not dry_run:
            # Also for a caller who leaves: what he brought is in.
            with anyio.CancelScope(shield=True):
                await _record(container, principal, report)
    yield report


def _invalid(error: TableError, imported: int) -> TableInvalid:
    return TableInvalid(error.message, table=error.code, row=error.row, imported=imported)


async def _record(container: RenewalContainer, principal: Principal, report: ImportReport) -> None:
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
    for number, row in islice(reader, container.import_chunk):
        found = parse_row(row, posts, today)
        index = container.cipher.blind_index(found.person.value) if isinstance(found, RegistryRow) else ""
        chunk.append(Parsed(number, found, index))
    return chunk


@dataclass(frozen=True)
class _Known:
    """What the database holds of the people and the certificates that a chunk names."""

    people: dict[str, Person]
    certificates: dict[str, tuple[HeldCertificate, str]]

    @classmethod
    async def load(cls, session: AsyncSession, good: Mapping[int, tuple[str, RegistryRow]], *, lock: bool) -> Self:
        people = await queries.people_by_index(session, [index for index, _ in good.values()], lock=lock)
        numbers = [row.certificate.number for _, row in good.values() if row.certificate]
        # With the holders as they are: somebody who came after the people were read is not a stranger.
        return cls(people, await queries.certificates_with_owners(session, numbers))

    def under(self, ahead: Snapshot) -> Snapshot:
        """As it will be after what is `ahead`, which takes up what changes from here on."""
        names = {index: person.name for index, person in self.people.items()}
        holdings = {
            number: Holding(
                owner,
                RegisteredCertificate(held.post, number, held.valid_until),
                by_platform=held.application_id is not None,
            )
            for number, (held, owner) in self.certificates.items()
        }
        return Snapshot(ChainMap(ahead.names, names), ChainMap(ahead.holdings, holdings))


def _good(chunk: Sequence[Parsed]) -> dict[int, tuple[str, RegistryRow]]:
    """The rows without an error, by their number in the sheet."""
    return {p.number: (p.index, p.found) for p in chunk if isinstance(p.found, RegistryRow)}


def _judge(chunk: Sequence[Parsed], good: Mapping[int, tuple[str, RegistryRow]], snapshot: Snapshot) -> list[Judged]:
    """What becomes of every row of the chunk, in order."""
    planned = dict(zip(good, plan(good.values(), snapshot), strict=True))
    judged: list[Judged] = []
    for parsed in chunk:
        own = planned[parsed.number] if isinstance(parsed.found, RegistryRow) else parsed.found
        judged.append([own] if isinstance(own, RowError) else own)
    return judged


async def _rehearse(session: AsyncSession, chunk: Sequence[Parsed], ahead: Snapshot) -> list[Judged]:
    """Judge the chunk; what it would change is `ahead` of the chunks to come."""
    good = _good(chunk)
    known = await _Known.load(session, good, lock=False)
    return _judge(chunk, good, known.under(ahead))


async def _import(container: RenewalContainer, session: AsyncSession, chunk: Sequence[Parsed]) -> list[Judged]:
    """Judge the chunk and write what it changes."""
    good = _good(chunk)
    while True:
        known = await _Known.load(session, good, lock=True)
        ahead = Snapshot({}, {})
        judged = _judge(chunk, good, known.under(ahead))
        async with session.begin_nested() as savepoint:
            if await _write(container, session, good, known, ahead):
                return judged
            # Somebody else has written a row in the meantime: judge again from that.
            await savepoint.rollback()


async def _write(
    container: RenewalContainer,
    session: AsyncSession,
    good: Mapping[int, tuple[str, RegistryRow]],
    known: _Known,
    ahead: Snapshot,
) -> bool:
    """Write what is `ahead` of what is known; False if something new is there by now."""
    now = container.clock.now()
    stamps = {"created_at": now, "updated_at": now}
    ids = {index: person.id for index, person in known.people.items()}
    new_people = {
        index: {
            "id": ids.setdefault(index, uuid4()),
            "id_number": container.cipher.encrypt(row.person.value, ID_NUMBER),
            "id_number_index": index,
            "name": ahead.names[index],
            "sex": row.person.sex,
            "birth_date": row.person.birth_date,
            **stamps,
        }
        for index, row in good.values()
        if index in ahead.names and index not in known.people
    }
    new_certificates = [
        {
            "id": uuid4(),
            "person_id": ids[holding.owner],
            "post": holding.certificate.post,
            "certificate_number": number,
            "valid_until": holding.certificate.valid_until,
            **stamps,
        }
        for number, holding in sorted(ahead.holdings.items())
        if number not in known.certificates
    ]
    # In one order, so that two imports with the same rows wait for each other and do not deadlock.
    if not await queries.insert_people(session, [row for _, row in sorted(new_people.items())]):
        return False
    if not await queries.insert_certificates(session, new_certificates):
        return False
    for index in ahead.names.keys() & known.people.keys():
        person = known.people[index]
        person.name, person.updated_at = ahead.names[index], now
    for number in ahead.holdings.keys() & known.certificates.keys():
        (held, _), certificate = known.certificates[number], ahead.holdings[number].certificate
        held.post, held.valid_until, held.updated_at = certificate.post, certificate.valid_until, now
    return True


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
        await queries.certificates_of(session, person),
        await queries.applications_of(session, person),
    )
