"""Sessions: opened after a checked password, continued by single-use refresh tokens, ended by logout or lock."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID, uuid4

import sqlalchemy as sa
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from shared.auth.errors import WrongCredentials, WrongOldPassword
from shared.auth.guard import Guard, Source
from shared.auth.passwords import MAX_LENGTH, check_new_password, hash_password
from shared.auth.tables import Account, LoginSession
from shared.auth.tokens import Principal, SigningKeys
from shared.persistence.reader import Read
from shared.values.clock import Clock
from shared.web.validation import RequestModel

# A token that was given in a session's last moment outlives it, by an hour at most.
ENDED_RETENTION = timedelta(days=1)


class SessionPolicy(Protocol):
    """How long what is given lives."""

    @property
    def access_minutes(self) -> int: ...

    @property
    def refresh_hours(self) -> int: ...

    @property
    def browser_idle_minutes(self) -> int: ...


class Credentials(RequestModel):
    """What every login has; an issuing service adds the account's name, and a captcha that it has spent already."""

    password: str = Field(title="密码", min_length=1, max_length=MAX_LENGTH)
    device: str | None = Field(
        default=None,
        min_length=32,
        max_length=200,
        description="a random secret that this browser or program keeps for good. Who has logged in with it is known by"
        " it, and not kept out for what others have tried",
    )

    @property
    def has_captcha(self) -> bool:
        return getattr(self, "captcha_id", None) is not None


@dataclass(frozen=True)
class Checked:
    """An account whose password fits, and where that came from."""

    account: Account
    source: Source
    device: str | None


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

    clock: Clock
    signing: SigningKeys
    policy: SessionPolicy
    guard: Guard

    async def check_login(self, account: Account | None, name: str, credentials: Credentials, address: str) -> Checked:
        """Check the password of the account that is called `name`, and let it in.

        Waits for the hash, so the caller must hold no connection. Raises AccountLocked, LoginDelayed, CaptchaRequired,
        WrongCredentials.
        """
        source = await self.guard.source(account.id if account else None, address, credentials.device)
        stored = account.password_hash if account is not None and account.is_active else None
        human = credentials.has_captcha
        await self.guard.check(name, credentials.password, stored, source, WrongCredentials, human=human)
        if account is None:
            raise WrongCredentials
        return Checked(account, source, credentials.device)

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

        One that was already spent, however long ago, is in two hands: its session is ended for both, which the caller
        has to commit.
        """
        # The first token of a session is how all that follow it begin.
        first = token.partition(".")[0]
        spent, family = _hash(token), _hash(first)
        known = sa.or_(
            LoginSession.secret_hash == spent, LoginSession.previous_hash == spent, LoginSession.family_hash == family
        )
        row = await session.scalar(sa.select(LoginSession).where(known).with_for_update())
        now = self.clock.now()
        if row is None or row.ended_at is not None or row.expires_at <= now:
            return None
        if row.secret_hash != spent:
            row.ended_at = now
            return None
        following = f"{first}.{secrets.token_urlsafe(32)}"
        row.previous_hash, row.secret_hash, row.family_hash = spent, _hash(following), family
        return row, following

    async def is_open(self, session: AsyncSession, session_id: UUID) -> bool:
        statement = sa.select(LoginSession.id).where(LoginSession.id == session_id, LoginSession.ended_at.is_(None))
        return await session.scalar(statement) is not None

    @staticmethod
    async def reads_open(read: Read, session_id: UUID) -> bool:
        """As `is_open`, outside of a transaction."""
        statement = "SELECT true FROM sessions WHERE id = %(id)s AND ended_at IS NULL"
        return bool(await read(statement, {"id": session_id}))

    async def end(self, session: AsyncSession, session_id: UUID) -> None:
        await self._end(session, LoginSession.id == session_id)

    async def end_all(self, session: AsyncSession, subject: UUID, but: UUID | None = None) -> None:
        """End every session of an account, except the one named."""
        chosen = LoginSession.subject == subject
        await self._end(session, chosen if but is None else sa.and_(chosen, LoginSession.id != but))

    async def hash_new_password(
        self, account: Account, name: str, session_id: UUID, old: str, new: str, *forbidden: str
    ) -> str:
        """Check the old password of the account that is called `name`, and the new one, and hash that.

        Waits for the hashes, so the caller must hold no connection. Raises WrongOldPassword, AccountLocked,
        LoginDelayed, WeakPassword.
        """
        # Whatever others have tried: who is logged in goes on. And who has only found a session guesses as slowly.
        source = Source(f"session {session_id}")
        await self.guard.check(name, old, account.password_hash, source, WrongOldPassword, human=True)
        check_new_password(new, old, name, *forbidden)
        return await hash_password(new)

    async def set_password(self, session: AsyncSession, account: Account, hashed: str, kept: UUID) -> None:
        """Give the account a password of its own choice; its other sessions than `kept` end."""
        account.password_hash = hashed
        account.must_change_password = False
        await self.end_all(session, account.id, but=kept)

    async def clean(self, session: AsyncSession) -> None:
        """Delete sessions long over."""
        over = self.clock.now() - ENDED_RETENTION
        await session.execute(sa.delete(LoginSession).where(LoginSession.expires_at < over))

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
        now = self.clock.now()
        token, ends = self.signing.token_for(principal, now, lifetime)
        return AccessToken(
            access_token=token,
            expires_in=round((ends - now).total_seconds()),
            must_change_password=account.must_change_password,
        )

    async def _end(self, session: AsyncSession, which: sa.ColumnElement[bool]) -> None:
        statement = sa.update(LoginSession).where(which, LoginSession.ended_at.is_(None))
        await session.execute(statement.values(ended_at=self.clock.now()))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
