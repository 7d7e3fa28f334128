"""GET /audit: a service's audit trail, for administrators."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from operator import eq, ge, le
from typing import Annotated, Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Query
from pydantic import BaseModel
from sqlalchemy.sql.operators import in_op

from shared.audit.trail import AuditEntry
from shared.auth.access import allow
from shared.auth.tokens import Principal
from shared.values.text import person_name
from shared.web.openapi import problems
from shared.web.pagination import InvalidCursor, Page, Paging, apply_filters, keyset, split_page
from shared.web.routing import Session, transactional_router
from shared.web.validation import FromMoment, Text, ToMoment

Action = TypeVar("Action", bound=StrEnum)


class AuditRead(BaseModel):
    id: UUID
    at: datetime
    actor_id: UUID | None
    actor: str | None
    action: str
    action_label: str
    subject: str | None
    detail: dict[str, Any]


def audit_router(actions: type[Action], labels: Mapping[Action, str]) -> APIRouter:
    """Make GET /audit, for administrators. `labels` are the Chinese words for the actions of this service."""
    router = transactional_router()

    @router.get("/audit", responses=problems(InvalidCursor))
    async def list_audit(
        session: Session,
        _: Annotated[Principal, allow("admin")],
        page: Paging,
        actor: Annotated[Text | None, Query(max_length=50, description="the whole name of who did it")] = None,
        action: actions | None = None,  # type: ignore[valid-type]  # each service has its own
        subject: Annotated[
            Text | None, Query(max_length=100, description="what it was done to, such as an application's id")
        ] = None,
        since: Annotated[FromMoment | None, Query(alias="from")] = None,
        until: Annotated[ToMoment | None, Query(alias="to")] = None,
    ) -> Page[AuditRead]:
        """Who did what when, newest first."""
        statement = apply_filters(
            sa.select(AuditEntry),
            (AuditEntry.actor_name, in_op, actor and {actor, person_name(actor)}),
            (AuditEntry.action, eq, action),
            (AuditEntry.subject, eq, subject),
            (AuditEntry.at, ge, since),
            (AuditEntry.at, le, until),
        )
        rows = (await session.scalars(keyset(statement, page, AuditEntry.at, AuditEntry.id))).all()
        kept, next_cursor = split_page(rows, page, lambda entry: (entry.at, entry.id))
        return Page(items=[_read(entry, labels[actions(entry.action)]) for entry in kept], next_cursor=next_cursor)

    return router


def _read(entry: AuditEntry, label: str) -> AuditRead:
    return AuditRead(
        id=entry.id,
        at=entry.at,
        actor_id=entry.actor_id,
        actor=entry.actor_name,
        action=entry.action,
        action_label=label,
        subject=entry.subject,
        detail=entry.detail,
    )
