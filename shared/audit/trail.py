"""The append-only audit trail that a service keeps in its own database: who did what when, for administrators."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import NAMESPACE_OID, UUID, uuid4, uuid5

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared.persistence.bulk import BulkInsert
from shared.persistence.db import new_registry


class AuditBase(DeclarativeBase):
    registry = new_registry()


OBJECT_ID: sa.ColumnElement[UUID] = sa.func.audit_object_id(sa.column("subject"), sa.column("detail"), type_=sa.Uuid())
"""The id of what was done to: the person's where the service names one apart from the subject, else the subject."""


class AuditEntry(AuditBase):
    """One act. The database refuses to change, delete or truncate the rows."""

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
        sa.Index(None, "actor_id", "at", "id"),
        sa.Index("ix_audit_object_id", OBJECT_ID, "at", "id"),
    )

    @property
    def object_id(self) -> UUID | None:
        """What OBJECT_ID is in the database."""
        try:
            return UUID(self.detail.get("person_id") or self.subject)
        except (TypeError, ValueError):
            return None


def create_audit_tables_1(op: Operations) -> None:
    """Create the first revision of the table. Frozen: changes get a new function."""
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


def create_audit_indexes_2(op: Operations) -> None:
    """Let entries be found by the id of who did it and of what it was done to. Frozen likewise.

    A function, because the rows never change: those that are there, and those the version before still writes, have no
    column of its own.
    """
    op.execute(
        """
        CREATE FUNCTION audit_object_id(subject text, detail jsonb) RETURNS uuid
        LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
            SELECT CASE WHEN coalesce(detail ->> 'person_id', subject)
                             ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
                        THEN coalesce(detail ->> 'person_id', subject)::uuid END
        $$
        """
    )
    op.create_index("ix_audit_actor_id_at_id", "audit", ["actor_id", "at", "id"])
    op.create_index("ix_audit_object_id", "audit", [sa.text("audit_object_id(subject, detail)"), "at", "id"])


class Actor(Protocol):
    """A Principal, or whoever else has an id and a name."""

    @property
    def subject(self) -> UUID: ...

    @property
    def name(self) -> str: ...


def row(
    at: datetime, actor: Actor | None, action: StrEnum, subject: UUID | str | None, detail: Mapping[str, Any]
) -> dict[str, Any]:
    """Make an entry for `add_rows`. `detail` must hold no personal data.

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
    """Write an entry, as of `row`, when the session is written: in the transaction of what it records."""
    session.add(AuditEntry(**row(at, actor, action, subject, detail)))


async def add_once(session: AsyncSession, entry: Mapping[str, Any], period: str) -> None:
    """Write an entry, unless there is one already of the same act of the same actor on the same subject in `period`.

    Of several that are written at once the first remains.
    """
    act = "/".join(str(part) for part in (entry["actor_id"], entry["action"], entry["subject"], period))
    statement = insert(AuditEntry).values({**entry, "id": uuid5(NAMESPACE_OID, act)})
    await session.execute(statement.on_conflict_do_nothing())


_COLUMNS = ("id", "at", "actor_id", "actor_name", "action", "subject", "detail")
_ROWS = BulkInsert(AuditEntry, _COLUMNS)


async def add_rows(session: AsyncSession, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write entries in one statement, however many."""
    await _ROWS.write_async(session, [[row[column] for column in _COLUMNS] for row in rows])
