"""Tables of the certnumber service, and the rows that are written or read in bulk."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.certnumber.domain import ApprovalStatus
from shared.persistence.db import new_registry
from shared.persistence.search import search_key

NOW = sa.func.now()


class Base(DeclarativeBase):
    registry = new_registry()


class Series(Base):
    """How numbers are written. `posts` None: the default, for posts that no other active series names."""

    __tablename__ = "series"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    layout: Mapped[str]
    posts: Mapped[list[str] | None]
    yearly: Mapped[bool]
    active: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    __table_args__ = (
        sa.Index("uq_series_default", "active", unique=True, postgresql_where=sa.text("active AND posts IS NULL")),
    )


class Counter(Base):
    """The last serial given in a series and period (0, or a year of approval when the series starts anew yearly)."""

    __tablename__ = "counters"
    series_id: Mapped[UUID] = mapped_column(sa.ForeignKey("series.id"), primary_key=True)
    period: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last: Mapped[int] = mapped_column(sa.BigInteger)


class Approval(Base):
    """An approval `renewal` has announced. A withdrawal that arrived first leaves a row without `approved_at`.

    The holder's name is masked before it gets here; the id number never does.
    """

    __tablename__ = "approvals"
    application_id: Mapped[UUID] = mapped_column(primary_key=True)
    decision_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    previous_approval: Mapped[int | None]
    replaces: Mapped[str | None]
    status: Mapped[str]
    post: Mapped[str]
    post_name: Mapped[str]
    enterprise_name: Mapped[str]
    holder_masked: Mapped[str]
    approved_at: Mapped[datetime | None]
    traceparent: Mapped[str | None]
    failure_code: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    __table_args__ = (
        sa.CheckConstraint("status IN ('waiting', 'numbered', 'withdrawn', 'failed')", name="status"),
        sa.CheckConstraint("status = 'withdrawn' OR approved_at IS NOT NULL", name="approved_at"),
        sa.CheckConstraint("(status = 'failed') = (failure_code IS NOT NULL)", name="failure_code"),
        sa.Index(
            "ix_approvals_waiting",
            "approved_at",
            "application_id",
            "decision_no",
            postgresql_where=sa.text("status = 'waiting'"),
        ),
        sa.Index("ix_approvals_failed", "approved_at", postgresql_where=sa.text("status = 'failed'")),
    )


class QueuedApproval(NamedTuple):
    """A new row of Approval."""

    application_id: UUID
    decision_no: int
    status: ApprovalStatus
    post: str
    post_name: str
    enterprise_name: str
    holder_masked: str
    previous_approval: int | None = None
    replaces: str | None = None
    approved_at: datetime | None = None
    traceparent: str | None = None


class LedgerEntry(Base):
    """A number that was given. A trigger refuses every change but the one from valid to void.

    `lookup` is the number's NFKC form, so that numbers which only differ in width of characters cannot both exist.
    """

    __tablename__ = "ledger"
    number: Mapped[str] = mapped_column(primary_key=True)
    lookup: Mapped[str] = mapped_column(unique=True)
    series_id: Mapped[UUID]
    period: Mapped[int]
    serial: Mapped[int] = mapped_column(sa.BigInteger)
    application_id: Mapped[UUID]
    decision_no: Mapped[int]
    state: Mapped[str]
    post: Mapped[str]
    post_name: Mapped[str]
    enterprise_name: Mapped[str]
    holder_masked: Mapped[str]
    issued_on: Mapped[date]
    assigned_at: Mapped[datetime]
    voided_at: Mapped[datetime | None]
    void_reason: Mapped[str | None]
    replaces: Mapped[str | None] = mapped_column(index=True)
    __table_args__ = (
        sa.ForeignKeyConstraint(["series_id", "period"], ["counters.series_id", "counters.period"]),
        sa.ForeignKeyConstraint(
            ["application_id", "decision_no"], ["approvals.application_id", "approvals.decision_no"]
        ),
        sa.UniqueConstraint("application_id", "decision_no", name="uq_ledger_approval"),
        sa.UniqueConstraint("series_id", "period", "serial", name="uq_ledger_serial"),
        sa.Index("ix_ledger_number_key", search_key(sa.column("number"))),
        sa.Index("uq_ledger_valid", "application_id", unique=True, postgresql_where=sa.text("state = 'valid'")),
        sa.CheckConstraint("serial > 0", name="serial"),
        sa.CheckConstraint("state IN ('valid', 'void')", name="state"),
        sa.CheckConstraint("(state = 'void') = (voided_at IS NOT NULL)", name="voided_at"),
    )


@dataclass(frozen=True)
class SeriesCount:
    """A counter beside what the ledger holds under it; see schemas.SeriesProof."""

    series_id: UUID
    name: str
    period: int
    counter: int
    count: int
    highest: int
    gaps: int
    duplicates: int
    void: int
    valid: int


class Gap(NamedTuple):
    """A serial that no ledger row has."""

    series_id: UUID
    period: int
    missing: int


class NumberingFigures(NamedTuple):
    """Numbers given, approvals waiting and failed, and for how many seconds the oldest has waited."""

    assigned: int
    waiting: int
    failed: int
    oldest_seconds: float
