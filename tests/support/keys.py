"""What a store holds."""

from datetime import timedelta

from shared.files.storage import ObjectStore


async def keys_in(store: ObjectStore, prefix: str, older_than: timedelta) -> list[str]:
    """All keys that the store lists, sorted."""
    return sorted([key async for key in store.list_keys(prefix, older_than)])
