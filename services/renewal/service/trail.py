"""What administrators search the audit trail by, and the words for what an entry is about."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal import queries
from services.renewal.domain import application_number
from services.renewal.schemas import AuditSearch
from shared.audit.endpoints import Alternatives
from shared.audit.trail import OBJECT_ID, AuditEntry
from shared.values.idnumber import mask_name


def narrow(search: AuditSearch) -> Alternatives:
    """Entries about the applications and the people that all these filters match."""
    if search == AuditSearch():
        return []
    about = OBJECT_ID.in_(queries.audited(search))
    if search.id_number is None or search != AuditSearch(id_number=search.id_number):
        return [about]
    # Entries of 0.1.0 name a person by the masked number alone.
    return [about, sa.and_(AuditEntry.subject == search.id_number[1], ~AuditEntry.detail.has_key("person_id"))]


async def name_subjects(session: AsyncSession, entries: Sequence[AuditEntry]) -> dict[UUID, str]:
    """Name applications by number, masked person and enterprise, people by both masked; by entry."""
    ids = {entry.object_id for entry in entries if entry.object_id is not None}
    applications = await queries.audited_applications(session, ids) if ids else {}
    people = await queries.audited_people(session, ids) if ids else {}
    named = {}
    for entry in entries:
        if entry.object_id in applications:
            sequence, name, enterprise = applications[entry.object_id]
            named[entry.id] = f"{application_number(sequence)} {mask_name(name)} {enterprise}"
        elif entry.object_id in people:
            named[entry.id] = f"{mask_name(people[entry.object_id])} {entry.subject}"
    return named
