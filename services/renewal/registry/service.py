"""Import of people and the certificates they hold."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from itertools import islice
from typing import BinaryIO, Self
from uuid import uuid4

import anyio
import anyio.to_thread
from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal.audit import AuditAction
from services.renewal.container import RenewalContainer
from services.renewal.domain import NUMBER_DIGITS, number_key
from services.renewal.errors import TableInvalid
from services.renewal.models import ID_NUMBER, clear_number, shown_number
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
    what the rows so far would change in memory, some 60 MB for 100,000 new rows.

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
        async with aclosing(_chunks(partial(_next_chunk, container, reader, codes, today))) as chunks:
            async for chunk in chunks:
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


async def _chunks(read: Callable[[], list[Parsed]]) -> AsyncGenerator[list[Parsed]]:
    """Yield what `read` gives on a thread until that is nothing, the next of it read while the present is worked on."""
    loop = asyncio.get_running_loop()
    following = loop.run_in_executor(None, read)
    try:
        # A thread does not end because nobody waits for it any more.
        while chunk := await asyncio.shield(following):
            following = loop.run_in_executor(None, read)
            yield chunk
    finally:
        with anyio.CancelScope(shield=True):
            await asyncio.wait([following])
            following.exception()


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

    people: dict[str, queries.KnownPerson]
    certificates: dict[str, queries.KnownCertificate]
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

    def under(self, cipher: FieldCipher, ahead: Snapshot, good: Iterable[tuple[str, RegistryRow]]) -> Snapshot:
        """As it is where what is `ahead` has been done; only of what these rows are about."""
        names = {index: person.name for index, person in self.people.items()}
        superseded = {index: frozenset(person.superseded_names) for index, person in self.people.items()}
        holdings: dict[str, tuple[Holding, ...]] = {}
        for number, known in self.certificates.items():
            key = number_key(number)
            holdings[key] = (*holdings.get(key, ()), _holding(cipher, known))
        if ahead.names or ahead.holdings:
            indexes = {index for index, _ in good}
            keys = {number_key(row.certificate.number) for _, row in good if row.certificate}
            names |= {index: ahead.names[index] for index in indexes & ahead.names.keys()}
            holdings |= {key: ahead.holdings[key] for key in keys & ahead.holdings.keys()}
        return replace(
            ahead,
            names=names,
            holdings=holdings,
            superseded_names=superseded,
            being_numbered=self.being_numbered,
        )


def _holding(cipher: FieldCipher, known: queries.KnownCertificate) -> Holding:
    private = clear_number(cipher, known.number, known.sealed_number) if known.sealed_number else None
    by_platform = known.application_id is not None
    return Holding(
        known.owner,
        RegisteredCertificate(known.post, known.number, known.valid_until, private),
        by_platform=by_platform,
        removed=known.voided_at is not None and not by_platform and known.right is None,
        corrected_to=None if known.right is None else shown_number(cipher, known.right, known.right_sealed),
        superseded=tuple(superseded_values(known.superseded)),
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
    snapshot = known.under(container.cipher, ahead, good.values())
    judged = _judge(chunk, good, snapshot)
    for each in judged:
        if isinstance(each, Change):
            ahead.follow(snapshot, each)
    return judged


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
    stated = ahead.stated & {hash(row.certificate.number) for _, row in good.values() if row.certificate}
    while True:
        known = await _Known.load(session, good, lock=True)
        attempt = replace(ahead, stated=set(stated))
        judged = _judge(chunk, good, known.under(container.cipher, attempt, good.values()))
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
    now, cipher = container.clock.now(), container.cipher
    names = {change.index: change.name for change in changes if change.name is not None}
    holdings = {change.holding.number: change.holding for change in changes if change.holding is not None}
    ids = {index: person.id for index, person in known.people.items()}
    new_people = {}
    for index, row in good.values():
        if index in names and index not in ids and index not in new_people:
            person = row.person
            sealed = cipher.encrypt(person.value, ID_NUMBER)
            new_people[index] = (uuid4(), sealed, index, names[index], person.sex, person.birth_date, now, now)
    ids |= {index: row[0] for index, row in new_people.items()}
    new_certificates = [
        (
            uuid4(),
            ids[holding.owner],
            holding.certificate.post,
            number,
            sealing.ciphertext(cipher, holding.certificate),
            holding.certificate.valid_until,
            now,
            now,
        )
        for number, holding in sorted(holdings.items())
        if number not in known.certificates
    ]
    # In one order, so that two imports with the same rows wait for each other and do not deadlock.
    if not await queries.insert(session, queries.PEOPLE, [row for _, row in sorted(new_people.items())]):
        return False
    changed = [
        (known.certificates[number], holdings[number]) for number in sorted(holdings.keys() & known.certificates.keys())
    ]
    for held, holding in changed:
        if held.owner != holding.owner and not await queries.hand_over(session, held, ids[holding.owner]):
            return False
    if not await queries.insert(session, queries.CERTIFICATES, new_certificates):
        return False
    await queries.rename_people(
        session, [(known.people[index].id, names[index], now) for index in sorted(names.keys() & known.people.keys())]
    )
    await queries.change_certificates(
        session,
        [(held.id, holding.certificate.post, holding.certificate.valid_until, now) for held, holding in changed],
    )
    return True
