"""SQL of the pictures."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal.domain import Status
from services.renewal.models import Application, Image, Submission


async def status_of(session: AsyncSession, application_id: UUID, enterprise_id: UUID) -> Status | None:
    """What state the enterprise's application is in; another's is not found."""
    own = sa.and_(Application.id == application_id, Application.enterprise_id == enterprise_id)
    return await session.scalar(sa.select(Application.status).where(own))


async def find_image(session: AsyncSession, application_id: UUID, kind: str, revision: int | None) -> Image | None:
    """The present picture, or the one submitted as `revision`."""
    statement = sa.select(Image).where(Image.application_id == application_id, Image.kind == kind)
    if revision is None:
        return await session.scalar(statement.where(Image.current))
    submitted = (
        sa.select(sa.cast(Submission.images[kind].astext, sa.Uuid))
        .where(Submission.application_id == application_id, Submission.revision == revision)
        .scalar_subquery()
    )
    return await session.scalar(statement.where(Image.id == submitted))


async def delete_unsubmitted_images(session: AsyncSession, uploaded_before: datetime, limit: int) -> bool:
    """So many rows of pictures that were replaced and are part of no submission; tells whether there may be more."""
    submitted = sa.exists().where(
        Submission.application_id == Image.application_id,
        Submission.images[Image.kind].astext == sa.cast(Image.id, sa.Text),
    )
    replaced = sa.and_(~Image.current, Image.uploaded_at < uploaded_before)
    doomed = sa.select(Image.id).where(replaced, ~submitted).limit(limit)
    deleted = await session.scalars(sa.delete(Image).where(Image.id.in_(doomed)).returning(Image.id))
    return len(deleted.all()) == limit


async def known_object_keys(session: AsyncSession, keys: Sequence[str]) -> set[str]:
    return set((await session.scalars(sa.select(Image.object_key).where(Image.object_key.in_(keys)))).all())


async def all_images(session: AsyncSession) -> AsyncIterator[tuple[str, str]]:
    """Every picture's object key and SHA-256, each once and in order of the keys, however many there are."""
    statement = sa.select(Image.object_key, Image.sha256).distinct().order_by(Image.object_key)
    async for row in await session.stream(statement.execution_options(yield_per=1000)):
        yield row.object_key, row.sha256


async def of_this_size(
    session: AsyncSession, application_id: UUID, other_than: str, size: tuple[int, int]
) -> Sequence[Image]:
    """The present pictures of the other kinds that are so wide and high."""
    others = sa.select(Image).where(Image.application_id == application_id, Image.kind != other_than, Image.current)
    return (await session.scalars(others.where(Image.width == size[0], Image.height == size[1]))).all()


async def retire_image(session: AsyncSession, application_id: UUID, kind: str) -> None:
    """Make room for another present picture of this kind."""
    present = sa.update(Image).where(Image.application_id == application_id, Image.kind == kind, Image.current)
    await session.execute(present.values(current=False))
