"""What every ObjectStore promises, asked of both."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from shared.files.storage import DirectoryStore, InvalidKey, MinioStore, ObjectMissing, ObjectStore
from tests.support.backing import S3Address
from tests.support.keys import keys_in

NOW = timedelta(0)


def minio_store(s3: S3Address, bucket: str, public_endpoint: str | None = None) -> MinioStore:
    return MinioStore(s3.endpoint, s3.access_key, s3.secret_key, bucket, s3.secure, "us-east-1", public_endpoint)


@pytest.fixture(params=["directory", "minio"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ObjectStore]:
    made: ObjectStore
    if request.param == "directory":
        made = DirectoryStore(tmp_path / "images")
    else:
        made = minio_store(request.getfixturevalue("s3"), f"contract-{uuid4().hex[:8]}")
    await made.ensure_bucket()
    yield made
    for key in await keys_in(made, "", NOW):
        await made.delete(key)


async def test_returns_what_was_put(store: ObjectStore) -> None:
    image = os.urandom(300_000)
    await store.put("applications/1/id-front.jpg", image, "image/jpeg")
    assert await store.get("applications/1/id-front.jpg") == image


async def test_keeps_an_empty_object(store: ObjectStore) -> None:
    await store.put("empty", b"", "image/png")
    assert await store.get("empty") == b""


async def test_replaces_an_object(store: ObjectStore) -> None:
    await store.put("a/b", b"first", "image/png")
    await store.put("a/b", b"2nd", "image/png")
    assert await store.get("a/b") == b"2nd"


async def test_shows_whole_objects_while_they_are_replaced(store: ObjectStore) -> None:
    versions = {bytes([digit]) * 200_000 for digit in b"0123"}
    await store.put("a/b", b"0" * 200_000, "image/png")
    *_, read = await asyncio.gather(*(store.put("a/b", data, "image/png") for data in versions), store.get("a/b"))
    assert read in versions
    assert await store.get("a/b") in versions
    assert await keys_in(store, "", NOW) == ["a/b"]


@pytest.mark.parametrize("key", ["never-put", "a/never-put", "a"])
async def test_says_when_an_object_is_missing(store: ObjectStore, key: str) -> None:
    await store.put("a/b", b"x", "image/png")
    with pytest.raises(ObjectMissing):
        await store.get(key)


async def test_deletes_and_does_not_mind_twice(store: ObjectStore) -> None:
    await store.put("a/b", b"x", "image/png")
    for _ in range(2):
        await store.delete("a/b")
    with pytest.raises(ObjectMissing):
        await store.get("a/b")


async def test_lists_by_prefix_in_order(store: ObjectStore) -> None:
    for key in ("b/2", "a/2", "a/10", "ab"):
        await store.put(key, b"x", "image/png")
    assert await keys_in(store, "a", NOW) == ["a/10", "a/2", "ab"]
    assert await keys_in(store, "a/", NOW) == ["a/10", "a/2"]
    assert await keys_in(store, "c/", NOW) == []


async def test_lists_any_number_of_keys_page_by_page(store: ObjectStore) -> None:
    keys = [f"many/{number % 7}/{number:04d}" for number in range(1003)]
    for start in range(0, len(keys), 50):
        await asyncio.gather(*(store.put(key, b"x", "image/png") for key in keys[start : start + 50]))
    assert await keys_in(store, "many/", NOW) == sorted(keys)
    assert await keys_in(store, "", timedelta(hours=1)) == []


async def test_lists_only_what_is_old_enough(store: ObjectStore) -> None:
    await store.put("a/b", b"x", "image/png")
    assert await keys_in(store, "", timedelta(minutes=5)) == []
    assert await keys_in(store, "", NOW) == ["a/b"]


async def test_has_no_url_unless_told_its_public_name(store: ObjectStore) -> None:
    assert await store.presigned_url("a/b", timedelta(minutes=5)) is None


async def test_is_made_again_without_harm(store: ObjectStore) -> None:
    await store.put("a/b", b"x", "image/png")
    await store.ensure_bucket()
    await store.ready()
    assert await store.get("a/b") == b"x"


@pytest.mark.parametrize(
    "key",
    ["", "/", "/etc/passwd", "..", "../x", "a/../../x", "a/..", "a/./b", "a//b", "a/", "a\\..\\b", "a\x00b", "a\n",
     "%2e%2e/x", ".incoming/x", ".hidden", "a/.hidden", "身份证", "a b", "x" * 513],
)  # fmt: skip
async def test_refuses_keys_that_could_leave_the_store(store: ObjectStore, key: str) -> None:
    for refused in (
        store.put(key, b"x", "image/png"),
        store.get(key),
        store.delete(key),
        store.presigned_url(key, timedelta(minutes=5)),
    ):
        with pytest.raises(InvalidKey):
            await refused
    assert await keys_in(store, "", NOW) == []
