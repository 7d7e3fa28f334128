"""Pictures out of the store and into one, as a tar stream: for backups."""

import hashlib
import io
import tarfile
from collections.abc import Container
from typing import IO

from services.renewal.container import RenewalContainer
from services.renewal.pictures import queries
from shared.files.storage import ObjectMissing, ObjectStore

JPEG = b"\xff\xd8"


async def export_pictures(container: RenewalContainer, stream: IO[bytes], known: Container[str]) -> int:
    """Write every picture but the `known` keys to `stream`; returns how many. One removed meanwhile is left out."""
    exported = 0
    async with container.database.transaction() as session:
        keys = [key async for key, _ in queries.all_images(session) if key not in known]
    with tarfile.open(fileobj=stream, mode="w|") as archive:
        for key in keys:
            try:
                data = await container.store.get(key)
            except ObjectMissing:
                continue
            member = tarfile.TarInfo(key)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
            exported += 1
    return exported


async def import_pictures(store: ObjectStore, stream: IO[bytes]) -> int:
    """Put what `export_pictures` wrote; returns how many."""
    imported = 0
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is None:
                continue
            data = file.read()
            await store.put(member.name, data, "image/jpeg" if data.startswith(JPEG) else "image/png")
            imported += 1
    return imported


async def check_pictures(container: RenewalContainer) -> tuple[int, list[str]]:
    """Read every picture: how many there are, and the keys of those that are missing or not what was stored."""
    async with container.database.transaction() as session:
        rows = [row async for row in queries.all_images(session)]
    bad = [key for key, sha256 in rows if await _digest(container.store, key) != sha256]
    return len(rows), bad


async def _digest(store: ObjectStore, key: str) -> str | None:
    try:
        return hashlib.sha256(await store.get(key)).hexdigest()
    except ObjectMissing:
        return None
