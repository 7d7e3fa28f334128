"""What only the directory store can get wrong."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from shared.files.storage import DirectoryStore, ObjectMissing, StoreUnavailable
from tests.support.keys import keys_in


@pytest.fixture
async def store(tmp_path: Path) -> DirectoryStore:
    made = DirectoryStore(tmp_path / "images")
    await made.ensure_bucket()
    return made


async def test_is_unavailable_without_its_directory(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "unmounted")
    for refused in (
        store.ready(),
        store.put("a/b", b"x", "image/png"),
        store.get("a/b"),
        store.delete("a/b"),
        keys_in(store, "", timedelta(0)),
    ):
        with pytest.raises(StoreUnavailable):
            await refused
    assert not (tmp_path / "unmounted").exists()


async def test_is_unavailable_when_it_cannot_write(store: DirectoryStore, tmp_path: Path) -> None:
    (tmp_path / "images" / "a").write_bytes(b"in the way of a directory")
    with pytest.raises(StoreUnavailable):
        await store.put("a/b", b"x", "image/png")
    assert list((tmp_path / "images" / ".incoming").iterdir()) == []


async def test_lists_by_the_time_of_writing(store: DirectoryStore, tmp_path: Path) -> None:
    await store.put("old", b"x", "image/png")
    await store.put("new", b"x", "image/png")
    two_hours_ago = time.time() - 7200
    os.utime(tmp_path / "images" / "old", (two_hours_ago, two_hours_ago))
    assert await keys_in(store, "", timedelta(hours=1)) == ["old"]


async def test_hides_and_then_removes_what_a_crash_left_half_written(store: DirectoryStore, tmp_path: Path) -> None:
    incoming = tmp_path / "images" / ".incoming"
    for name, age in (("crashed", 7200), ("being-written", 0)):
        (incoming / name).write_bytes(b"half")
        os.utime(incoming / name, (time.time() - age, time.time() - age))
    assert await keys_in(store, "", timedelta(0)) == []
    await store.ensure_bucket()
    assert [path.name for path in incoming.iterdir()] == ["being-written"]


async def test_takes_neither_a_directory_nor_what_is_below_a_file_for_an_object(store: DirectoryStore) -> None:
    await store.put("a/b/c", b"x", "image/png")
    for key in ("a/b", "a/b/c/d"):
        await store.delete(key)
        with pytest.raises(ObjectMissing):
            await store.get(key)
    assert await store.get("a/b/c") == b"x"
