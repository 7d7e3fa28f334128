"""What administrators search the audit trail by, and the words for what an entry is about."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.certnumber import queries
from shared.audit.endpoints import Alternatives
from shared.audit.trail import OBJECT_ID, AuditEntry


def narrow(name: str | None) -> Alternatives:
    """Entries about the series with this in their name."""
    return [OBJECT_ID.in_(queries.series_named(name))] if name else []


async def name_subjects(session: AsyncSession, entries: Sequence[AuditEntry]) -> dict[UUID, str]:
    """Give the present names of the series, by entry."""
    ids = {entry.id: entry.object_id for entry in entries}
    names = await queries.series_names(session, {each for each in ids.values() if each is not None})
    return {entry: names[series] for entry, series in ids.items() if series in names}
