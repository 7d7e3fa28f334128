"""All SQL of the enterprise service."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from services.enterprise.models import Enterprise


async def find_enterprise(session: AsyncSession, enterprise_id: UUID, *, lock: bool = False) -> Enterprise | None:
    return await session.get(Enterprise, enterprise_id, with_for_update=lock or None)


async def get_enterprise(session: AsyncSession, enterprise_id: UUID) -> Enterprise:
    return await session.get_one(Enterprise, enterprise_id)


async def lock_enterprise(session: AsyncSession, enterprise_id: UUID) -> Enterprise:
    return await session.get_one(Enterprise, enterprise_id, with_for_update=True)


async def find_enterprise_by_identity(session: AsyncSession, identity_index: str) -> Enterprise | None:
    return await session.scalar(sa.select(Enterprise).where(Enterprise.identity_index == identity_index))
