"""GET /audit: a service's audit trail, for administrators."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from operator import eq, ge, le
from typing import Annotated, Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.operators import in_op

from shared.audit.trail import AuditEntry
from shared.auth.access import allow
from shared.auth.tokens import Principal
from shared.errors import Problem
from shared.values.text import person_name
from shared.web.openapi import problems
from shared.web.pagination import InvalidCursor, Page, PageRequest, Paging, apply_filters, keyset, split_page
from shared.web.routing import Session, transactional_router
from shared.web.validation import FromMoment, Line, ToMoment

Action = TypeVar("Action", bound=StrEnum)

Alternatives = Sequence[sa.ColumnElement[bool]]
"""What a service's own filters ask of an entry: any one of these, or nothing if there are none."""

Naming = Callable[[AsyncSession, Sequence[AuditEntry]], Awaitable[Mapping[UUID, str]]]
"""Gives, by the entry's id, the words by which people know what it was done to."""


class AuditRead(BaseModel):
    id: UUID
    at: datetime
    actor_id: UUID | None
    actor: str | None
    action: str
    action_label: str
    subject: str | None
    subject_label: str | None = Field(default=None, description="the subject in words; a person's name is masked")
    detail: dict[str, Any]


def audit_router(
    actions: type[Action],
    labels: Mapping[Action, str],
    *,
    narrowing: Callable[..., Awaitable[Alternatives]],
    naming: Naming,
    refusals: tuple[type[Problem], ...] = (),
) -> APIRouter:
    """Make GET /audit, for administrators. `labels` are the Chinese words for the actions of this service.

    `narrowing` is the dependency that reads the service's own filters, and raises `refusals`.
    """
    router = transactional_router()

    @router.get("/audit", responses=problems(InvalidCursor, *refusals))
    async def list_audit(
        session: Session,
        _: Annotated[Principal, allow("admin")],
        page: Paging,
        alternatives: Annotated[Alternatives, Depends(narrowing)],
        actor: Annotated[Line | None, Query(max_length=50, description="the whole name of who did it")] = None,
        actor_id: UUID | None = None,
        action: actions | None = None,  # type: ignore[valid-type]  # each service has its own
        subject: Annotated[
            Line | None, Query(max_length=100, description="what it was done to, such as an application's id")
        ] = None,
        since: Annotated[FromMoment | None, Query(alias="from")] = None,
        until: Annotated[ToMoment | None, Query(alias="to")] = None,
    ) -> Page[AuditRead]:
        """Who did what when, newest first."""
        statement = apply_filters(
            sa.select(AuditEntry),
            (AuditEntry.actor_name, in_op, actor and {actor, person_name(actor)}),
            (AuditEntry.actor_id, eq, actor_id),
            (AuditEntry.action, eq, action),
            (AuditEntry.subject, eq, subject),
            (AuditEntry.at, ge, since),
            (AuditEntry.at, le, until),
        )
        rows = await _find(session, statement, alternatives, page)
        kept, next_cursor = split_page(rows, page, lambda entry: (entry.at, entry.id))
        names = await naming(session, kept)
        return Page(
            items=[_read(entry, labels[actions(entry.action)], names.get(entry.id)) for entry in kept],
            next_cursor=next_cursor,
        )

    return router


async def _find(
    session: AsyncSession, statement: sa.Select[Any], alternatives: Alternatives, page: PageRequest
) -> list[AuditEntry]:
    """Find a page's entries and one more. Each alternative is asked for by itself: an OR would find no index."""
    if alternatives:
        # How rare a name is decides how it is found; a general plan cannot know (docs/decisions/0007).
        await session.execute(sa.text("SET LOCAL plan_cache_mode = force_custom_plan"))
    found: dict[UUID, AuditEntry] = {}
    for condition in alternatives or (sa.true(),):
        narrowed = keyset(statement.where(condition), page, AuditEntry.at, AuditEntry.id)
        found |= {entry.id: entry for entry in await session.scalars(narrowed)}
    newest = sorted(found.values(), key=lambda entry: (entry.at, entry.id), reverse=True)
    return newest[: page.limit + 1]


def _read(entry: AuditEntry, label: str, name: str | None) -> AuditRead:
    return AuditRead(
        id=entry.id,
        at=entry.at,
        actor_id=entry.actor_id,
        actor=entry.actor_name,
        action=entry.action,
        action_label=label,
        subject=entry.subject,
        subject_label=name,
        detail=entry.detail,
    )
