"""Sessions: opened by a checked password, continued by single-use refresh tokens, ended by logout or lock."""

import asyncio
import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4
from weakref import WeakValueDictionary

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
from shared.errors import Problem
from shared.privacy import Privacy
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

    def account_name(self, privacy: Privacy) -> str:
        """What the person logs in with, in clear."""
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
    _turns: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary, init=False, repr=False)

    async def log_in(self, session: AsyncSession, account: Account | None, name: str, password: str) -> TokenPair:
        """Raises AccountLocked, WrongCredentials, and `session` holds no connection when it does."""
        stored = account.password_hash if account is not None and account.is_active else None
        await self._check_password(session, name, password, stored, WrongCredentials)
        if account is None:
            raise WrongCredentials
        await session.refresh(account)
        await session.execute(sa.delete(LoginFailureRow).where(LoginFailureRow.account_hash == _hash(name)))
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
        self,
        session: AsyncSession,
        account: Account,
        name: str,
        principal: Principal,
        old: str,
        new: str,
        *forbidden: str,
    ) -> None:
        """Other sessions of the account end; `name` is what it logs in with.

        Raises WrongOldPassword, AccountLocked, WeakPassword, and `session` holds no connection when it does.
        """
        await self._check_password(session, name, old, account.password_hash, WrongOldPassword)
        check_new_password(new, old, name, *forbidden)
        hashed = await hash_password(new)
        await session.refresh(account)
        account.password_hash = hashed
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

    async def _check_password(
        self, session: AsyncSession, name: str, password: str, stored: str | None, refusal: type[Problem]
    ) -> None:
        """Raises AccountLocked or `refusal`. Failures are counted, in a transaction of their own.

        Hashing is slow and queues, so the session, which must not have written anything yet, gives its connection back
        first: a burst of guesses would hold the whole pool. What it has loaded is expired afterwards.
        """
        await session.rollback()
        key = _hash(name)
        # One guess at a time: many made at once must not be under way before the first of them is counted.
        async with self._turns.setdefault(key, asyncio.Lock()):
            await self._refuse_locked(key)
            fits = await verify_password(password, stored)
            # Again, because guesses made in other processes have been counted by now, and must not learn that one fits.
            await self._refuse_locked(key)
            if not fits:
                await self._count_failure(key)
                raise refusal

    async def _refuse_locked(self, key: str) -> None:
        locked = sa.select(LoginFailureRow.last_at).where(
            LoginFailureRow.account_hash == key,
            LoginFailureRow.failures >= self.settings.lockout_failures,
            LoginFailureRow.last_at > self._window_start(),
        )
        async with self.database.transaction() as own:
            last_at = await own.scalar(locked)
        if last_at is not None:
            raise AccountLocked(retry_after=max(1, int((last_at - self._window_start()).total_seconds())))

    async def _count_failure(self, key: str) -> None:
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


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
