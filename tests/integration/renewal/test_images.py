"""The pictures of an application over HTTP, in a directory."""

import hashlib
import io
import os
import time
from pathlib import Path
from uuid import UUID

import httpx2
import pytest
from PIL import ExifTags, Image, ImageChops, ImageOps

from deploy.synthetic import jpeg, picture, png
from services.renewal.pictures.reduced import MAX_BYTES
from services.renewal.pictures.service import ORPHAN_AGE, sweep_orphans
from services.renewal.queries import current_images
from shared.files.storage import DirectoryStore
from tests.support.keys import keys_in
from tests.support.office import Office, problem
from tests.support.platform import Harness

KINDS = ("id-front", "id-back", "commitment-letter")


async def put(office: Office, application: str, kind: str, data: bytes, token: str | None = None) -> httpx2.Response:
    files = {"file": ("whatever.exe", data, "application/x-msdownload")}
    return await office.request("PUT", f"/applications/{application}/images/{kind}", token, files=files)


async def get(office: Office, application: str, kind: str, token: str | None = None, **query: int) -> httpx2.Response:
    return await office.request("GET", f"/applications/{application}/images/{kind}", token, params=query)


async def new_draft(office: Office) -> str:
    return str((await office.draft(await office.person(), "10", pictures=False))["id"])


async def test_what_was_uploaded_is_served(office: Office) -> None:
    draft = await new_draft(office)
    for seed, (kind, data, media) in enumerate(
        [("id-front", jpeg(seed=1), "image/jpeg"), ("id-back", png(640, 400, 2), "image/png")]
    ):
        response = await put(office, draft, kind, data)
        assert response.status_code == 200, response.text
        answer = response.json()
        assert answer["kind"] == kind
        served = await get(office, draft, kind)
        assert served.status_code == 200
        assert served.headers["content-type"] == media
        assert served.headers["x-content-type-options"] == "nosniff"
        assert hashlib.sha256(served.content).hexdigest() == answer["sha256"]
        assert len(served.content) == answer["bytes"]
        assert Image.open(io.BytesIO(served.content)).size == (answer["width"], answer["height"])
        assert len((await office.read(draft))["images"]) == seed + 1
    problem(await get(office, draft, "commitment-letter"), 404, "image_not_found")
    problem(await put(office, draft, "selfie", jpeg()), 422, "invalid_request")


async def test_refused_files(office: Office) -> None:
    draft = await new_draft(office)
    gif = io.BytesIO()
    picture().save(gif, "GIF")
    small = io.BytesIO()
    picture(299, 400).save(small, "PNG")
    for data, status, code in (
        (b"\xff\xd8\xff" + bytes(MAX_BYTES), 413, "image_too_large"),
        (bytes(MAX_BYTES + 200_000), 413, "image_too_large"),
        (gif.getvalue(), 415, "image_type"),
        (b"%PDF-1.7", 415, "image_type"),
        (b"", 422, "image_invalid"),
        (jpeg()[:3000], 422, "image_invalid"),
        (small.getvalue(), 422, "image_invalid"),
    ):
        problem(await put(office, draft, "id-front", data), status, code)
    assert (await office.read(draft))["images"] == []
    missing = await office.request("PUT", f"/applications/{draft}/images/id-front")
    problem(missing, 422, "invalid_request")


async def test_one_picture_for_two_kinds_is_refused_when_it_is_submitted(office: Office) -> None:
    draft = await new_draft(office)
    assert (await put(office, draft, "id-front", jpeg(seed=3))).status_code == 200
    # The same pixels in another wrapping are the same picture.
    with Image.open(io.BytesIO(jpeg(seed=3))) as image:
        copy = io.BytesIO()
        image.save(copy, "PNG")
    assert (await put(office, draft, "id-back", jpeg(seed=4))).status_code == 200
    assert (await office.read(draft))["repeated_images"] == []
    assert (await put(office, draft, "commitment-letter", copy.getvalue())).status_code == 200
    assert (await office.read(draft))["repeated_images"] == ["id-front", "commitment-letter"]
    document = problem(await office.submit(draft), 409, "duplicate_image")
    assert document["kinds"] == ["id-front", "commitment-letter"]
    assert document["detail"] == "“身份证正面照片”、“承诺书照片”是同一张图片，请更换选错的照片后再提交"
    assert (await office.read(draft))["status"] == "draft"
    # The picture of another application is another matter.
    assert (await put(office, await new_draft(office), "id-back", jpeg(seed=3))).status_code == 200
    assert (await put(office, draft, "commitment-letter", jpeg(seed=5))).status_code == 200
    assert (await office.submit(draft)).status_code == 200


def in_png(data: bytes) -> bytes:
    copy = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        image.save(copy, "PNG")
    return copy.getvalue()


@pytest.mark.parametrize("first_in_png", [True, False])
async def test_a_lossless_copy_is_the_same_picture_whichever_came_first(office: Office, first_in_png: bool) -> None:
    data = jpeg(seed=6)
    first, second = (in_png(data), data) if first_in_png else (data, in_png(data))
    draft = await new_draft(office)
    # As large, and another picture.
    await put(office, draft, "commitment-letter", in_png(jpeg(seed=7)))
    await put(office, draft, "id-front", first)
    assert (await office.read(draft))["repeated_images"] == []
    await put(office, draft, "id-back", second)
    assert (await office.read(draft))["repeated_images"] == ["id-front", "id-back"]
    # And a third time, in either form.
    for data in (first, second):
        await put(office, draft, "commitment-letter", data)
        assert len((await office.read(draft))["repeated_images"]) == 3


async def test_what_the_version_before_has_stored_is_the_same_picture(office: Office) -> None:
    """Its hash was that of all pixels of the upload, in the store is what it made of them."""
    draft = await new_draft(office)
    await put(office, draft, "id-front", jpeg(seed=8))
    with Image.open(io.BytesIO(jpeg(seed=8))) as image:
        all_pixels = hashlib.sha256(b"800x500:" + image.tobytes()).hexdigest()
    async with office.renewal.database.transaction() as session:
        row = (await current_images(session, [UUID(draft)]))[UUID(draft)][0]
        row.pixel_sha256 = all_pixels
    await put(office, draft, "id-back", jpeg(seed=8))
    await put(office, draft, "commitment-letter", jpeg(seed=9))
    assert (await office.read(draft))["repeated_images"] == ["id-front", "id-back"]


async def test_a_picture_is_given_upright_to_who_does_not_turn_it(office: Office) -> None:
    held = Image.Exif()
    held[ExifTags.Base.Orientation] = 6
    data = io.BytesIO()
    picture(640, 400, 11).save(data, "JPEG", exif=held)
    draft = await new_draft(office)
    answer = (await put(office, draft, "id-front", data.getvalue())).json()
    assert (answer["width"], answer["height"]) == (400, 640)
    served = (await get(office, draft, "id-front")).content
    upright = (await get(office, draft, "id-front", upright=True)).content
    with Image.open(io.BytesIO(served)) as kept, Image.open(io.BytesIO(upright)) as turned:
        assert (kept.size, turned.size) == ((640, 400), (400, 640))
        assert not turned.getexif()
        difference = ImageChops.difference(ImageOps.exif_transpose(kept).convert("RGB"), turned)
    assert max(difference.tobytes()) < 40
    await put(office, draft, "id-back", jpeg(seed=12))
    as_it_is = [(await get(office, draft, "id-back", upright=each)).content for each in (True, False)]
    assert as_it_is[0] == as_it_is[1]


async def swap(office: Office, application: str, *kinds: str) -> httpx2.Response:
    return await office.request("POST", f"/applications/{application}/image-swap", json={"kinds": kinds})


async def bytes_of(office: Office, application: str, *kinds: str, revision: int | None = None) -> list[bytes]:
    query = {} if revision is None else {"revision": revision}
    return [(await get(office, application, kind, None, **query)).content for kind in kinds]


async def test_front_and_back_in_each_other_s_place_are_put_right_by_uploading_them_again(office: Office) -> None:
    draft = await new_draft(office)
    for kind, seed in (("id-front", 2), ("id-back", 1), ("commitment-letter", 3)):
        assert (await put(office, draft, kind, jpeg(seed=seed))).status_code == 200
    for kind, seed in (("id-front", 1), ("id-back", 2)):
        assert (await put(office, draft, kind, jpeg(seed=seed))).status_code == 200
    assert (await office.submit(draft)).status_code == 200


async def test_front_and_back_in_each_other_s_place_are_put_right_by_a_swap(office: Office) -> None:
    draft = await new_draft(office)
    for seed, kind in enumerate(KINDS, start=60):
        await put(office, draft, kind, jpeg(seed=seed))
    front, back, letter = await bytes_of(office, draft, *KINDS)
    answer = (await swap(office, draft, "id-front", "id-back")).json()
    assert await bytes_of(office, draft, *KINDS) == [back, front, letter]
    assert [image["kind"] for image in answer["images"]] == sorted(KINDS)
    assert (await office.read(draft))["history"][-1]["action"] == "swap_images"
    assert (await office.submit(draft)).status_code == 200
    problem(await swap(office, draft, "id-front", "id-back"), 409, "wrong_state")
    await office.decide("reject", draft)
    await office.reach(draft, "rejected")
    assert (await swap(office, draft, "id-back", "id-front")).status_code == 200
    assert await bytes_of(office, draft, *KINDS) == [front, back, letter]
    assert (await office.submit(draft, 1)).status_code == 200
    # What was submitted stays as it was, and the desk sees what has changed.
    assert await bytes_of(office, draft, *KINDS, revision=1) == [back, front, letter]
    assert await bytes_of(office, draft, *KINDS, revision=2) == [front, back, letter]
    item = await office.item(draft, revision=2)
    assert sorted(item["revisions"][0]["changed"]) == ["id-back", "id-front"]


async def test_a_picture_moves_to_a_place_that_is_empty(office: Office) -> None:
    draft = await new_draft(office)
    problem(await swap(office, draft, "id-front", "id-back"), 404, "image_not_found")
    await put(office, draft, "commitment-letter", jpeg(seed=70))
    problem(await swap(office, draft, "id-front", "id-front"), 422, "invalid_request")
    assert (await swap(office, draft, "id-front", "commitment-letter")).status_code == 200
    assert [image["kind"] for image in (await office.read(draft))["images"]] == ["id-front"]
    assert (await get(office, draft, "id-front")).status_code == 200
    problem(await get(office, draft, "commitment-letter"), 404, "image_not_found")


async def test_earlier_revisions_keep_their_pictures(office: Office) -> None:
    draft = await new_draft(office)
    for seed, kind in enumerate(KINDS, start=10):
        await put(office, draft, kind, jpeg(seed=seed))
    problem(await get(office, draft, "id-front", office.reviewer), 404, "application_not_found")
    assert (await office.submit(draft)).status_code == 200
    first = (await get(office, draft, "id-front")).content
    assert problem(await put(office, draft, "id-front", jpeg(seed=20)), 409, "wrong_state")
    await office.decide("reject", draft)
    await office.reach(draft, "rejected")
    assert (await put(office, draft, "id-front", jpeg(seed=20))).status_code == 200
    assert (await office.submit(draft, 1)).status_code == 200
    second = (await get(office, draft, "id-front")).content
    assert first != second
    for token in (office.enterprise, office.reviewer):
        assert (await get(office, draft, "id-front", token, revision=1)).content == first
        assert (await get(office, draft, "id-front", token, revision=2)).content == second
        assert (await get(office, draft, "id-front", token)).content == second
        problem(await get(office, draft, "id-front", token, revision=3), 404, "image_not_found")
    letters = [(await get(office, draft, "commitment-letter", revision=n)).content for n in (1, 2)]
    assert letters[0] == letters[1]
    # The links of the desk lead there.
    item = await office.item(draft, revision=2)
    urls = {image["kind"]: image["url"] for image in item["revisions"][1]["images"]}
    response = await office.harness.request("GET", urls["id-front"], office.reviewer)
    assert response.content == first
    changed = item["revisions"][0]["changed"]
    assert changed == ["id-front"]


async def test_a_reviewer_s_look_leaves_an_audit_entry(office: Office) -> None:
    draft = await new_draft(office)
    for seed, kind in enumerate(KINDS, start=40):
        await put(office, draft, kind, jpeg(seed=seed))
    assert (await office.submit(draft)).status_code == 200
    assert (await get(office, draft, "id-back")).status_code == 200
    problem(await get(office, draft, "id-front", office.reviewer, revision=9), 404, "image_not_found")
    assert await office.audit(subject=draft) == []
    assert (await get(office, draft, "id-front", office.reviewer)).status_code == 200
    [entry] = await office.audit(subject=draft)
    assert (entry["action"], entry["action_label"]) == ("image_viewed", "查看申请图片")
    assert (entry["actor"], entry["detail"]) == ("测试审核员", {"kind": "id-front", "revision": 1})


async def test_a_picture_the_store_has_not_got_was_not_looked_at(office: Office) -> None:
    draft = await office.submitted(await office.person("10"), "10")  # rows whose bytes are not in the store
    problem(await get(office, draft, "id-front", office.reviewer), 404, "image_not_found")
    assert await office.audit(subject=draft) == []


async def test_pictures_are_for_their_enterprise_and_reviewers(office: Office) -> None:
    draft = await new_draft(office)
    await put(office, draft, "id-front", jpeg(seed=5))
    problem(await get(office, draft, "id-front", ""), 401, "unauthenticated")
    problem(await put(office, draft, "id-front", jpeg(), office.reviewer), 403, "forbidden")


async def test_the_sweep_removes_orphans_only(embedded: Harness) -> None:
    office = await Office.open(embedded)
    draft = await new_draft(office)
    await put(office, draft, "id-front", jpeg(seed=1))
    await put(office, draft, "id-front", jpeg(seed=2))
    await put(office, draft, "id-back", jpeg(seed=3))
    await swap(office, draft, "id-front", "id-back")
    store = office.renewal.store
    assert isinstance(store, DirectoryStore)
    await store.put("applications/x/crashed.jpg", b"half an upload", "image/jpeg")
    await store.put("elsewhere/kept.jpg", b"not an upload", "image/jpeg")
    root = Path(os.fspath(store._root))
    before = set(await keys_in(store, "", ORPHAN_AGE * 0))
    assert len(before) == 5
    assert await sweep_orphans(office.renewal) == 0  # an upload may be on its way to its row
    yesterday = time.time() - ORPHAN_AGE.total_seconds() - 60
    for key in before:
        os.utime(root / key, (yesterday, yesterday))
    await store.put("applications/x/fresh.jpg", b"an upload right now", "image/jpeg")
    assert await sweep_orphans(office.renewal) == 1
    left = set(await keys_in(store, "", ORPHAN_AGE * 0))
    assert {"applications/x/fresh.jpg", "elsewhere/kept.jpg"} <= left
    assert len(left) == 5
    # Without any patience the one that was replaced goes as well, and not those that only changed their places.
    assert await sweep_orphans(office.renewal, ORPHAN_AGE * 0) == 2
    for kind in ("id-front", "id-back"):
        assert (await get(office, draft, kind)).status_code == 200


@pytest.mark.parametrize("kind", KINDS)
async def test_the_store_s_keys_name_no_person(office: Office, kind: str) -> None:
    person = await office.person()
    draft = await office.draft(person, "10", pictures=False)
    await put(office, draft["id"], kind, jpeg(seed=30))
    keys = await keys_in(office.renewal.store, f"applications/{draft['id']}/", ORPHAN_AGE * 0)
    assert len(keys) == 1
    assert person not in keys[0]
