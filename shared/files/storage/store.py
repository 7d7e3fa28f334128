"""The protocol both stores keep, their errors, and the one rule for keys."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Protocol

MAX_URL_LIFE = timedelta(minutes=5)
# Keys that a store is asked for at a time.
PAGE = 1000

_KEY = re.compile(r"(?=.{1,512}\Z)[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*\Z")


class ObjectMissing(Exception):
    """No object has this key."""


class StoreUnavailable(Exception):
    """The store did not answer in time, or refused us. Trying again later may help; the cause is chained."""


class InvalidKey(ValueError):
    """Not a key we write: at most 512 of ASCII letters, digits, `._-` and `/`, no part of it empty or dot-led."""


def check_key(key: str) -> str:
    """Give the key itself. Raises InvalidKey for anything that could leave the store or hide in it."""
    if not _KEY.match(key):
        raise InvalidKey(repr(key))
    return key


class ObjectStore(Protocol):
    """Small blobs by key. Every method may raise StoreUnavailable; those that take a key, InvalidKey.

    No key may be the directory of another (`a` beside `a/b`): not every server can keep both.
    """

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        """Write an object, durable and visible as a whole on return; one of the same key is replaced."""

    async def get(self, key: str) -> bytes:
        """Read an object. Raises ObjectMissing."""

    async def delete(self, key: str) -> None:
        """Delete an object; a missing one is fine."""

    async def presigned_url(self, key: str, expires: timedelta) -> str | None:
        """Make a URL that anybody can GET the object from until it expires, without asking the store.

        None: this store has no URLs, serve the bytes yourself. ValueError: `expires` is over five minutes.
        """

    def list_keys(self, prefix: str, older_than: timedelta) -> AsyncIterator[str]:
        """List the keys that start with `prefix` ("" for all) and were last written at least `older_than` ago.

        They come in any order, and in pages of which each is asked for by itself, so that there may be any number.
        """

    async def ready(self) -> None:
        """Return when the store can serve. Raises StoreUnavailable when it cannot."""

    async def ensure_bucket(self) -> None:
        """Make the place the objects go to, where it is missing; called once at start."""
