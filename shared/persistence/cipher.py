"""Personal data: encryption at rest and in events, and the blind index for exact search.

Ciphertext is text: `<key id>.<base64url(nonce || AES-256-GCM ciphertext)>`, bound to a context so that a value cannot
be moved from one purpose to another. The blind index is HMAC-SHA-256 under a key of its own.
"""

import base64
import hmac
import os
from collections.abc import Mapping
from typing import TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import BaseModel

KEY_BYTES = 32
NONCE_BYTES = 12

Block = TypeVar("Block", bound=BaseModel)


class DecryptionFailed(ValueError):
    """The ciphertext is damaged, of another context, or of a key this process does not hold."""


class FieldCipher:
    """`data_keys` maps key id to 32 bytes, the first one (`current`) encrypts; `index_key` is 32 bytes."""

    def __init__(self, data_keys: Mapping[str, bytes], index_key: bytes) -> None:
        if not data_keys:
            raise ValueError("at least one data key is needed")
        for key in (*data_keys.values(), index_key):
            if len(key) != KEY_BYTES:
                raise ValueError(f"keys must be {KEY_BYTES} bytes")
        self.current = next(iter(data_keys))
        self._ciphers = {key_id: AESGCM(key) for key_id, key in data_keys.items()}
        self._index_key = index_key

    def encrypt(self, text: str, context: str) -> str:
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._ciphers[self.current].encrypt(nonce, text.encode(), context.encode())
        return f"{self.current}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def decrypt(self, ciphertext: str, context: str) -> str:
        """Decrypt a value. Raises DecryptionFailed."""
        key_id, _, encoded = ciphertext.partition(".")
        try:
            raw = base64.urlsafe_b64decode(encoded)
            plain = self._ciphers[key_id].decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], context.encode())
        except (KeyError, ValueError, InvalidTag) as error:
            raise DecryptionFailed(f"cannot decrypt with key {key_id[:16]!r}") from error
        return plain.decode()

    def seal(self, block: BaseModel, context: str) -> str:
        """Encrypt several facts as one block of JSON."""
        return self.encrypt(block.model_dump_json(), context)

    def open(self, sealed: str, context: str, kind: type[Block]) -> Block:
        """Decrypt a block. Raises DecryptionFailed; ValidationError for a block of another kind."""
        return kind.model_validate_json(self.decrypt(sealed, context))

    def blind_index(self, value: str) -> str:
        """Make 64 hex digits of a value: equal ones of equal values, and nothing else can be learnt without the key."""
        return hmac.digest(self._index_key, value.encode(), "sha256").hex()
