"""What a registrar does with one person of the registry: look, and put right what was imported wrongly.

Each of these locks the person first, as everyone does, and tells the desk afterwards.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal.audit import AuditAction
from services.renewal.container import RenewalContainer
from services.renewal.errors import (
    BeingNumbered,
    CertificateNotFound,
    CertificateNotRemoved,
    CertificateVoid,
    NothingToCorrect,
    PersonNotFound,
    PlatformCertificate,
    RegistryChanged,
    RegistryValueInvalid,
)
from services.renewal.lifecycle import Applications
from services.renewal.models import ID_NUMBER, Application, HeldCertificate, Person
from services.renewal.queries import posts
from services.renewal.registry import queries, sealing
from services.renewal.registry.file import RegistryRow, codes_of, parse_row
from services.renewal.registry.renumbering import check_alike, renumber
from services.renewal.registry.schemas import CertificateCorrection, PersonCorrection, RegistryChange
from services.renewal.service.eligibility import get_person
from shared.audit import trail
from shared.auth.tokens import Principal
from shared.values.clock import business_day
from shared.values.idnumber import mask, mask_name, masked
from shared.values.text import certificate_number


@dataclass(frozen=True)
class RegistryPerson:
    """A person with the certificates held, void ones too: each with its post's name and, where it is a number that was
    put right, the right one."""

    person: Person
    id_number: str
    certificates: Sequence[queries.HeldWithPost]
    applications: Sequence[tuple[Application, str]]


async def find_person(
    container: RenewalContainer, session: AsyncSession, principal: Principal, id_number: str
) -> RegistryPerson:
    """Leaves an audit entry. Raises IdNumberInvalid, PersonNotFound."""
    person, _ = await get_person(container, session, id_number)
    return await _viewed(container, session, principal, person)


async def read_person(
    container: RenewalContainer, session: AsyncSession, principal: Principal, person_id: UUID
) -> RegistryPerson:
    """Leaves an audit entry. Raises PersonNotFound."""
    person = await queries.find_person(session, person_id)
    if person is None:
        raise PersonNotFound
    return await _viewed(container, session, principal, person)


async def correct_person(
    container: RenewalContainer,
    session: AsyncSession,
    principal: Principal,
    person_id: UUID,
    correction: PersonCorrection,
) -> RegistryPerson:
    """Put the name right. Raises PersonNotFound and what the endpoint lists."""
    person = await queries.lock_person(session, person_id)
    if person is None:
        raise PersonNotFound
    _check_seen(person, correction)
    row = await _checked(container, session, person, {"name": correction.name})
    if row.name == person.name:
        raise NothingToCorrect
    # The certificate that is about to be given would show the wrong one for good.
    if await queries.posts_being_numbered(session, [person.id]):
        raise BeingNumbered
    old, now = person.name, container.clock.now()
    person.superseded_names = sorted({*person.superseded_names, old} - {row.name})
    person.name, person.updated_at = row.name, now
    names = {"old": {"holder": mask_name(old)}, "new": {"holder": mask_name(row.name)}}
    detail = {**names, "reason": correction.reason}
    _record(container, session, principal, AuditAction.person_corrected, person, detail)
    await restate(container, session, principal, renamed={person.id}, changed=())
    return await _shown(container, session, person)


async def correct_certificate(
    container: RenewalContainer,
    session: AsyncSession,
    principal: Principal,
    certificate_id: UUID,
    correction: CertificateCorrection,
) -> RegistryPerson:
    """Put number, post and last day right. Raises what the endpoint lists."""
    person, held = await _lock(session, certificate_id, correction)
    if held.voided_at is not None:
        raise CertificateVoid
    before = _values(container, held)
    wanted = {
        name: value
        for name in ("certificate_number", "post", "valid_until")
        if (value := getattr(correction, name)) is not None
    }
    if certificate_number(wanted.get("certificate_number", "")) == held.shown_number(container.cipher):
        # Left as it is shown.
        del wanted["certificate_number"]
    row = await _checked(container, session, person, {**before, **wanted}, wanted)
    if row.certificate is None:
        raise NothingToCorrect
    right = sealing.sealed(container.cipher, row.certificate)
    after = {
        "certificate_number": right.private or right.number,
        "post": right.post,
        "valid_until": right.valid_until.isoformat() if right.valid_until else "",
    }
    if after == before:
        raise NothingToCorrect
    if right.number != held.certificate_number or right.post != held.post:
        await _check_not_being_numbered(session, person, {held.post, right.post})
    now = container.clock.now()
    if (right.post, right.valid_until) != (held.post, held.valid_until):
        kept = {*superseded_values(held.superseded), (held.post, held.valid_until)} - {(right.post, right.valid_until)}
        held.superseded = [
            {"post": post, "valid_until": until.isoformat() if until else None}
            for post, until in sorted(kept, key=lambda values: (values[0], values[1] or date.max))
        ]
    if right.post != held.post:
        # What took its place is another post's.
        held.replaced_by = None
    held.post, held.valid_until, held.updated_at = right.post, right.valid_until, now
    if right.number != held.certificate_number:
        await renumber(container, session, person, held, right)
    changed = {name for name in after if after[name] != before[name]}
    detail = {
        "certificate_number": masked(before["certificate_number"]),
        "old": {name: masked(before[name]) for name in sorted(changed)},
        "new": {name: masked(after[name]) for name in sorted(changed)},
        "reason": correction.reason,
    }
    return await _told(container, session, principal, AuditAction.certificate_corrected, person, detail)


async def remove_certificate(
    container: RenewalContainer,
    session: AsyncSession,
    principal: Principal,
    certificate_id: UUID,
    removal: RegistryChange,
) -> RegistryPerson:
    """Make the certificate void. Raises what the endpoint lists."""
    person, held = await _lock(session, certificate_id, removal)
    if held.voided_at is not None:
        raise CertificateVoid
    await _check_not_being_numbered(session, person, {held.post})
    held.voided_at = held.updated_at = container.clock.now()
    held.void_reason = removal.reason
    detail = {**_shown_values(container, held), "reason": removal.reason}
    return await _told(container, session, principal, AuditAction.certificate_removed, person, detail)


async def restore_certificate(
    container: RenewalContainer,
    session: AsyncSession,
    principal: Principal,
    certificate_id: UUID,
    restoration: RegistryChange,
) -> RegistryPerson:
    """Make a removed certificate what it was. Raises what the endpoint lists."""
    person, held = await _lock(session, certificate_id, restoration)
    if held.voided_at is None or held.corrected_to is not None:
        raise CertificateNotRemoved
    await _check_not_being_numbered(session, person, {held.post})
    await check_alike(container, session, person, held, held.certificate_number)
    held.voided_at = held.void_reason = None
    held.updated_at = container.clock.now()
    detail = {**_shown_values(container, held), "reason": restoration.reason}
    return await _told(container, session, principal, AuditAction.certificate_restored, person, detail)


async def restate(
    container: RenewalContainer,
    session: AsyncSession,
    principal: Principal,
    *,
    renamed: Collection[UUID],
    changed: Collection[UUID],
) -> None:
    """Tell the desk anew of the applications of people that are locked, and whose name or certificates have changed."""
    if not renamed and not changed:
        return
    ids = await queries.announced_applications(session, renamed=renamed, changed=changed)
    if not ids:
        return
    applications, now = await Applications.load(container, session, ids), container.clock.now()
    for _, application in sorted(applications.rows.items()):
        applications.restate(application, principal.name, now)


def superseded_values(superseded: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, date | None]]:
    """The posts and last days of a certificate that were put right."""
    for values in superseded:
        until = values["valid_until"]
        yield values["post"], date.fromisoformat(until) if until else None


async def _viewed(
    container: RenewalContainer, session: AsyncSession, principal: Principal, person: Person
) -> RegistryPerson:
    _record(container, session, principal, AuditAction.person_viewed, person, {})
    return await _shown(container, session, person)


async def _told(
    container: RenewalContainer,
    session: AsyncSession,
    principal: Principal,
    action: AuditAction,
    person: Person,
    detail: Mapping[str, object],
) -> RegistryPerson:
    """Tell the trail and the desk that a certificate of the person's has changed."""
    _record(container, session, principal, action, person, detail)
    await restate(container, session, principal, renamed=(), changed={person.id})
    return await _shown(container, session, person)


async def _shown(container: RenewalContainer, session: AsyncSession, person: Person) -> RegistryPerson:
    return RegistryPerson(
        person,
        container.cipher.decrypt(person.id_number, ID_NUMBER),
        await queries.certificates_of(session, person),
        await queries.applications_of(session, person),
    )


def _record(
    container: RenewalContainer,
    session: AsyncSession,
    principal: Principal,
    action: AuditAction,
    person: Person,
    detail: Mapping[str, object],
) -> None:
    subject = mask(container.cipher.decrypt(person.id_number, ID_NUMBER))
    # The person's id finds the entry again; what people see of it is the masked number.
    trail.add(session, container.clock.now(), principal, action, subject, {**detail, "person_id": str(person.id)})


async def _lock(session: AsyncSession, certificate_id: UUID, change: RegistryChange) -> tuple[Person, HeldCertificate]:
    """Lock the certificate's holder. Raises CertificateNotFound, PlatformCertificate, RegistryChanged."""
    holder = await queries.holder_of(session, certificate_id)
    person = None if holder is None else await queries.lock_person(session, holder)
    if person is None:
        raise CertificateNotFound
    certificates = await queries.certificates_of(session, person)
    held = next((each for each, *_ in certificates if each.id == certificate_id), None)
    if held is None:
        # An import has given it to another person in the meantime.
        raise RegistryChanged
    if held.application_id is not None:
        raise PlatformCertificate
    _check_seen(held, change)
    return person, held


def _check_seen(row: Person | HeldCertificate, change: RegistryChange) -> None:
    """Raises RegistryChanged."""
    if row.updated_at != change.updated_at:
        raise RegistryChanged


async def _check_not_being_numbered(session: AsyncSession, person: Person, codes: set[str]) -> None:
    """Raises BeingNumbered: an approval names the certificate that its number will take the place of."""
    waiting = await queries.posts_being_numbered(session, [person.id])
    if codes & waiting.get(person.id, frozenset()):
        raise BeingNumbered


async def _checked(
    container: RenewalContainer,
    session: AsyncSession,
    person: Person,
    values: Mapping[str, str],
    asked: Collection[str] = ("name",),
) -> RegistryRow:
    """Check values as a row of an import. Raises RegistryValueInvalid with what is wrong with those `asked`."""
    blank = dict.fromkeys(("name", "post", "certificate_number", "valid_until"), "")
    number = container.cipher.decrypt(person.id_number, ID_NUMBER)
    row = {**blank, "name": person.name, **values, "id_number": number}
    found = parse_row(row, codes_of(await posts(session)), business_day(container.clock.now()))
    if isinstance(found, RegistryRow):
        return found
    own = [error for error in found if error.column in asked] or found
    raise RegistryValueInvalid(
        errors=[{"field": error.column, "code": error.code, "message": error.message} for error in own]
    )


def _values(container: RenewalContainer, held: HeldCertificate) -> dict[str, str]:
    return {
        "certificate_number": held.clear_number(container.cipher),
        "post": held.post,
        "valid_until": held.valid_until.isoformat() if held.valid_until else "",
    }


def _shown_values(container: RenewalContainer, held: HeldCertificate) -> dict[str, str]:
    return {name: masked(value) for name, value in _values(container, held).items()}
