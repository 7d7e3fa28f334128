"""Import of people and the certificates they hold, and the registrar's look at one person."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from typing import BinaryIO
from uuid import uuid4

import anyio.to_thread
from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal import queries, registry_queries
from services.renewal.audit import AuditAction
from services.renewal.container import RenewalContainer
from services.renewal.errors import TableInvalid
from services.renewal.models import Application, HeldCertificate, Person
from services.renewal.registry_file import TEMPLATE_COLUMNS, RegistryRow, RowError, parse_row
from services.renewal.service.changes import ID_NUMBER
from services.renewal.service.eligibility import get_person
from shared import audit
from shared.auth.tokens import Principal
from shared.clock import business_day
from shared.idnumber import mask
from shared.tabular import TableError, rows

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
    errors: list[tuple[int, str, str, str]] = field(default_factory=list)

    def fail(self, row: int, column: str, code: str, message: str, *, first: bool = True) -> None:
        self.failed += first
        if len(self.errors) < MAX_REPORTED_ERRORS:
            self.errors.append((row, column, code, message))


async def import_registry(container: RenewalContainer, principal: Principal, file: BinaryIO) -> ImportReport:
    """Take in a table. Every chunk of rows is a transaction of its own, because an import of a whole province must not
    hold the persons' locks that submissions wait for; importing the same table again changes nothing.

    Raises TableInvalid; rows before the place where a table breaks off are kept.
    """
    async with container.database.transaction() as reading:
        names = await queries.posts(reading)
    posts = {code: code for code in names} | {post.name: code for code, post in names.items()}
    report = ImportReport()
    today = business_day(container.clock.now())
    reader = rows(file, TEMPLATE_COLUMNS, MAX_ROWS)
    try:
        while chunk := await anyio.to_thread.run_sync(_next_chunk, reader, posts, today):
            async with container.database.transaction() as own:
                await _import_chunk(container, own, chunk, report)
    except TableError as error:
        raise TableInvalid(error.message, table=error.code, row=error.row, imported=report.rows) from None
    finally:
        if report.rows:
            await _remember(container, principal, report)
    return report


async def _remember(container: RenewalContainer, principal: Principal, report: ImportReport) -> None:
    async with container.database.transaction() as session:
        counts = {name: getattr(report, name) for name in ("rows", "created", "updated", "unchanged", "failed")}
        audit.add(session, container.clock.now(), principal, AuditAction.registry_imported, None, counts)


Parsed = tuple[int, RegistryRow | list[RowError]]


def _next_chunk(reader: Iterator[tuple[int, dict[str, str]]], posts: dict[str, str], today: date) -> list[Parsed]:
    return [(number, parse_row(row, posts, today)) for number, row in islice(reader, CHUNK)]


async def _import_chunk(
    container: RenewalContainer, session: AsyncSession, chunk: Sequence[Parsed], report: ImportReport
) -> None:
    good: list[tuple[int, RegistryRow, str]] = []
    for number, parsed in chunk:
        report.rows += 1
        if isinstance(parsed, RegistryRow):
            good.append((number, parsed, container.privacy.blind_index(parsed.person.value)))
            continue
        for position, error in enumerate(parsed):
            report.fail(number, error.column, error.code, error.message, first=position == 0)
    now = container.clock.now()
    people, new_people, renamed = await _upsert_people(container, session, good, now)
    certificates, new_certificates = await _insert_certificates(session, good, people, now)
    for number, row, index in good:
        person, held = people[index], row.certificate
        created, updated = index in new_people, index in renamed
        new_people.discard(index)
        renamed.discard(index)
        if held is not None:
            certificate = certificates[held.number]
            if certificate.person_id != person.id:
                report.fail(number, "certificate_number", "certificate_taken", "该证书编号已登记在其他人员名下")
                continue
            if held.number in new_certificates:
                created = True
                new_certificates.discard(held.number)
            elif certificate.application_id is None:
                updated |= _change_certificate(certificate, held.post, held.valid_until, now)
        report.created += created
        report.updated += updated and not created
        report.unchanged += not (created or updated)


async def _upsert_people(
    container: RenewalContainer, session: AsyncSession, good: Sequence[tuple[int, RegistryRow, str]], now: datetime
) -> tuple[dict[str, Person], set[str], set[str]]:
    """People of the chunk by index, and the indexes that are new and that got another name."""
    indexes = [index for _, _, index in good]
    people = await registry_queries.people_by_index(session, indexes)
    missing = {index: row for _, row, index in good if index not in people}
    inserted = await registry_queries.insert_people(
        session,
        [
            {
                "id": uuid4(),
                "id_number": container.privacy.encrypt(row.person.value, ID_NUMBER),
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
        people = await registry_queries.people_by_index(session, indexes)
    renamed = set()
    for _, row, index in good:
        person = people[index]
        if person.name != row.name:
            person.name, person.updated_at = row.name, now
            if index not in inserted:
                renamed.add(index)
    return people, inserted, renamed


async def _insert_certificates(
    session: AsyncSession, good: Sequence[tuple[int, RegistryRow, str]], people: dict[str, Person], now: datetime
) -> tuple[dict[str, HeldCertificate], set[str]]:
    """Certificates of the chunk by number, and the numbers that are new. A number stays with who had it first."""
    wanted = {row.certificate.number: (row.certificate, index) for _, row, index in reversed(good) if row.certificate}
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


def _change_certificate(certificate: HeldCertificate, post: str, valid_until: date | None, now: datetime) -> bool:
    if (certificate.post, certificate.valid_until) == (post, valid_until):
        return False
    certificate.post, certificate.valid_until, certificate.updated_at = post, valid_until, now
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
    audit.add(session, container.clock.now(), principal, AuditAction.person_viewed, mask(number), {})
    return RegistryPerson(
        person,
        number,
        await registry_queries.certificates_of(session, person),
        await registry_queries.applications_of(session, person),
    )
