"""One enterprise never learns of another's things, and reviewers see what was submitted only."""

from typing import Any
from uuid import uuid4

import pytest

from deploy.journey import IMAGES, application_in, decide
from deploy.synthetic import jpeg
from tests.e2e.operations import Operation, World, operations, person, seed
from tests.support.platform import Harness


@pytest.fixture(scope="module")
async def world(shared_embedded: Harness) -> World:
    return await seed(shared_embedded)


@pytest.fixture(scope="module")
async def stranger(shared_embedded: Harness) -> str:
    return await shared_embedded.enterprise("九江外人建设有限公司")


STAFF_PATHS = ("/registry", "/audit", "/taxpayer-exceptions")


def _with_ids(world: World) -> list[Operation]:
    found = [
        operation
        for operation in operations(world.harness.platform, "renewal")
        if operation.parameters("path") and not operation.path.startswith("/registry")
    ]
    assert len(found) >= 7
    return found


def _content(world: World, operation: Operation, seed_number: int) -> dict[str, Any]:
    if operation.media_type == "multipart/form-data":
        return {"files": {"file": ("a.jpg", jpeg(seed=seed_number), "image/jpeg")}}
    body = world.valid(operation)
    return {} if body is None else {"json": body}


async def test_anothers_application_is_like_none(world: World, stranger: str) -> None:
    own = world.tokens["enterprise"]
    for application_id in (world.draft, world.pending, world.ids["application_id"]):
        before = await world.harness.api.call("GET", "renewal", f"/applications/{application_id}", token=own)
        for operation in _with_ids(world):
            for kind in IMAGES if "kind" in operation.parameters("path") else ("",):
                content = _content(world, operation, 900)
                theirs = await world.call(
                    operation, {"application_id": application_id, "kind": kind}, token=stranger, **content
                )
                nobodys = await world.call(
                    operation, {"application_id": str(uuid4()), "kind": kind}, token=stranger, **content
                )
                assert theirs.status_code == 404, f"{operation}: {theirs.text}"
                assert theirs.json()["code"] == "application_not_found"
                assert theirs.content == nobodys.content, operation
                assert theirs.headers.keys() == nobodys.headers.keys()
        after = await world.harness.api.call("GET", "renewal", f"/applications/{application_id}", token=own)
        assert after == before


async def test_lists_show_ones_own(world: World) -> None:
    # Not the other tests' stranger, who may have applications by now.
    stranger = await world.harness.enterprise("新余无申请建设有限公司")
    path = "/api/renewal/v1/applications"
    own = world.tokens["enterprise"]
    first = (await world.harness.request("GET", path, own, params={"limit": "1"})).json()
    assert first["next_cursor"]
    names = {item["name"] for item in (await world.harness.request("GET", path, own)).json()["items"]}
    queries = [
        {},
        {"cursor": first["next_cursor"]},
        {"status": "certified"},
        {"name": "%"},
        *({"name": n} for n in names),
    ]
    for query in queries:
        answer = (await world.harness.request("GET", path, stranger, params=query)).json()
        assert answer == {"items": [], "next_cursor": None}, query


async def test_filters_take_text_literally(world: World) -> None:
    for name in ("%", "_", "\\"):
        answer = await world.harness.request(
            "GET", "/api/renewal/v1/applications", world.tokens["enterprise"], params={"name": name}
        )
        assert answer.json()["items"] == []


async def test_an_idempotency_key_is_its_owners(world: World, stranger: str) -> None:
    body = {"id_number": person(0), "post": "40"}
    headers = {"Idempotency-Key": "the-same-key"}
    ids = set()
    for token in (world.tokens["enterprise"], stranger):
        response = await world.harness.request(
            "POST", "/api/renewal/v1/applications", token, json=body, headers=headers
        )
        assert response.status_code == 201
        assert "idempotency-replayed" not in response.headers
        ids.add(response.json()["id"])
    assert len(ids) == 2


async def test_enterprises_at_the_authoritys_routes(world: World, stranger: str) -> None:
    for operation in operations(world.harness.platform):
        staff = operation.service in {"review", "certnumber"} or operation.path.startswith(STAFF_PATHS)
        if staff and not operation.is_public:
            response = await world.call(operation, token=stranger, **_content(world, operation, 901))
            assert (response.status_code, response.json()["code"]) == (403, "forbidden"), operation


async def test_reviewers_see_what_was_submitted(world: World) -> None:
    harness, own, reviewer = world.harness, world.tokens["enterprise"], world.tokens["reviewer"]
    await _put_letter(harness, own, world.draft, 910)
    images = [
        operation for operation in _with_ids(world) if operation.method == "GET" and operation.path.endswith("{kind}")
    ]
    for kind in IMAGES:
        for query in ("", "?revision=1"):
            url = images[0].url({"application_id": world.draft, "kind": kind}) + query
            drafts = await harness.request("GET", url, reviewer)
            nobodys = await harness.request("GET", url.replace(world.draft, str(uuid4())), reviewer)
            assert (drafts.status_code, drafts.content) == (404, nobodys.content)
    item = await harness.request("GET", f"/api/review/v1/items/{world.draft}", reviewer)
    assert item.status_code == 404


async def test_a_rejected_application_shows_reviewers_its_submitted_pictures(world: World) -> None:
    harness, own, reviewer = world.harness, world.tokens["enterprise"], world.tokens["reviewer"]
    letter = f"/applications/{world.pending}/images/commitment-letter"
    submitted = await harness.api.call("GET", "renewal", letter, token=reviewer)
    await decide(harness.api, reviewer, "reject", world.pending, 1, reason_code="letter_unsealed")
    await application_in(harness.api, own, world.pending, "rejected")
    await _put_letter(harness, own, world.pending, 920)
    assert await harness.api.call("GET", "renewal", letter, token=own) != submitted
    assert await harness.api.call("GET", "renewal", letter, token=reviewer) == submitted
    assert await harness.api.call("GET", "renewal", letter + "?revision=1", token=reviewer) == submitted
    await harness.api.call("GET", "renewal", letter + "?revision=2", token=reviewer, expect=404)


async def _put_letter(harness: Harness, token: str, application_id: str, seed_number: int) -> None:
    files = {"file": ("a.jpg", jpeg(seed=seed_number), "image/jpeg")}
    path = f"/applications/{application_id}/images/commitment-letter"
    await harness.api.call("PUT", "renewal", path, token=token, files=files)
