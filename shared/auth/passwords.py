"""Passwords: argon2id (OWASP floor: 19 MiB, 2 passes), hashed off the event loop and few at a time."""

import secrets
import unicodedata

import anyio.to_thread
from anyio import CapacityLimiter
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from shared.auth.errors import WeakPassword

MIN_LENGTH = 8
MAX_LENGTH = 128
# Without the look-alikes 0 O, 1 I L, 2 Z, 5 S, 8 B, U V.
UNMISTAKABLE = "34679ACDEFGHJKMNPQRTWXY"

_hasher = PasswordHash((Argon2Hasher(memory_cost=19_456, time_cost=2, parallelism=1),))
# Every hash takes 19 MiB, so a burst of logins must queue instead of exhausting memory.
_limiter: dict[str, CapacityLimiter] = {}
# An unknown account costs the same time as a known one.
_NOBODY = _hasher.hash("no account has this password")


def _limit() -> CapacityLimiter:
    return _limiter.setdefault("argon2", CapacityLimiter(4))


def hash_now(password: str) -> str:
    """Hash on this thread, for what is known when a process starts."""
    return _hasher.hash(password)


async def hash_password(password: str) -> str:
    """Hash on a thread, when it is this password's turn."""
    return await anyio.to_thread.run_sync(_hasher.hash, password, limiter=_limit())


async def verify_password(password: str, stored: str | None) -> bool:
    """Tell whether the password fits; None stands for an account that does not exist and never fits."""
    fits = await anyio.to_thread.run_sync(_hasher.verify, password, stored or _NOBODY, limiter=_limit())
    return fits and stored is not None


def check_new_password(new: str, old: str, *forbidden: str) -> None:
    """Refuse a password that is easily guessed. `forbidden` are account names and initial passwords that it must not
    contain.

    Raises WeakPassword.
    """
    faults = []
    if not MIN_LENGTH <= len(new) <= MAX_LENGTH:
        faults.append(f"长度应为 {MIN_LENGTH} 至 {MAX_LENGTH} 位")
    if not (any(c.isalpha() for c in new) and any(not c.isalpha() for c in new)):
        faults.append("应同时包含字母和数字（或符号）")
    if new == old:
        faults.append("不能与原密码相同")
    if any(word and _folded(word) in _folded(new) for word in forbidden):
        faults.append("不能包含账号或初始密码")
    if faults:
        raise WeakPassword("new_password", "新密码" + "；".join(faults))


def random_text(length: int) -> str:
    """Draw random characters that people do not confuse."""
    return "".join(secrets.choice(UNMISTAKABLE) for _ in range(length))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
