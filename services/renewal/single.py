"""SQL of a single application that its enterprise submits or cancels: two statements, where many need more."""

from datetime import date, datetime
from itertools import starmap
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal.domain import AgeLimit, Post
from services.renewal.models import IS_LIVE, Application, HeldCertificate, Person, Picture
from services.renewal.queries import with_person_and_enterprise
from shared.persistence.bulk import run_async


async def lock(session: AsyncSession, application_id: UUID, enterprise_id: UUID) -> Application | None:
    """Find an enterprise's application and lock its person, then it, as `lock_applications` does: PostgreSQL locks in
    the order of OF, and gives what was changed while it waited as it is then."""
    statement = with_person_and_enterprise().where(
        Application.id == application_id, Application.enterprise_id == enterprise_id
    )
    return await session.scalar(statement.with_for_update(of=[Person, Application]))


class Beside(NamedTuple):
    """What an application is judged and told of by, for who only looks: all posts by code, the age limits, its
    person's certificates in order of their numbers, the posts of the person's other live applications, its present
    pictures."""

    posts: dict[str, Post]
    limits: list[AgeLimit]
    certificates: list[HeldCertificate]
    live: list[str]
    pictures: list[Picture]


# JSON, because of rows in rows the driver learns no types.
_BESIDE = f"""SELECT
    (SELECT json_agg(json_build_array(code, name, family, validity_years) ORDER BY code) FROM posts),
    (SELECT json_agg(json_build_array(sex, effective_from, months)) FROM age_limits),
    (SELECT json_agg(c ORDER BY certificate_number) FROM held_certificates c WHERE person_id = %(person)s),
    (SELECT json_agg(post) FROM applications WHERE person_id = %(person)s AND id <> %(id)s AND {IS_LIVE.text}),
    (SELECT json_agg(json_build_array({", ".join(Picture._fields)}) ORDER BY kind)
        FROM images WHERE application_id = %(id)s AND current)"""  # noqa: S608 - names of ours


async def read_beside(session: AsyncSession, application: Application) -> Beside:
    """Read it under the application's locks, and so by a statement of its own: one that has waited for a lock sees what
    was committed when it began."""
    given = {"id": application.id, "person": application.person_id}
    posts, limits, certificates, live, pictures = tuple((await run_async(session, _BESIDE, given))[0])
    return Beside(
        {post.code: post for post in starmap(Post, posts)},
        [AgeLimit(sex, date.fromisoformat(begins), months) for sex, begins, months in limits],
        [_held(certificate) for certificate in certificates or ()],
        live or [],
        [Picture(UUID(picture), *seen) for picture, *seen in pictures or ()],
    )


def _held(row: dict[str, Any]) -> HeldCertificate:
    """Make a certificate that no session knows, of what it is judged and told of by."""
    return HeldCertificate(
        id=UUID(row["id"]),
        person_id=UUID(row["person_id"]),
        post=row["post"],
        certificate_number=row["certificate_number"],
        sealed_number=row["sealed_number"],
        valid_until=row["valid_until"] and date.fromisoformat(row["valid_until"]),
        application_id=row["application_id"] and UUID(row["application_id"]),
        replaced_by=row["replaced_by"] and UUID(row["replaced_by"]),
        voided_at=row["voided_at"] and datetime.fromisoformat(row["voided_at"]),
    )
