"""Browser sessions: continued by one opaque id, which a web portal keeps in the browser's cookie and nowhere else.

The id is shown as often as pages are asked for, by any copy of the portal, so unlike a refresh token it is not spent;
instead the session ends when it was idle for too long.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from shared.auth.errors import InvalidSession
from shared.auth.sessions import AccessToken, Sessions
from shared.auth.tables import Account, LoginSession
from shared.persistence.cipher import FieldCipher

# Not every page writes a row; the price is that a session may end this much before its idle time.
SEEN_EVERY = timedelta(minutes=1)


class AccountRead(BaseModel):
    id: UUID
    name: str
    roles: list[str]


class BrowserAccess(AccessToken):
    account: AccountRead
    seal_key: str = Field(description="of the account, for what a portal seals into its addresses")


class BrowserSession(BrowserAccess):
    session_id: str


@dataclass(frozen=True)
class BrowserSessions:
    """Use cases of a web portal, on the same sessions that logout, password change and disabling end."""

    sessions: Sessions
    cipher: FieldCipher

    def open(self, session: AsyncSession, account: Account) -> BrowserSession:
        """Add a session for an account that may log in, and show its id for the first time."""
        session_id = secrets.token_urlsafe(32)
        row = self.sessions.add(session, account, _hash(session_id), last_seen_at=self.sessions.clock.now())
        return self.shown(account, row.id, session_id)

    async def see(self, session: AsyncSession, session_id: str, *, active: bool = True) -> LoginSession:
        """Find the session, which stays open for longer if somebody was active. Raises InvalidSession."""
        now = self.sessions.clock.now()
        due = LoginSession.last_seen_at <= now - SEEN_EVERY
        found = (await session.execute(sa.select(LoginSession, due).where(*self._open_under(session_id)))).one_or_none()
        if found is None:
            raise InvalidSession
        row, is_due = found
        if is_due and active:
            # Asked again, so that of many pages at once one writes.
            await session.execute(
                sa.update(LoginSession).where(LoginSession.id == row.id, due).values(last_seen_at=now)
            )
        return row

    async def rotate(self, session: AsyncSession, session_id: str) -> tuple[LoginSession, str]:
        """Give the session a new id; the old one is dead when this commits. Raises InvalidSession.

        An old id that comes again ends nothing: another page may have been under way with it.
        """
        following = secrets.token_urlsafe(32)
        renamed = sa.update(LoginSession).where(*self._open_under(session_id)).returning(LoginSession)
        row = await session.scalar(renamed.values(secret_hash=_hash(following), last_seen_at=self.sessions.clock.now()))
        if row is None:
            raise InvalidSession
        return row, following

    def access(self, account: Account, row_id: UUID) -> BrowserAccess:
        read = AccountRead(id=account.id, name=account.name, roles=sorted(account.role_set))
        seal_key = self.cipher.blind_index(f"portal seal:{account.id}")
        return BrowserAccess(**self.sessions.access(account, row_id).model_dump(), account=read, seal_key=seal_key)

    def shown(self, account: Account, row_id: UUID, session_id: str) -> BrowserSession:
        return BrowserSession(**self.access(account, row_id).model_dump(), session_id=session_id)

    def _open_under(self, session_id: str) -> tuple[sa.ColumnElement[bool], ...]:
        now = self.sessions.clock.now()
        idle = timedelta(minutes=self.sessions.policy.browser_idle_minutes)
        return (
            LoginSession.secret_hash == _hash(session_id),
            LoginSession.ended_at.is_(None),
            LoginSession.expires_at > now,
            LoginSession.last_seen_at >= now - idle,
        )


def _hash(session_id: str) -> str:
    # Another function than that of refresh tokens: no text can be both.
    return hashlib.blake2b(session_id.encode(errors="replace"), digest_size=32, person=b"browser session").hexdigest()
