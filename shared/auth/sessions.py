"""Sessions: opened after a checked password, continued by single-use refresh tokens, ended by logout or lock."""

import asyncio
import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, TypeVar
from uuid import UUID, uuid4
from weakref import WeakValueDictionary

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.auth.errors import AccountLocked, WrongCredentials, WrongOldPassword
from shared.auth.passwords import check_new_password, hash_password, verify_password
from shared.auth.tables import Account, LoginFailure, LoginSession
from shared.auth.tokens import Principal, SigningKeys
from shared.errors import Problem
from shared.persistence.db import Database
from shared.values.clock import Clock

A = TypeVar("A", bound=Account)

# A token that was given in a session's last moment outlives it, by an hour at most.
ENDED_RETENTION = timedelta(days=1)


class SessionPolicy(Protocol):
    """How long what is given lives, and how many failures lock an account for how long."""

    @property
    def access_minutes(self) -> int: ...

    @property
    def refresh_hours(self) -> int: ...

    @property
    def browser_idle_minutes(self) -> int: ...

    @property
    def lockout_failures(self) -> int: ...

    @property
    def lockout_minutes(self) -> int: ...


class AccessToken(BaseModel):
    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - RFC 6750
    expires_in: int
    must_change_password: bool


class TokenPair(AccessToken):
    refresh_token: str


@dataclass(frozen=True)
class Sessions:
    """Session use cases of one issuing service."""

    database: Database
    clock: Clock
    signing: SigningKeys
    policy: SessionPolicy
    _turns: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary, init=False, repr=False)

    async def check_login(self, account: A | None, name: str, password: str) -> A:
        """Check the password of the account that is called `name`, and give the account.

        Waits for the hash, so the caller must hold no connection. Raises AccountLocked, WrongCredentials.
        """
        stored = account.password_hash if account is not None and account.is_active else None
        await self._check_password(name, password, stored, WrongCredentials)
        if account is None:
            raise WrongCredentials
        return account

    def open(self, session: AsyncSession, account: Account) -> TokenPair:
        """Add a session for an account that may log in, and give its first tokens."""
        token = secrets.token_urlsafe(32)
        return self.pair(account, self.add(session, account, _hash(token)).id, token)

    def add(
        self, session: AsyncSession, account: Account, secret_hash: str, last_seen_at: datetime | None = None
    ) -> LoginSession:
        row = LoginSession(
            id=uuid4(),
            subject=account.id,
            secret_hash=secret_hash,
            expires_at=self.clock.now() + timedelta(hours=self.policy.refresh_hours),
            last_seen_at=last_seen_at,
        )
        session.add(row)
        return row

    async def refresh(self, session: AsyncSession, token: str) -> tuple[LoginSession, str] | None:
        """Spend a refresh token; gives the session and its next token, or None for a token that is not good.

        One that was already spent is in two hands: its session is ended for both, which the caller has to commit.
        """
        spent = _hash(token)
        row = await session.scalar(sa.select(LoginSession).where(LoginSession.secret_hash == spent).with_for_update())
        if row is None:
            await self._end(session, LoginSession.previous_hash == spent)
            return None
        if row.ended_at is not None or row.expires_at <= self.clock.now():
            return None
        following = secrets.token_urlsafe(32)
        row.previous_hash, row.secret_hash = spent, _hash(following)
        return row, following

    async def is_open(self, session: AsyncSession, session_id: UUID) -> bool:
        statement = sa.select(LoginSession.id).where(LoginSession.id == session_id, LoginSession.ended_at.is_(None))
        return await session.scalar(statement) is not None

    async def end(self, session: AsyncSession, session_id: UUID) -> None:
        await self._end(session, LoginSession.id == session_id)

    async def end_all(self, session: AsyncSession, subject: UUID, but: UUID | None = None) -> None:
        """End every session of an account, except the one named."""
        chosen = LoginSession.subject == subject
        await self._end(session, chosen if but is None else sa.and_(chosen, LoginSession.id != but))

    async def hash_new_password(self, account: Account, name: str, old: str, new: str, *forbidden: str) -> str:
        """Check the old password of the account that is called `name`, and the new one, and hash that.

        Waits for the hashes, so the caller must hold no connection. Raises WrongOldPassword, AccountLocked,
        WeakPassword.
        """
        await self._check_password(name, old, account.password_hash, WrongOldPassword)
        check_new_password(new, old, name, *forbidden)
        return await hash_password(new)

    async def set_password(self, session: AsyncSession, account: Account, hashed: str, kept: UUID) -> None:
        """Give the account a password of its own choice; its other sessions than `kept` end."""
        account.password_hash = hashed
        account.must_change_password = False
        await self.end_all(session, account.id, but=kept)

    async def unlock(self, session: AsyncSession, name: str) -> bool:
        """Forget the failed logins of an account name; gives False if there are none."""
        forgotten = sa.delete(LoginFailure).where(LoginFailure.account_hash == _hash(name))
        return await session.scalar(forgotten.returning(LoginFailure.account_hash)) is not None

    async def clean(self, session: AsyncSession) -> None:
        """Delete sessions long over, and failures that count no more."""
        over = self.clock.now() - ENDED_RETENTION
        await session.execute(sa.delete(LoginSession).where(LoginSession.expires_at < over))
        await session.execute(sa.delete(LoginFailure).where(LoginFailure.last_at <= self._window_start()))

    def pair(self, account: Account, session_id: UUID, refresh_token: str) -> TokenPair:
        return TokenPair(**self.access(account, session_id).model_dump(), refresh_token=refresh_token)

    def access(self, account: Account, session_id: UUID) -> AccessToken:
        lifetime = timedelta(minutes=self.policy.access_minutes)
        principal = Principal(
            issuer=self.signing.issuer,
            subject=account.id,
            session=session_id,
            name=account.name,
            roles=account.role_set,
            must_change_password=account.must_change_password,
        )
        return AccessToken(
            access_token=self.signing.sign(principal, self.clock.now(), lifetime),
            expires_in=int(lifetime.total_seconds()),
            must_change_password=account.must_change_password,
        )

    async def _end(self, session: AsyncSession, which: sa.ColumnElement[bool]) -> None:
        statement = sa.update(LoginSession).where(which, LoginSession.ended_at.is_(None))
        await session.execute(statement.values(ended_at=self.clock.now()))

    def _window_start(self) -> datetime:
        return self.clock.now() - timedelta(minutes=self.policy.lockout_minutes)

    async def _check_password(self, name: str, password: str, stored: str | None, refusal: type[Problem]) -> None:
        """Compare a password with the stored hash, and count a failure in a transaction of its own.

        Hashing is slow and queues: with connections held meanwhile a burst of guesses would hold the whole pool.
        Raises AccountLocked, or `refusal` where the password does not fit.
        """
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
        locked = sa.select(LoginFailure.last_at).where(
            LoginFailure.account_hash == key,
            LoginFailure.failures >= self.policy.lockout_failures,
            LoginFailure.last_at > self._window_start(),
        )
        async with self.database.transaction() as own:
            last_at = await own.scalar(locked)
        if last_at is not None:
            raise AccountLocked(retry_after=max(1, int((last_at - self._window_start()).total_seconds())))

    async def _count_failure(self, key: str) -> None:
        now = self.clock.now()
        statement = insert(LoginFailure).values(account_hash=key, failures=1, last_at=now)
        counted = sa.case((LoginFailure.last_at > self._window_start(), LoginFailure.failures + 1), else_=sa.literal(1))
        async with self.database.transaction() as own:
            await own.execute(
                statement.on_conflict_do_update(
                    index_elements=[LoginFailure.account_hash], set_={"failures": counted, "last_at": now}
                )
            )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
