"""Import of people and the certificates they hold."""

from collections import ChainMap, defaultdict
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice
from typing import BinaryIO, Self
from uuid import uuid4

import anyio.to_thread
from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal.audit import AuditAction
from services.renewal.container import RenewalContainer
from services.renewal.domain import NUMBER_DIGITS, number_key
from services.renewal.errors import TableInvalid
from services.renewal.models import ID_NUMBER, HeldCertificate, Person
from services.renewal.queries import posts
from services.renewal.registry import queries, sealing
from services.renewal.registry.file import (
    COLUMNS,
    RegisteredCertificate,
    RegistryRow,
    codes_of,
    parse_row,
)
from services.renewal.registry.people import restate, superseded_values
from services.renewal.registry.plan import Change, Holding, Snapshot, plan
from services.renewal.registry.report import ImportReport, Judged, Parsed
from shared.audit import trail
from shared.auth.tokens import Principal
from shared.files.tables import table
from shared.files.tables.errors import TableError
from shared.files.tables.table import Row
from shared.persistence.cipher import FieldCipher
from shared.values.clock import business_day

MAX_ROWS = 100_000


async def count_rows(file: BinaryIO) -> int | None:
    """How many rows an import will go through, None if that is not to be had quickly. Raises TableInvalid."""
    try:
        return await anyio.to_thread.run_sync(table.count_rows, file, COLUMNS, MAX_ROWS)
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
    if not dry_run:
        await sealing.seal_stored(container)
    async with container.database.transaction() as reading:
        codes = codes_of(await posts(reading))
        digits = await _digits(reading)
    report = ImportReport()
    ahead = Snapshot({}, {}, digits=digits)
    today = business_day(container.clock.now())
    reader = table.rows(file, COLUMNS, MAX_ROWS)
    try:
        while chunk := await anyio.to_thread.run_sync(_next_chunk, container, reader, codes, today):
            async with container.database.transaction() as own:
                if dry_run:
                    planned = await _rehearse(container, own, chunk, ahead)
                else:
                    planned = await _import(container, own, principal, chunk, ahead)
            # Only what is committed counts.
            for parsed, judged in zip(chunk, planned, strict=True):
                report.count(parsed, judged)
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


def _next_chunk(container: RenewalContainer, reader: Iterator[Row], posts: dict[str, str], today: date) -> list[Parsed]:
    chunk = []
    for row in islice(reader, container.import_chunk):
        found = parse_row(row.texts, posts, today, row.faults)
        index = ""
        if isinstance(found, RegistryRow):
            index = container.cipher.blind_index(found.person.value)
            found = sealing.sealed_row(container.cipher, found)
        chunk.append(Parsed(row.number, found, index))
    return chunk


async def _digits(session: AsyncSession) -> int | None:
    """How many digits the platform's own numbers have; None if they have other characters too."""
    number = await queries.newest_platform_number(session)
    if number is None:
        return NUMBER_DIGITS
    return len(number) if number.isdecimal() else None


@dataclass(frozen=True)
class _Known:
    """What the database holds of the people and the certificates that a chunk names."""

    people: dict[str, Person]
    certificates: dict[str, queries.Known]
    being_numbered: dict[str, frozenset[str]]

    @classmethod
    async def load(cls, session: AsyncSession, good: Mapping[int, tuple[str, RegistryRow]], *, lock: bool) -> Self:
        people = await queries.people_by_index(session, [index for index, _ in good.values()], lock=lock)
        numbers = [row.certificate.number for _, row in good.values() if row.certificate]
        # With the holders as they are: somebody who came after the people were read is not a stranger.
        certificates = await queries.certificates_like(session, numbers)
        waiting = await queries.posts_being_numbered(session, [person.id for person in people.values()])
        being_numbered = {index: waiting[person.id] for index, person in people.items() if person.id in waiting}
        return cls(people, certificates, being_numbered)

    def under(self, cipher: FieldCipher, ahead: Snapshot) -> Snapshot:
        """As it will be after what is `ahead`, which takes up what changes from here on."""
        names = {index: person.name for index, person in self.people.items()}
        superseded = {index: frozenset(person.superseded_names) for index, person in self.people.items()}
        holdings: defaultdict[str, tuple[Holding, ...]] = defaultdict(tuple)
        for number, known in self.certificates.items():
            holdings[number_key(number)] += (_holding(cipher, *known),)
        return replace(
            ahead,
            names=ChainMap(ahead.names, names),
            holdings=ChainMap(ahead.holdings, dict(holdings)),
            superseded_names=superseded,
            being_numbered=self.being_numbered,
        )


def _holding(cipher: FieldCipher, held: HeldCertificate, owner: str, right: HeldCertificate | None) -> Holding:
    private = held.clear_number(cipher) if held.sealed_number else None
    by_platform = held.application_id is not None
    return Holding(
        owner,
        RegisteredCertificate(held.post, held.certificate_number, held.valid_until, private),
        by_platform=by_platform,
        removed=held.voided_at is not None and not by_platform and right is None,
        corrected_to=right.shown_number(cipher) if right else None,
        superseded=tuple(superseded_values(held)),
    )


def _good(chunk: Sequence[Parsed]) -> dict[int, tuple[str, RegistryRow]]:
    """The rows without an error, by their number in the sheet."""
    return {p.number: (p.index, p.found) for p in chunk if isinstance(p.found, RegistryRow)}


def _judge(chunk: Sequence[Parsed], good: Mapping[int, tuple[str, RegistryRow]], snapshot: Snapshot) -> list[Judged]:
    """What becomes of every row of the chunk, in order."""
    planned = dict(zip(good, plan(good.values(), snapshot), strict=True))
    return [planned[each.number] if isinstance(each.found, RegistryRow) else each.found for each in chunk]


async def _rehearse(
    container: RenewalContainer, session: AsyncSession, chunk: Sequence[Parsed], ahead: Snapshot
) -> list[Judged]:
    """Judge the chunk; what it would change is `ahead` of the chunks to come."""
    good = _good(chunk)
    known = await _Known.load(session, good, lock=False)
    return _judge(chunk, good, known.under(container.cipher, ahead))


async def _import(
    container: RenewalContainer,
    session: AsyncSession,
    principal: Principal,
    chunk: Sequence[Parsed],
    ahead: Snapshot,
) -> list[Judged]:
    """Judge the chunk, write what it changes, and tell of whose applications that is; what it states is `ahead` of the
    chunks to come."""
    good = _good(chunk)
    stated = ahead.stated & {row.certificate.number for _, row in good.values() if row.certificate}
    while True:
        known = await _Known.load(session, good, lock=True)
        attempt = replace(ahead, names={}, holdings={}, stated=set(stated))
        judged = _judge(chunk, good, known.under(container.cipher, attempt))
        changes = [each for each in judged if isinstance(each, Change)]
        async with session.begin_nested() as savepoint:
            if await _write(container, session, good, known, changes):
                break
            # Somebody else has written a row in the meantime: judge again from that.
            await savepoint.rollback()
    ahead.stated.update(attempt.stated)
    ids = {index: person.id for index, person in known.people.items()}
    await restate(
        container,
        session,
        principal,
        renamed={ids[each.index] for each in changes if each.name is not None and each.index in ids},
        changed={ids[each.index] for each in changes if each.holding is not None and each.index in ids},
    )
    return judged


async def _write(
    container: RenewalContainer,
    session: AsyncSession,
    good: Mapping[int, tuple[str, RegistryRow]],
    known: _Known,
    changes: Sequence[Change],
) -> bool:
    """Write the changes of what is known; False if something new is there by now."""
    now = container.clock.now()
    stamps = {"created_at": now, "updated_at": now}
    names = {change.index: change.name for change in changes if change.name is not None}
    holdings = {change.holding.number: change.holding for change in changes if change.holding is not None}
    ids = {index: person.id for index, person in known.people.items()}
    new_people = {
        index: {
            "id": ids.setdefault(index, uuid4()),
            "id_number": container.cipher.encrypt(row.person.value, ID_NUMBER),
            "id_number_index": index,
            "name": names[index],
            "sex": row.person.sex,
            "birth_date": row.person.birth_date,
            **stamps,
        }
        for index, row in good.values()
        if index in names and index not in known.people
    }
    new_certificates = [
        {
            "id": uuid4(),
            "person_id": ids[holding.owner],
            "post": holding.certificate.post,
            "certificate_number": number,
            "sealed_number": sealing.ciphertext(container.cipher, holding.certificate),
            "valid_until": holding.certificate.valid_until,
            **stamps,
        }
        for number, holding in sorted(holdings.items())
        if number not in known.certificates
    ]
    # In one order, so that two imports with the same rows wait for each other and do not deadlock.
    if not await queries.insert_people(session, [row for _, row in sorted(new_people.items())]):
        return False
    for number in sorted(holdings.keys() & known.certificates.keys()):
        (held, owner, _), new_owner = known.certificates[number], holdings[number].owner
        if owner != new_owner and not await queries.hand_over(session, held, ids[new_owner]):
            return False
    if not await queries.insert_certificates(session, new_certificates):
        return False
    for index in names.keys() & known.people.keys():
        person = known.people[index]
        person.name, person.updated_at = names[index], now
    for number in holdings.keys() & known.certificates.keys():
        (held, *_), holding = known.certificates[number], holdings[number]
        held.post, held.valid_until, held.updated_at = holding.certificate.post, holding.certificate.valid_until, now
    return True
