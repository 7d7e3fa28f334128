"""What administrators search the audit trail by, and the words for what an entry is about."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from services.review import queries
from services.review.schemas import AuditSearch
from shared.audit.endpoints import Alternatives
from shared.audit.trail import OBJECT_ID, AuditEntry
from shared.values.idnumber import mask_name


def narrow(search: AuditSearch) -> Alternatives:
    """Entries about the applications that all these match; of an account what it did and what was done to it."""
    asked = replace(search, account=None) != AuditSearch()
    applications = [OBJECT_ID.in_(queries.matching_applications(search))] if asked else []
    if search.account is None:
        return applications
    by_account = (AuditEntry.actor_id.in_(queries.reviewer_named(search.account)), AuditEntry.subject == search.account)
    return [sa.and_(*applications, each) for each in by_account]


async def name_subjects(session: AsyncSession, entries: Sequence[AuditEntry]) -> dict[UUID, str]:
    """Name the applications by number, masked person and enterprise, the accounts by whose they are; by entry."""
    ids = {entry.object_id for entry in entries if entry.object_id is not None}
    items = await queries.items_by_id(session, ids) if ids else {}
    usernames = {entry.subject for entry in entries if entry.subject is not None and entry.object_id is None}
    reviewers = await queries.reviewer_names(session, usernames) if usernames else {}
    named = {}
    for entry in entries:
        if entry.object_id in items:
            number, name, enterprise = items[entry.object_id]
            named[entry.id] = f"{number} {mask_name(name)} {enterprise}"
        elif entry.subject in reviewers:
            named[entry.id] = f"{reviewers[entry.subject]}（{entry.subject}）"
    return named
