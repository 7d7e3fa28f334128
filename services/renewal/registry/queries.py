"""SQL of the registry: people and the certificates they hold, a chunk of rows at a time."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from services.renewal.domain import LIVE, Status, number_key
from services.renewal.models import (
    MAY_NEED_SEALING,
    NUMBER_KEY,
    Application,
    HeldCertificate,
    Person,
    Post,
    shown_number,
)
from shared.persistence.bulk import BulkInsert, BulkUpdate, run_async
from shared.persistence.cipher import FieldCipher


class KnownPerson(NamedTuple):
    """What an import has to know of a person."""

    id: UUID
    id_number_index: str
    name: str
    superseded_names: Sequence[str]


class KnownCertificate(NamedTuple):
    """What an import has to know of a certificate: `owner` is its holder's blind index, and of a wrong number `right`
    and `right_sealed` are the right one."""

    id: UUID
    owner: str
    number: str
    sealed_number: str | None
    post: str
    valid_until: date | None
    application_id: UUID | None
    voided_at: datetime | None
    superseded: Sequence[dict[str, Any]]
    updated_at: datetime
    right: str | None
    right_sealed: str | None

    def shown_number(self, cipher: FieldCipher) -> str:
        return shown_number(cipher, self.number, self.sealed_number)


HeldWithPost = tuple[HeldCertificate, str, HeldCertificate | None]
"""A certificate, the name of its post, and of a wrong number the right one."""

_RIGHT = aliased(HeldCertificate)

# One parameter, sent in binary: a statement does not grow with a chunk.
_ASKED = "ANY(%(asked)b::text[])"
_PEOPLE = f"SELECT id, id_number_index, name, superseded_names FROM people WHERE id_number_index = {_ASKED} ORDER BY id"  # noqa: S608 - names of ours
_LOCKED_PEOPLE = f"{_PEOPLE} FOR NO KEY UPDATE"
# The expression of the index speaks of the table by its columns only, so nothing else is joined beside it.
_CERTIFICATES = f"""SELECT held.id, people.id_number_index, held.certificate_number, held.sealed_number, held.post,
    held.valid_until, held.application_id, held.voided_at, held.superseded, held.updated_at, good.certificate_number,
    good.sealed_number
FROM held_certificates held
JOIN people ON people.id = held.person_id
LEFT JOIN held_certificates good ON good.id = held.corrected_to
WHERE held.id IN (SELECT id FROM held_certificates WHERE {NUMBER_KEY.name} = {_ASKED})
ORDER BY held.created_at, held.certificate_number
"""  # noqa: S608 - names of ours

PEOPLE = BulkInsert(
    Person,
    ("id", "id_number", "id_number_index", "name", "sex", "birth_date", "created_at", "updated_at"),
    on_conflict="(id_number_index) DO NOTHING",
    returning=("id",),
)
CERTIFICATES = BulkInsert(
    HeldCertificate,
    ("id", "person_id", "post", "certificate_number", "sealed_number", "valid_until", "created_at", "updated_at"),
    on_conflict="(certificate_number) DO NOTHING",
    returning=("id",),
)
_RENAMED = BulkUpdate(Person, ("name", "updated_at"))
_CHANGED = BulkUpdate(HeldCertificate, ("post", "valid_until", "updated_at"))


async def people_by_index(session: AsyncSession, indexes: Iterable[str], *, lock: bool) -> dict[str, KnownPerson]:
    """Locked in order of id, as everyone does: a new certificate locks its person too, in whatever order they come."""
    rows = await run_async(session, _LOCKED_PEOPLE if lock else _PEOPLE, {"asked": sorted(set(indexes))})
    return {person.id_number_index: person for person in map(KnownPerson._make, rows)}


async def certificates_like(session: AsyncSession, numbers: Iterable[str]) -> dict[str, KnownCertificate]:
    """Certificates of these numbers, and those that only differ in their writing (`number_key`), by number."""
    await session.flush()
    rows = await run_async(session, _CERTIFICATES, {"asked": sorted({number_key(number) for number in numbers})})
    return {certificate.number: certificate for certificate in map(KnownCertificate._make, rows)}


async def newest_platform_number(session: AsyncSession) -> str | None:
    """The number that the platform gave last."""
    given = sa.select(HeldCertificate.certificate_number).where(HeldCertificate.application_id.is_not(None))
    return await session.scalar(given.order_by(HeldCertificate.created_at.desc()).limit(1))


async def lock_unsealed(session: AsyncSession, after: UUID | None, limit: int) -> Sequence[HeldCertificate]:
    """Lock certificates whose number may have to be sealed, in order of id."""
    statement = sa.select(HeldCertificate).where(MAY_NEED_SEALING)
    if after is not None:
        statement = statement.where(HeldCertificate.id > after)
    return (await session.scalars(statement.order_by(HeldCertificate.id).limit(limit).with_for_update())).all()


async def known_numbers(session: AsyncSession, numbers: Iterable[str]) -> set[str]:
    statement = sa.select(HeldCertificate.certificate_number)
    return set(await session.scalars(statement.where(HeldCertificate.certificate_number.in_(sorted(set(numbers))))))


async def insert(session: AsyncSession, into: BulkInsert, rows: Sequence[tuple[Any, ...]]) -> bool:
    """Insert people or certificates, in order; False if another import has inserted one of them in the meantime."""
    return len(await into.write_async(session, rows)) == len(rows)


async def rename_people(session: AsyncSession, rows: Sequence[tuple[UUID, str, datetime]]) -> None:
    """Rows of id, name and the moment."""
    await _RENAMED.write_async(session, rows)


async def change_certificates(session: AsyncSession, rows: Sequence[tuple[UUID, str, date | None, datetime]]) -> None:
    """Rows of id, post, last day and the moment."""
    await _CHANGED.write_async(session, rows)


async def hand_over(session: AsyncSession, held: KnownCertificate, person_id: UUID) -> bool:
    """Give a void number to the person whose it is; False if somebody has made it valid in the meantime."""
    statement = (
        sa.update(HeldCertificate)
        .where(
            HeldCertificate.id == held.id,
            HeldCertificate.updated_at == held.updated_at,
            HeldCertificate.voided_at.is_not(None),
        )
        .values(
            person_id=person_id, replaced_by=None, voided_at=None, void_reason=None, corrected_to=None, superseded=[]
        )
        .returning(HeldCertificate.id)
    )
    return await session.scalar(statement) is not None


async def certificates_of(session: AsyncSession, person: Person) -> Sequence[HeldWithPost]:
    """Certificates with the names of their posts, void ones too; of a wrong number also the right one."""
    statement = (
        sa.select(HeldCertificate, Post.name, _RIGHT)
        .join(Post, Post.code == HeldCertificate.post)
        .outerjoin(_RIGHT, _RIGHT.id == HeldCertificate.corrected_to)
        .where(HeldCertificate.person_id == person.id)
        .order_by(HeldCertificate.certificate_number)
        .execution_options(populate_existing=True)
    )
    return [(row[0], row[1], row[2]) for row in await session.execute(statement)]


async def lock_person(session: AsyncSession, person_id: UUID) -> Person | None:
    statement = sa.select(Person).where(Person.id == person_id).with_for_update()
    return await session.scalar(statement.execution_options(populate_existing=True))


async def find_person(session: AsyncSession, person_id: UUID) -> Person | None:
    return await session.get(Person, person_id)


async def holder_of(session: AsyncSession, certificate_id: UUID) -> UUID | None:
    return await session.scalar(sa.select(HeldCertificate.person_id).where(HeldCertificate.id == certificate_id))


async def forget_certificate(session: AsyncSession, certificate_id: UUID) -> None:
    """Delete a void certificate of the registry, with the wrong numbers it was known by."""
    own = sa.or_(HeldCertificate.id == certificate_id, HeldCertificate.corrected_to == certificate_id)
    await session.execute(sa.delete(HeldCertificate).where(own))


async def posts_being_numbered(session: AsyncSession, person_ids: Iterable[UUID]) -> dict[UUID, frozenset[str]]:
    """The posts of the people's approvals that have no number yet, by person; of the others nothing."""
    asked = sa.any_(sa.bindparam("people", list(person_ids), type_=sa.ARRAY(sa.Uuid)))
    statement = (
        sa.select(Application.person_id, sa.func.array_agg(Application.post))
        .where(Application.person_id == asked, Application.status == Status.approved)
        .group_by(Application.person_id)
    )
    return {person_id: frozenset(posts) for person_id, posts in await session.execute(statement)}


async def applications_of(session: AsyncSession, person: Person) -> Sequence[tuple[Application, str]]:
    """Applications that were submitted, with the names of their posts, newest first."""
    statement = (
        sa.select(Application, Post.name)
        .join(Post, Post.code == Application.post)
        .where(Application.person_id == person.id, Application.revision > 0)
        .order_by(Application.added_at.desc())
        .limit(50)
    )
    return [(row[0], row[1]) for row in await session.execute(statement)]


async def announced_applications(
    session: AsyncSession, *, renamed: Iterable[UUID], changed: Iterable[UUID]
) -> Sequence[UUID]:
    """The applications whose desk shows something of these people that is no longer so.

    Of who is `renamed` all that were ever submitted, which are found by name; of whose certificates have `changed` the
    live ones, which are judged by them.
    """
    statement = sa.select(Application.id).where(
        Application.revision > 0,
        Application.status != Status.cancelled,
        sa.or_(
            Application.person_id.in_(sorted(renamed)),
            sa.and_(Application.person_id.in_(sorted(changed)), Application.status.in_(LIVE)),
        ),
    )
    return (await session.scalars(statement)).all()
