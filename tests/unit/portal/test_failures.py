"""What is left of an interrupted form."""

from io import BytesIO

import pytest
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from services.portal.forms import Remains, missing_files, read_without_files, remains_of

TEXTS = [("_key", "1"), ("post", "30")]
FRONT = ("id-front", UploadFile(BytesIO(b"x"), filename="a.jpg"))
UNCHOSEN = ("id-back", UploadFile(BytesIO(), filename=""))


def form(*more: tuple[str, str | UploadFile]) -> FormData:
    return FormData([("_token", "t"), *TEXTS, *more])


def test_texts_are_left_and_of_files_the_names() -> None:
    assert remains_of(form(FRONT, UNCHOSEN)) == Remains(TEXTS, [("id-front", "a.jpg")])
    assert remains_of(form(UNCHOSEN)) == Remains(TEXTS, [])


def test_nothing_is_left_of_a_form_with_a_password() -> None:
    assert not remains_of(form(("new_password", "secret")))
    assert not remains_of(FormData())


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ([FRONT], []),
        ([("_files", "id-front"), FRONT], []),
        ([("_files", "id-front")], ["id-front"]),
        ([("_files", "id-front"), ("_files", "id-back"), FRONT, UNCHOSEN], ["id-back"]),
        ([("_files", "id-front"), ("id-front", "no file")], ["id-front"]),
    ],
)
def test_a_form_sent_again_needs_the_files_it_had(
    fields: list[tuple[str, str | UploadFile]], missing: list[str]
) -> None:
    assert missing_files(form(*fields)) == missing


def _request(*parts: bytes, kind: str = "multipart/form-data; boundary=x") -> Request:
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> dict[str, object]:
        return messages.pop(0)

    return Request({"type": "http", "method": "POST", "headers": [(b"content-type", kind.encode())]}, receive)


def _part(name: str, content: bytes, file: str | None = None) -> bytes:
    filename = "" if file is None else f'; filename="{file}"'
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{filename}\r\n\r\n'.encode() + content + b"\r\n"


async def test_without_its_files_a_form_is_read_to_the_end_and_nothing_of_them_kept() -> None:
    picture = _part("id-front", b"x" * 3_000_000, "正面.jpg")
    body = [_part("post", b"40"), picture[:1000], picture[1000:], _part("action", b"save"), b"--x--\r\n"]
    read = await read_without_files(_request(*body))
    assert remains_of(read) == Remains([("post", "40"), ("action", "save")], [("id-front", "正面.jpg")])
    (upload,) = [value for _, value in read.multi_items() if isinstance(value, UploadFile)]
    assert upload.size == 0


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "multipart/form-data", "text/plain"])
async def test_what_is_no_form_is_an_empty_one(kind: str) -> None:
    assert not (await read_without_files(_request(b"--y\r\nnonsense", kind=kind))).multi_items()
