"""Sessions: opened by a checked password, continued by single-use refresh tokens, ended by logout or lock."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import sqlalchemy as sa
from alembic.operations import Operations
from pydantic import BaseModel
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared.auth.errors import AccountLocked, InvalidRefreshToken, WrongCredentials, WrongOldPassword
from shared.auth.passwords import check_new_password, hash_password, verify_password
from shared.auth.tokens import Principal, SigningKeys
from shared.clock import Clock
from shared.db import Database, new_registry
from shared.settings import IssuerSettings


class AuthBase(DeclarativeBase):
    registry = new_registry()


class SessionRow(AuthBase):
    """One login. The refresh token is kept only as a hash; the previous one betrays a theft when it comes again."""

    __tablename__ = "sessions"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    subject: Mapped[UUID] = mapped_column(index=True)
    refresh_hash: Mapped[str] = mapped_column(unique=True)
    previous_hash: Mapped[str | None] = mapped_column(index=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None]


class LoginFailureRow(AuthBase):
    """Failed logins of one account name, existing or not; the name is kept only as a hash."""

    __tablename__ = "login_failures"
    account_hash: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[datetime]


def create_auth_tables_1(op: Operations) -> None:
    """First revision of these tables. Frozen: changes get a new function."""
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


class Account:
    """Columns of a service's account table, and what it must say of itself."""

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    password_hash: Mapped[str]
    must_change_password: Mapped[bool]

    @property
    def account_name(self) -> str:
        """What the person logs in with."""
        raise NotImplementedError

    @property
    def role_set(self) -> frozenset[str]:
        raise NotImplementedError

    @property
    def is_active(self) -> bool:
        raise NotImplementedError


class TokenPair(BaseModel):
    access_token: str
    refresh_token: str
    token_type: str = "Bearer"  # noqa: S105 - RFC 6750
    expires_in: int
    must_change_password: bool


@dataclass(frozen=True)
class Sessions:
    """Session use cases of one issuing service."""

    database: Database
    clock: Clock
    signing: SigningKeys
    settings: IssuerSettings

    async def log_in(self, session: AsyncSession, account: Account | None, name: str, password: str) -> TokenPair:
        """Raises AccountLocked, WrongCredentials. Failures are counted in a transaction of their own."""
        key = hashlib.sha256(name.encode()).hexdigest()
        await self._refuse_locked(session, key)
        known = account is not None and account.is_active
        fits = await verify_password(password, account.password_hash if account and known else None)
        # Again, because guesses made at the same time have been counted by now, and must not learn whether one fits.
        await self._refuse_locked(session, key)
        if not fits or account is None:
            await self._count_failure(session, key)
            raise WrongCredentials
        await session.execute(sa.delete(LoginFailureRow).where(LoginFailureRow.account_hash == key))
        return self._open(session, account)

    async def refresh(self, session: AsyncSession, token: str) -> tuple[SessionRow, str]:
        """Spend a refresh token; returns the session and its next token. Raises InvalidRefreshToken."""
        spent = _hash(token)
        row = await session.scalar(sa.select(SessionRow).where(SessionRow.refresh_hash == spent).with_for_update())
        if row is None:
            # A token that was already spent is in two hands: end the session for both.
            await session.rollback()
            async with self.database.transaction() as own:
                await own.execute(
                    sa.update(SessionRow)
                    .where(SessionRow.previous_hash == spent, SessionRow.ended_at.is_(None))
                    .values(ended_at=self.clock.now())
                )
            raise InvalidRefreshToken
        if row.ended_at is not None or row.expires_at <= self.clock.now():
            raise InvalidRefreshToken
        following = secrets.token_urlsafe(32)
        row.previous_hash, row.refresh_hash = spent, _hash(following)
        return row, following

    async def is_open(self, session: AsyncSession, session_id: UUID) -> bool:
        statement = sa.select(SessionRow.id).where(SessionRow.id == session_id, SessionRow.ended_at.is_(None))
        return await session.scalar(statement) is not None

    async def end(self, session: AsyncSession, session_id: UUID) -> None:
        await self._end(session, SessionRow.id == session_id)

    async def end_all(self, session: AsyncSession, subject: UUID, but: UUID | None = None) -> None:
        """End every session of an account, except the one named."""
        chosen = SessionRow.subject == subject
        await self._end(session, chosen if but is None else sa.and_(chosen, SessionRow.id != but))

    async def change_password(
        self, session: AsyncSession, account: Account, principal: Principal, old: str, new: str, *forbidden: str
    ) -> None:
        """Raises WrongOldPassword, AccountLocked, WeakPassword. Other sessions of the account end."""
        key = hashlib.sha256(account.account_name.encode()).hexdigest()
        await self._refuse_locked(session, key)
        fits = await verify_password(old, account.password_hash)
        await self._refuse_locked(session, key)
        if not fits:
            await self._count_failure(session, key)
            raise WrongOldPassword
        check_new_password(new, old, account.account_name, *forbidden)
        account.password_hash = await hash_password(new)
        account.must_change_password = False
        await self.end_all(session, account.id, but=principal.session)

    def pair(self, account: Account, session_id: UUID, refresh_token: str) -> TokenPair:
        lifetime = timedelta(minutes=self.settings.access_minutes)
        principal = Principal(
            issuer=self.signing.issuer,
            subject=account.id,
            session=session_id,
            name=account.name,
            roles=account.role_set,
            must_change_password=account.must_change_password,
        )
        return TokenPair(
            access_token=self.signing.sign(principal, self.clock.now(), lifetime),
            refresh_token=refresh_token,
            expires_in=int(lifetime.total_seconds()),
            must_change_password=account.must_change_password,
        )

    def _open(self, session: AsyncSession, account: Account) -> TokenPair:
        token = secrets.token_urlsafe(32)
        expires_at = self.clock.now() + timedelta(hours=self.settings.refresh_hours)
        row = SessionRow(id=uuid4(), subject=account.id, refresh_hash=_hash(token), expires_at=expires_at)
        session.add(row)
        return self.pair(account, row.id, token)

    async def _end(self, session: AsyncSession, which: sa.ColumnElement[bool]) -> None:
        statement = sa.update(SessionRow).where(which, SessionRow.ended_at.is_(None))
        await session.execute(statement.values(ended_at=self.clock.now()))

    def _window_start(self) -> datetime:
        return self.clock.now() - timedelta(minutes=self.settings.lockout_minutes)

    async def _refuse_locked(self, session: AsyncSession, key: str) -> None:
        locked = sa.select(LoginFailureRow.last_at).where(
            LoginFailureRow.account_hash == key,
            LoginFailureRow.failures >= self.settings.lockout_failures,
            LoginFailureRow.last_at > self._window_start(),
        )
        last_at = await session.scalar(locked)
        if last_at is not None:
            raise AccountLocked(retry_after=max(1, int((last_at - self._window_start()).total_seconds())))

    async def _count_failure(self, session: AsyncSession, key: str) -> None:
        # The request is refused anyway: its connection goes back first, or a burst of failures would hold the whole
        # pool while each of them waits for a second one.
        await session.rollback()
        now = self.clock.now()
        statement = insert(LoginFailureRow).values(account_hash=key, failures=1, last_at=now)
        counted = sa.case(
            (LoginFailureRow.last_at > self._window_start(), LoginFailureRow.failures + 1), else_=sa.literal(1)
        )
        async with self.database.transaction() as own:
            await own.execute(
                statement.on_conflict_do_update(
                    index_elements=[LoginFailureRow.account_hash], set_={"failures": counted, "last_at": now}
                )
            )


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
