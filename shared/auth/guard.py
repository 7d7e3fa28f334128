"""Guessing passwords is slow for who guesses, and for nobody else.

Failures count by where they come from: a browser that has logged in to the account before, a session, or else a
network address. So whoever guesses from elsewhere locks nobody out but himself. What strangers guess together only
asks every stranger for a captcha and, if there are very many of them, keeps all strangers out for a while.
"""

import asyncio
import hashlib
import ipaddress
import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID
from weakref import WeakValueDictionary

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.auth.errors import AccountLocked, CaptchaRequired, LoginDelayed, WrongCredentials
from shared.auth.passwords import verify_password
from shared.auth.tables import KnownDevice, LoginFailure, SourceFailure
from shared.errors import Problem
from shared.persistence.cipher import FieldCipher
from shared.persistence.db import Database
from shared.values.clock import Clock

CAPTCHA_AFTER = 3
DEVICE_LIFETIME = timedelta(days=180)
# Of each account, the last used.
MAX_DEVICES = 20


class GuardPolicy(Protocol):
    """How many failures of one source, or of all strangers together, lock for how long."""

    @property
    def lockout_failures(self) -> int: ...

    @property
    def lockout_failures_of_strangers(self) -> int: ...

    @property
    def lockout_minutes(self) -> int: ...


@dataclass(frozen=True)
class Source:
    """Where a password comes from. `is_stranger` is who has not shown yet to be the account's."""

    name: str
    is_stranger: bool = False


@dataclass(frozen=True)
class Failures:
    """What counts against an attempt: failures of its own source, the last of them, and those of all strangers."""

    own: int
    last_at: datetime | None
    strangers: int
    strangers_last_at: datetime | None


def network_of(address: str) -> str:
    """Give what one party is likely to have for itself: an IPv4 address, 64 bits of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed), 64), strict=False))
    return str(parsed)


def delay_after(failures: int) -> timedelta:
    """Tell how long a source waits after so many failures: 2 s, 4 s, 8 s … from the one that asks for a captcha on."""
    return timedelta(seconds=2 ** min(failures - CAPTCHA_AFTER + 1, 12)) if failures >= CAPTCHA_AFTER else timedelta()


def refusal_of(failures: Failures, *, human: bool, now: datetime, policy: GuardPolicy) -> Problem | None:
    """Say why a password is not even looked at, if so. `human` is who has read a captcha."""
    lockout = timedelta(minutes=policy.lockout_minutes)
    if failures.last_at is not None:
        if failures.own >= policy.lockout_failures:
            return AccountLocked(retry_after=_seconds(failures.last_at + lockout - now))
        left = failures.last_at + delay_after(failures.own) - now
        if left > timedelta():
            return LoginDelayed(_seconds(left))
    if failures.strangers_last_at is not None and failures.strangers >= policy.lockout_failures_of_strangers:
        return AccountLocked(retry_after=_seconds(failures.strangers_last_at + lockout - now))
    return None if human or not asks_for_captcha(failures) else CaptchaRequired()


def asks_for_captcha(failures: Failures) -> bool:
    """Tell whether the next attempt needs a captcha."""
    return max(failures.own, failures.strangers) >= CAPTCHA_AFTER


def _seconds(span: timedelta) -> int:
    return max(1, math.ceil(span.total_seconds()))


@dataclass(frozen=True)
class Guard:
    """The counts of one issuing service."""

    database: Database
    clock: Clock
    cipher: FieldCipher
    policy: GuardPolicy
    _turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = field(
        default_factory=WeakValueDictionary, init=False, repr=False
    )

    async def source(self, subject: UUID | None, address: str, device: str | None) -> Source:
        """Tell where a login for this account, or for none, comes from."""
        if device is not None:
            known = sa.select(KnownDevice.device_hash).where(
                KnownDevice.subject == subject,
                KnownDevice.device_hash == _hash(device),
                KnownDevice.seen_at > self.clock.now() - DEVICE_LIFETIME,
            )
            async with self.database.transaction() as session:
                if await session.scalar(known) is not None:
                    return Source(f"device {_hash(device)}")
        return Source(f"network {network_of(address)}", is_stranger=True)

    async def check(
        self, name: str, password: str, stored: str | None, source: Source, refusal: type[Problem], *, human: bool
    ) -> None:
        """Compare a password with the stored hash; a failure is counted in a transaction of its own.

        Hashing is slow and queues: with connections held meanwhile a burst of guesses would hold the whole pool.
        Raises AccountLocked, LoginDelayed, CaptchaRequired, or `refusal` where the password does not fit.
        """
        key = (_hash(name), self._hash_source(source))
        # One guess at a time: many made at once must not be under way before the first of them is counted.
        async with self._turns.setdefault(key, asyncio.Lock()):
            await self._admit(key, source, human=human)
            fits = await verify_password(password, stored)
            # Again, because guesses made in other processes have been counted by now, and must not learn that one fits.
            await self._admit(key, source, human=human)
            if not fits:
                failures = await self._count(key, source)
                # A captcha goes with a login only.
                told = refusal is WrongCredentials and asks_for_captcha(failures)
                raise refusal(captcha_required=True) if told else refusal()

    async def forgive(self, session: AsyncSession, name: str, source: Source) -> None:
        """Forget what counts against this source, and against strangers, because the right password came."""
        own = sa.and_(SourceFailure.account_hash == _hash(name), SourceFailure.source_hash == self._hash_source(source))
        await session.execute(sa.delete(SourceFailure).where(own))
        await session.execute(sa.delete(LoginFailure).where(LoginFailure.account_hash == _hash(name)))

    async def remember(self, session: AsyncSession, subject: UUID, device: str | None) -> None:
        """Know the device from now on as one of the account's."""
        if device is None:
            return
        now = self.clock.now()
        row = insert(KnownDevice).values(subject=subject, device_hash=_hash(device), seen_at=now)
        await session.execute(
            row.on_conflict_do_update(
                index_elements=[KnownDevice.subject, KnownDevice.device_hash], set_={"seen_at": now}
            )
        )
        mine = KnownDevice.subject == subject
        kept = sa.select(KnownDevice.device_hash).where(mine).order_by(KnownDevice.seen_at.desc()).limit(MAX_DEVICES)
        await session.execute(sa.delete(KnownDevice).where(mine, KnownDevice.device_hash.not_in(kept)))

    async def unlock(self, session: AsyncSession, name: str) -> bool:
        """Forget the failed logins of an account name; gives False if there are none."""
        forgotten: list[Any] = []
        for table in (SourceFailure, LoginFailure):
            statement = sa.delete(table).where(table.account_hash == _hash(name)).returning(table.account_hash)
            forgotten += (await session.scalars(statement)).all()
        return bool(forgotten)

    async def clean(self, session: AsyncSession) -> None:
        """Delete failures that count no more, and devices not used for long."""
        for table in (SourceFailure, LoginFailure):
            await session.execute(sa.delete(table).where(table.last_at <= self._window_start()))
        over = self.clock.now() - DEVICE_LIFETIME
        await session.execute(sa.delete(KnownDevice).where(KnownDevice.seen_at <= over))

    async def _admit(self, key: tuple[str, str], source: Source, *, human: bool) -> None:
        async with self.database.transaction() as session:
            failures = await self._failures(session, key, source)
        refusal = refusal_of(failures, human=human, now=self.clock.now(), policy=self.policy)
        if refusal is not None:
            raise refusal

    async def _failures(self, session: AsyncSession, key: tuple[str, str], source: Source) -> Failures:
        account, place = key
        since = self._window_start()
        own = sa.select(SourceFailure).where(
            SourceFailure.account_hash == account, SourceFailure.source_hash == place, SourceFailure.last_at > since
        )
        strangers = sa.select(LoginFailure).where(LoginFailure.account_hash == account, LoginFailure.last_at > since)
        mine = await session.scalar(own)
        others = await session.scalar(strangers) if source.is_stranger else None
        return Failures(
            mine.failures if mine else 0,
            mine.last_at if mine else None,
            others.failures if others else 0,
            others.last_at if others else None,
        )

    async def _count(self, key: tuple[str, str], source: Source) -> Failures:
        account, place = key
        async with self.database.transaction() as session:
            await self._add(session, SourceFailure, account_hash=account, source_hash=place)
            if source.is_stranger:
                await self._add(session, LoginFailure, account_hash=account)
        async with self.database.transaction() as session:
            return await self._failures(session, key, source)

    async def _add(self, session: AsyncSession, table: type[SourceFailure | LoginFailure], **key: str) -> None:
        now = self.clock.now()
        statement = insert(table).values(**key, failures=1, last_at=now)
        counted = sa.case((table.last_at > self._window_start(), table.failures + 1), else_=sa.literal(1))
        await session.execute(
            statement.on_conflict_do_update(index_elements=list(key), set_={"failures": counted, "last_at": now})
        )

    def _hash_source(self, source: Source) -> str:
        # Keyed, because an address is personal data and there are few.
        return self.cipher.blind_index(f"login source:{source.name}")

    def _window_start(self) -> datetime:
        return self.clock.now() - timedelta(minutes=self.policy.lockout_minutes)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
