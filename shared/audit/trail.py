"""The append-only audit trail that a service keeps in its own database: who did what when, for administrators."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from operator import eq, ge, le
from typing import Annotated, Any, Protocol, TypeVar
from uuid import UUID, uuid4

import sqlalchemy as sa
from alembic.operations import Operations
from fastapi import APIRouter, Query
from pydantic import BaseModel
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared.auth.access import allow
from shared.auth.tokens import Principal
from shared.persistence.db import new_registry
from shared.web.openapi import problems
from shared.web.pagination import InvalidCursor, Page, Paging, apply_filters, keyset, split_page
from shared.web.routing import Session, transactional_router
from shared.web.validation import FromMoment, Text, ToMoment

Action = TypeVar("Action", bound=StrEnum)


class AuditBase(DeclarativeBase):
    registry = new_registry()


class AuditEntry(AuditBase):
    """The database refuses to change, delete or truncate."""

    __tablename__ = "audit"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    actor_id: Mapped[UUID | None]
    actor_name: Mapped[str | None]
    action: Mapped[str]
    subject: Mapped[str | None]
    detail: Mapped[dict[str, Any]]
    __table_args__ = (
        sa.Index(None, "at", "id"),
        sa.Index(None, "actor_name", "at", "id"),
        sa.Index(None, "action", "at", "id"),
        sa.Index(None, "subject", "at", "id"),
    )


def create_audit_tables_1(op: Operations) -> None:
    """First revision of the table. Frozen: changes get a new function."""
    op.create_table(
        "audit",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.Uuid),
        sa.Column("actor_name", sa.Text),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("detail", JSONB, nullable=False),
    )
    for columns in (["at", "id"], ["actor_name", "at", "id"], ["action", "at", "id"], ["subject", "at", "id"]):
        op.create_index(f"ix_audit_{'_'.join(columns)}", "audit", columns)
    op.execute(
        """
        CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = 'insufficient_privilege';
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()"
    )


class Actor(Protocol):
    """A Principal, or whoever else has an id and a name."""

    @property
    def subject(self) -> UUID: ...

    @property
    def name(self) -> str: ...


def row(
    at: datetime, actor: Actor | None, action: StrEnum, subject: UUID | str | None, detail: Mapping[str, Any]
) -> dict[str, Any]:
    """An entry for `add_rows`. `detail` must hold no personal data.

    Without an actor it was somebody who could not log in, or the operator.
    """
    return {
        "id": uuid4(),
        "at": at,
        "actor_id": actor.subject if actor else None,
        "actor_name": actor.name if actor else None,
        "action": action,
        "subject": None if subject is None else str(subject),
        "detail": dict(detail),
    }


def add(
    session: AsyncSession,
    at: datetime,
    actor: Actor | None,
    action: StrEnum,
    subject: UUID | str | None,
    detail: Mapping[str, Any],
) -> None:
    """As `row`, written when the session is, in the transaction of what it records."""
    session.add(AuditEntry(**row(at, actor, action, subject, detail)))


async def add_rows(session: AsyncSession, rows: Sequence[Mapping[str, Any]]) -> None:
    """In one statement, however many."""
    await session.execute(sa.insert(AuditEntry).returning(AuditEntry.id), list(rows))


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
    """GET /audit for administrators."""
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
            (AuditEntry.actor_name, eq, actor),
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
