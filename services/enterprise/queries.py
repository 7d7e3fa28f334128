"""All SQL of the enterprise service."""

from collections.abc import Collection, Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from services.enterprise.models import Enterprise, TaxpayerException
from shared.web.pagination import PageRequest, keyset


async def find_enterprise(session: AsyncSession, enterprise_id: UUID, *, lock: bool = False) -> Enterprise | None:
    return await session.get(Enterprise, enterprise_id, with_for_update=lock or None)


async def get_enterprise(session: AsyncSession, enterprise_id: UUID) -> Enterprise:
    return await session.get_one(Enterprise, enterprise_id)


async def lock_enterprise(session: AsyncSession, enterprise_id: UUID) -> Enterprise:
    return await session.get_one(Enterprise, enterprise_id, with_for_update=True)


async def find_enterprise_by_identity(session: AsyncSession, identity_index: str) -> Enterprise | None:
    return await session.scalar(sa.select(Enterprise).where(Enterprise.identity_index == identity_index))


async def find_exception(session: AsyncSession, taxpayer_id_index: str) -> TaxpayerException | None:
    return await session.scalar(
        sa.select(TaxpayerException).where(TaxpayerException.taxpayer_id_index == taxpayer_id_index)
    )


async def list_exceptions(session: AsyncSession, page: PageRequest) -> Sequence[TaxpayerException]:
    """One more than the page holds."""
    statement = keyset(sa.select(TaxpayerException), page, TaxpayerException.added_at, TaxpayerException.id)
    return (await session.scalars(statement)).all()


async def take_exception(session: AsyncSession, exception_id: UUID) -> TaxpayerException | None:
    """Delete it; gives what it was."""
    statement = sa.delete(TaxpayerException).where(TaxpayerException.id == exception_id).returning(TaxpayerException)
    return await session.scalar(statement)


def versions() -> sa.Subquery:
    """What is compared with who listens: id, version and last change of each enterprise."""
    columns = (Enterprise.id, Enterprise.revision.label("version"), Enterprise.updated_at.label("changed_at"))
    return sa.select(*columns).subquery()


async def list_enterprises(session: AsyncSession, ids: Collection[UUID]) -> Sequence[Enterprise]:
    return (await session.scalars(sa.select(Enterprise).where(Enterprise.id.in_(ids)))).all()
