"""What uploads may take of a process: of its memory while they are decoded, and of its room while they wait."""

import base64
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest

from deploy.synthetic import jpeg
from shared.runtime.admission import Admission
from shared.runtime.children import Children
from tests.support.office import Office, problem


async def new_draft(office: Office) -> str:
    return str((await office.draft(await office.person(), "10", pictures=False))["id"])


async def put(office: Office, application: str, data: bytes) -> httpx2.Response:
    files = {"file": ("照片.jpg", data, "image/jpeg")}
    return await office.request("PUT", f"/applications/{application}/images/id-front", files=files)


HEIC = Path("tests/cases/img-08-heic-renamed.jpg").read_bytes()


async def test_a_file_that_is_no_photo_is_called_by_its_name(office: Office) -> None:
    document = problem(await put(office, await new_draft(office), HEIC), 415, "image_type")
    assert document["format"] == "heic"
    assert "兼容性最佳" in document["detail"]


class Killed(Children):
    """Each child is killed over its work."""

    async def run(self, function: Callable[..., Any], *arguments: Any, memory: int) -> Any:  # noqa: ARG002
        return await super().run(os.abort, memory=memory)


async def test_a_decoder_that_is_killed_costs_its_own_upload_only(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = await new_draft(office)
    decoders = office.renewal.decoders
    monkeypatch.setattr(office.renewal, "decoders", Killed(decoders.room))
    response = await put(office, draft, jpeg(seed=80))
    assert problem(response, 503, "unavailable")["detail"] == "图片暂时无法处理，请稍后重新上传"
    assert int(response.headers["retry-after"]) > 0
    monkeypatch.setattr(office.renewal, "decoders", decoders)
    assert (await put(office, draft, jpeg(seed=80))).status_code == 200


async def test_uploads_that_find_no_room_are_not_even_read(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = await new_draft(office)
    room = Admission(1, waiting=0)
    monkeypatch.setattr(office.renewal, "uploads", room)
    read: list[bytes] = []

    async def body() -> AsyncIterator[bytes]:
        read.append(b"asked for")
        yield jpeg(seed=81)

    async with room.enter():
        for token, status, code in ((None, 503, "unavailable"), ("", 401, "unauthenticated")):
            headers = {"Content-Type": "multipart/form-data; boundary=b"}
            path = f"/applications/{draft}/images/id-front"
            response = await office.request("PUT", path, token, content=body(), headers=headers)
            problem(response, status, code)
    assert read == []
    assert (await put(office, draft, jpeg(seed=81))).status_code == 200


async def test_one_enterprise_has_a_share_of_the_uploads_only(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = await new_draft(office)
    room = Admission(9, waiting=0, each=1)
    monkeypatch.setattr(office.renewal, "uploads", room)
    claims = json.loads(base64.urlsafe_b64decode(office.enterprise.split(".")[1] + "=="))
    async with room.enter(owner=UUID(claims["sub"])):
        problem(await put(office, draft, jpeg(seed=82)), 429, "too_many_requests")
    assert (await put(office, draft, jpeg(seed=82))).status_code == 200


async def test_too_many_pictures_that_wait_to_be_decoded(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = await new_draft(office)
    monkeypatch.setattr(office.renewal, "decoders", Children(Admission(1 << 30, waiting=0)))
    async with office.renewal.decoders.room.enter(1 << 30):
        problem(await put(office, draft, jpeg(seed=83)), 503, "unavailable")
    assert (await put(office, draft, jpeg(seed=83))).status_code == 200
