"""Tables both issuing services keep in their own databases: sessions and failed logins; and what an account is."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared.persistence.cipher import FieldCipher
from shared.persistence.db import new_registry


class AuthBase(DeclarativeBase):
    registry = new_registry()


class LoginSession(AuthBase):
    """One login, continued by single-use refresh tokens or, with a `last_seen_at`, by the id a browser holds.

    Of the refresh token or id only a hash is kept. All refresh tokens of a session begin alike, so that any earlier one
    betrays a theft when it comes again.
    """

    __tablename__ = "sessions"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    subject: Mapped[UUID] = mapped_column(index=True)
    # The column keeps its first name, by which the version before reads it while this one is rolled out.
    secret_hash: Mapped[str] = mapped_column("refresh_hash", unique=True)
    # By this the version before knows a token that comes again.
    previous_hash: Mapped[str | None] = mapped_column(index=True)
    family_hash: Mapped[str | None] = mapped_column(index=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None]
    last_seen_at: Mapped[datetime | None]


class LoginFailure(AuthBase):
    """Strangers' failed logins of one account name, existing or not; the name is kept only as a hash."""

    __tablename__ = "login_failures"
    account_hash: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[datetime]


class SourceFailure(AuthBase):
    """Failed attempts at one account name that came from one place (guard.py), likewise."""

    __tablename__ = "source_failures"
    account_hash: Mapped[str] = mapped_column(primary_key=True)
    source_hash: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(index=True)


class KnownDevice(AuthBase):
    """A browser or program that has logged in to an account; of the secret it keeps only a hash is here."""

    __tablename__ = "known_devices"
    subject: Mapped[UUID] = mapped_column(primary_key=True)
    device_hash: Mapped[str] = mapped_column(primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(index=True)


class Captcha(AuthBase):
    """A question not answered yet; the answer is kept only as a keyed hash."""

    __tablename__ = "captchas"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    answer_hash: Mapped[str]
    expires_at: Mapped[datetime] = mapped_column(index=True)


def create_auth_tables_1(op: Operations) -> None:
    """Create the first revision of these tables. Frozen: changes get a new function."""
    timestamp = sa.DateTime(timezone=True)
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("subject", sa.Uuid, nullable=False),
        sa.Column("refresh_hash", sa.Text, nullable=False),
        sa.Column("previous_hash", sa.Text),
        sa.Column("expires_at", timestamp, nullable=False),
        sa.Column("ended_at", timestamp),
        sa.UniqueConstraint("refresh_hash", name="uq_sessions_refresh_hash"),
    )
    for column in ("subject", "previous_hash", "expires_at"):
        op.create_index(f"ix_sessions_{column}", "sessions", [column])
    op.create_table(
        "login_failures",
        sa.Column("account_hash", sa.Text, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_at", timestamp, nullable=False),
    )


def alter_auth_tables_2(op: Operations) -> None:
    """Let a session be a browser's. Frozen; the version before this one can run on the result."""
    op.add_column("sessions", sa.Column("last_seen_at", sa.DateTime(timezone=True)))


def alter_auth_tables_3(op: Operations) -> None:
    """Let a session know all its refresh tokens. Frozen; the version before this one can run on the result."""
    op.add_column("sessions", sa.Column("family_hash", sa.Text))
    op.create_index("ix_sessions_family_hash", "sessions", ["family_hash"])


def create_guard_tables(op: Operations) -> None:
    """Count failures by source, and know devices. Frozen; the version before this one can run on the result."""
    timestamp = sa.DateTime(timezone=True)
    op.create_table(
        "source_failures",
        sa.Column("account_hash", sa.Text, primary_key=True),
        sa.Column("source_hash", sa.Text, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_at", timestamp, nullable=False),
    )
    op.create_index("ix_source_failures_last_at", "source_failures", ["last_at"])
    op.create_table(
        "known_devices",
        sa.Column("subject", sa.Uuid, primary_key=True),
        sa.Column("device_hash", sa.Text, primary_key=True),
        sa.Column("seen_at", timestamp, nullable=False),
    )
    op.create_index("ix_known_devices_seen_at", "known_devices", ["seen_at"])


def create_captchas(op: Operations) -> None:
    """Give an issuer that had none a table of captchas. Frozen."""
    op.create_table(
        "captchas",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("answer_hash", sa.Text, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_captchas_expires_at", "captchas", ["expires_at"])


class Account:
    """Columns of a service's account table, and what it must say of itself."""

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    password_hash: Mapped[str]
    must_change_password: Mapped[bool]

    def account_name(self, cipher: FieldCipher) -> str:
        """Give what the person logs in with, in clear."""
        raise NotImplementedError

    @property
    def subject(self) -> UUID:
        """Give its id, as an audit trail or a token calls it."""
        return self.id

    @property
    def role_set(self) -> frozenset[str]:
        raise NotImplementedError

    @property
    def is_active(self) -> bool:
        raise NotImplementedError
