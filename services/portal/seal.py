"""Personal data that has to travel in an address, readable to nobody but the account that put it there."""

from collections.abc import Mapping

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import RootModel

from shared.persistence.cipher import KEY_BYTES, DecryptionFailed, FieldCipher

CONTEXT = "portal.query"


class _Values(RootModel[dict[str, str]]):
    """What was filled in, by field."""


def seal(account_key: str, values: Mapping[str, str]) -> str:
    """Turn `values` into one URL-safe text, different each time."""
    return _cipher(account_key).seal(_Values(dict(values)), CONTEXT)


def unseal(account_key: str, sealed: str) -> dict[str, str] | None:
    """Return what was sealed; None when that was another account's, or is no such text at all."""
    try:
        return _cipher(account_key).open(sealed, CONTEXT, _Values).root
    except DecryptionFailed:
        return None


def _cipher(account_key: str) -> FieldCipher:
    key = HKDF(SHA256(), KEY_BYTES, salt=None, info=CONTEXT.encode()).derive(account_key.encode())
    return FieldCipher({"s": key}, key)
