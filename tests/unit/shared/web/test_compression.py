"""What is packed, what comes in pieces, and what another site must not see the length of."""

import asyncio
import zlib
from collections.abc import AsyncIterator

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message

from shared.web.compression import Compression

PAGE = "安全员换证" * 500
LINES = ["一行\n" * 40, "二行\n" * 40, "三行\n" * 40]


async def page(_request: Request) -> Response:
    return HTMLResponse(PAGE)


async def picture(_request: Request) -> Response:
    return Response(PAGE.encode(), media_type="image/jpeg")


async def lines(_request: Request) -> Response:
    async def come() -> AsyncIterator[str]:
        for line in LINES:
            yield line

    return StreamingResponse(come(), media_type="application/x-ndjson")


APP = Starlette(
    routes=[Route("/page", page), Route("/picture", picture), Route("/lines", lines)],
    middleware=[Middleware(Compression)],
)


async def answer(path: str, **headers: str) -> httpx2.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(APP), base_url="http://here") as client:
        return await client.get(path, headers={"Accept-Encoding": "gzip", **sent})


async def test_a_page_is_a_fraction_of_itself() -> None:
    packed = await answer("/page")
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(PAGE.encode()) / 10
    assert "Accept-Encoding" in packed.headers["vary"]
    assert packed.text == PAGE


async def test_nothing_is_packed_for_who_cannot_unpack_it() -> None:
    assert "content-encoding" not in (await answer("/page", Accept_Encoding="identity")).headers


async def test_what_is_packed_already_is_left_alone() -> None:
    assert "content-encoding" not in (await answer("/picture")).headers


@pytest.mark.parametrize(
    ("headers", "packed"),
    [
        ({"cookie": "sid=1", "sec_fetch_site": "same-origin"}, True),
        ({"cookie": "sid=1", "sec_fetch_site": "none"}, True),
        ({"cookie": "sid=1", "referer": "http://here/list"}, True),
        ({"cookie": "sid=1", "sec_fetch_site": "cross-site"}, False),
        ({"cookie": "sid=1", "sec_fetch_site": "same-site", "referer": "http://here/list"}, False),
        ({"cookie": "sid=1", "referer": "http://elsewhere/"}, False),
        ({"cookie": "sid=1"}, False),
        ({"sec_fetch_site": "cross-site"}, True),
        ({"authorization": "Bearer x"}, True),
    ],
)
async def test_another_site_cannot_measure_a_page_with_the_browser_s_cookie(
    headers: dict[str, str], packed: bool
) -> None:
    assert ("content-encoding" in (await answer("/page", **headers)).headers) == packed


async def test_every_piece_can_be_read_when_it_comes() -> None:
    sent: list[bytes] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body" and message["body"]:
            sent.append(message["body"])

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/lines",
        "query_string": b"",
        "headers": [(b"accept-encoding", b"gzip")],
    }
    await APP(scope, receive, send)
    unpacked = zlib.decompressobj(16 + zlib.MAX_WBITS)
    assert [unpacked.decompress(piece).decode() for piece in sent[: len(LINES)]] == LINES
