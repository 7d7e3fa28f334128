"""SQL of the registry: people and the certificates they hold, a chunk of rows at a time."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal.models import Application, HeldCertificate, Person, Post


async def people_by_index(session: AsyncSession, indexes: Iterable[str], *, lock: bool) -> dict[str, Person]:
    """Locked in order of id, as everyone does: a new certificate locks its person too, in whatever order they come."""
    statement = sa.select(Person).where(Person.id_number_index.in_(sorted(set(indexes)))).order_by(Person.id)
    if lock:
        statement = statement.with_for_update(key_share=True)
    rows = await session.scalars(statement.execution_options(populate_existing=True))
    return {row.id_number_index: row for row in rows}


async def certificates_with_owners(
    session: AsyncSession, numbers: Iterable[str]
) -> dict[str, tuple[HeldCertificate, str]]:
    """Certificates by number, each with its holder's blind index."""
    statement = (
        sa.select(HeldCertificate, Person.id_number_index)
        .join(Person, Person.id == HeldCertificate.person_id)
        .where(HeldCertificate.certificate_number.in_(sorted(set(numbers))))
        .execution_options(populate_existing=True)
    )
    return {row[0].certificate_number: (row[0], row[1]) for row in await session.execute(statement)}


async def insert_people(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> bool:
    """Insert all, in order; False if another import has inserted one of them in the meantime."""
    statement = insert(Person).on_conflict_do_nothing(index_elements=[Person.id_number_index])
    return not rows or await _insert(session, statement.returning(Person.id), rows)


async def insert_certificates(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> bool:
    """As `insert_people`, for certificates."""
    statement = insert(HeldCertificate).on_conflict_do_nothing(index_elements=[HeldCertificate.certificate_number])
    return not rows or await _insert(session, statement.returning(HeldCertificate.id), rows)


async def _insert(session: AsyncSession, statement: Any, rows: Sequence[dict[str, Any]]) -> bool:
    return len((await session.scalars(statement, list(rows))).all()) == len(rows)


async def certificates_of(session: AsyncSession, person: Person) -> Sequence[tuple[HeldCertificate, str]]:
    """Certificates with the names of their posts, void ones too."""
    statement = (
        sa.select(HeldCertificate, Post.name)
        .join(Post, Post.code == HeldCertificate.post)
        .where(HeldCertificate.person_id == person.id)
        .order_by(HeldCertificate.certificate_number)
    )
    return [(row[0], row[1]) for row in await session.execute(statement)]


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
