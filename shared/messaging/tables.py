"""Tables every service keeps in its own database for the event backbone."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared.persistence.db import new_registry

NOW = sa.func.now()


class PlatformBase(DeclarativeBase):
    registry = new_registry()


class OutboxMessage(PlatformBase):
    """An event that is decided but not yet confirmed by the broker. Confirmed rows are deleted."""

    __tablename__ = "outbox"
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    event_id: Mapped[UUID]
    routing_key: Mapped[str]
    envelope: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    due_at: Mapped[datetime] = mapped_column(server_default=NOW)
    lease: Mapped[UUID | None]
    attempts: Mapped[int] = mapped_column(server_default=sa.text("0"))
    __table_args__ = (sa.Index(None, "due_at", "id"),)


class InboxMessage(PlatformBase):
    """An event this queue's handler has taken effect of, in the same transaction."""

    __tablename__ = "inbox"
    queue: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    received_at: Mapped[datetime] = mapped_column(server_default=NOW)
    __table_args__ = (sa.Index(None, "received_at"),)


class StoredDeadLetter(PlatformBase):
    """A message the in-process bus could not deliver (RabbitMQ keeps its own dead-letter queues)."""

    __tablename__ = "dead_letters"
    queue: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    routing_key: Mapped[str]
    envelope: Mapped[str]
    error: Mapped[str]
    dead_at: Mapped[datetime] = mapped_column(server_default=NOW)


def create_platform_tables_1(op: Operations) -> None:
    """Create the first revision of these tables and of that in shared/web/idempotency.py, as each service's first
    migration does. Frozen: changes get a new function."""
    timestamp = sa.DateTime(timezone=True)
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("routing_key", sa.Text, nullable=False),
        sa.Column("envelope", sa.Text, nullable=False),
        sa.Column("created_at", timestamp, server_default=NOW, nullable=False),
        sa.Column("due_at", timestamp, server_default=NOW, nullable=False),
        sa.Column("lease", sa.Uuid),
        sa.Column("attempts", sa.Integer, server_default=sa.text("0"), nullable=False),
    )
    op.create_index("ix_outbox_due_at_id", "outbox", ["due_at", "id"])
    # Rows live for seconds, so dead tuples must go at once or every claim wades through them.
    op.execute("ALTER TABLE outbox SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0)")
    op.create_table(
        "inbox",
        sa.Column("queue", sa.Text, primary_key=True),
        sa.Column("event_id", sa.Uuid, primary_key=True),
        sa.Column("received_at", timestamp, server_default=NOW, nullable=False),
    )
    op.create_index("ix_inbox_received_at", "inbox", ["received_at"])
    op.create_table(
        "dead_letters",
        sa.Column("queue", sa.Text, primary_key=True),
        sa.Column("event_id", sa.Uuid, primary_key=True),
        sa.Column("routing_key", sa.Text, nullable=False),
        sa.Column("envelope", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("dead_at", timestamp, server_default=NOW, nullable=False),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("body", sa.LargeBinary),
        sa.Column("media_type", sa.Text),
        sa.Column("created_at", timestamp, server_default=NOW, nullable=False),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])
