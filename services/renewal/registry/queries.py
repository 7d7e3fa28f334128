"""SQL of the registry: people and the certificates they hold, a chunk of rows at a time."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from services.renewal.domain import LIVE, Status, number_key
from services.renewal.models import MAY_NEED_SEALING, NUMBER_KEY, Application, HeldCertificate, Person, Post

Known = tuple[HeldCertificate, str, HeldCertificate | None]
"""A certificate, its holder's blind index, and of a wrong number the right one."""

HeldWithPost = tuple[HeldCertificate, str, HeldCertificate | None]
"""A certificate, the name of its post, and of a wrong number the right one."""

_RIGHT = aliased(HeldCertificate)


async def people_by_index(session: AsyncSession, indexes: Iterable[str], *, lock: bool) -> dict[str, Person]:
    """Locked in order of id, as everyone does: a new certificate locks its person too, in whatever order they come."""
    statement = sa.select(Person).where(Person.id_number_index.in_(sorted(set(indexes)))).order_by(Person.id)
    if lock:
        statement = statement.with_for_update(key_share=True)
    rows = await session.scalars(statement.execution_options(populate_existing=True))
    return {row.id_number_index: row for row in rows}


async def certificates_like(session: AsyncSession, numbers: Iterable[str]) -> dict[str, Known]:
    """Certificates of these numbers, and those that only differ in their writing (`number_key`), by number."""
    keys = {number_key(number) for number in numbers}
    # The expression of the index speaks of the table by its columns only, so nothing else is joined beside it.
    like = sa.select(HeldCertificate.id).where(NUMBER_KEY.in_(sorted(keys)))
    statement = (
        sa.select(HeldCertificate, Person.id_number_index, _RIGHT)
        .join(Person, Person.id == HeldCertificate.person_id)
        .outerjoin(_RIGHT, _RIGHT.id == HeldCertificate.corrected_to)
        .where(HeldCertificate.id.in_(like))
        .order_by(HeldCertificate.created_at, HeldCertificate.certificate_number)
        .execution_options(populate_existing=True)
    )
    return {row[0].certificate_number: (row[0], row[1], row[2]) for row in await session.execute(statement)}


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


async def insert_people(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> bool:
    """Insert all, in order; False if another import has inserted one of them in the meantime."""
    statement = insert(Person).on_conflict_do_nothing(index_elements=[Person.id_number_index])
    return not rows or await _insert(session, statement.returning(Person.id), rows)


async def insert_certificates(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> bool:
    """As `insert_people`, for certificates."""
    statement = insert(HeldCertificate).on_conflict_do_nothing(index_elements=[HeldCertificate.certificate_number])
    return not rows or await _insert(session, statement.returning(HeldCertificate.id), rows)


async def hand_over(session: AsyncSession, held: HeldCertificate, person_id: UUID) -> bool:
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


async def _insert(session: AsyncSession, statement: Any, rows: Sequence[dict[str, Any]]) -> bool:
    return len((await session.scalars(statement, list(rows))).all()) == len(rows)


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
    statement = (
        sa.select(Application.person_id, sa.func.array_agg(Application.post))
        .where(Application.person_id.in_(sorted(person_ids)), Application.status == Status.approved)
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
