"""Personal data that has to travel in an address, readable to nobody but the session that put it there."""

from collections.abc import Mapping

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shared.privacy import KEY_BYTES, Privacy, Undecipherable

CONTEXT = "portal.query"


def seal(session_id: str, values: Mapping[str, str]) -> str:
    """`values` as one URL-safe text, different each time."""
    return _cipher(session_id).seal(values, CONTEXT)


def unseal(session_id: str, sealed: str) -> dict[str, str] | None:
    """What was sealed; None when that was another session's, or is no such text at all."""
    try:
        return _cipher(session_id).open(sealed, CONTEXT)
    except Undecipherable:
        return None


def _cipher(session_id: str) -> Privacy:
    key = HKDF(SHA256(), KEY_BYTES, salt=None, info=CONTEXT.encode()).derive(session_id.encode())
    return Privacy({"s": key}, key)
