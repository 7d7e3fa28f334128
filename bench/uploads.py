"""The memory that the worst uploads take, many at once: what `renewal-api`'s limit has to leave room for.

It is measured in `make run`'s process and those it starts (PSS, so that what they share counts once), as the difference
to the same processes after one ordinary upload.
"""

import asyncio
import io
import re
import struct
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx2
from PIL import Image

from deploy.embedded.postgres import free_port
from deploy.journey import Api, register_enterprise
from deploy.synthetic import jpeg
from services.renewal.container import UPLOADS, UPLOADS_EACH
from services.renewal.pictures.reduced import MAX_BYTES
from tests.support.backing import Backing
from tests.support.processes import demo, ready
from tests.support.wait import until

SIDE = 5000
PERSON = "360199199001010009"
# On its side, so that it is turned.
ORIENTATION = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
MIB = 1024 * 1024


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))


def _png() -> bytes:
    """25 megapixels of 16 bits, with transparency."""
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 16, 6, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes(8 * SIDE)) * SIDE, 1)
    chunks = ((b"IHDR", header), (b"eXIf", ORIENTATION), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*each) for each in chunks)


def _jpeg() -> bytes:
    """25 megapixels in the four colours of printing, in many scans."""
    stream = io.BytesIO()
    exif = b"Exif\0\0" + ORIENTATION
    Image.new("CMYK", (SIDE, SIDE), (9, 80, 7, 6)).save(stream, "JPEG", progressive=True, subsampling=0, exif=exif)
    return stream.getvalue()


def _tree(root: int) -> Iterator[int]:
    """The process and all below it that are Python."""
    yield root
    for task in Path(f"/proc/{root}/task").glob("*/children"):
        for child in task.read_text().split():
            if b"python" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")[0]:
                yield from _tree(int(child))


def _memory(root: int) -> float:
    total = 0
    for pid in _tree(root):
        try:
            found = re.search(r"^Pss: +(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
        except OSError:  # it has just ended
            continue
        total += int(found[1]) if found else 0
    return total / 1024


async def _watch(root: int, peak: list[float]) -> None:
    while True:
        try:
            peak.append(await asyncio.to_thread(_memory, root))
        except OSError:  # one of them has just ended
            await asyncio.sleep(0)


async def _draft(api: Api, number: int) -> tuple[str, str]:
    """The token of a new enterprise, and where its uploads go."""
    _, token = await register_enterprise(api, f"南昌第{number}建设有限公司", "Bench-2026-pass")
    made = await api.call(
        "POST", "renewal", "/applications", token=token, json={"id_number": PERSON, "post": "10"}, expect=201
    )
    return token, f"/api/renewal/v1/applications/{made['id']}/images/id-front"


async def uploads(_backing: Backing, _rounds: int) -> None:
    """Send as many of the worst pictures at once as are let in, and some more, and print what they took."""
    with tempfile.TemporaryDirectory() as directory:
        port = free_port()
        # As in the image, see deploy/docker/Dockerfile.
        allocator = {"MALLOC_MMAP_THRESHOLD_": str(MIB)}
        with demo(Path(directory), port, GANZHENG_RATE_LIMITS="false", **allocator) as process:
            base = f"http://127.0.0.1:{port}"
            async with httpx2.AsyncClient(base_url=base, timeout=300, trust_env=False) as http:
                await until(partial(ready, http, base), what="the platform to be ready")
                await _measure(Api(http, base), http, process.popen.pid)


async def _measure(api: Api, http: httpx2.AsyncClient, root: int) -> None:
    drafts = [await _draft(api, number) for number in range(UPLOADS // UPLOADS_EACH + 1)]

    async def put(token: str, path: str, data: bytes) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return (await http.put(path, headers=headers, files={"file": ("p", data)})).status_code

    await put(*drafts[0], jpeg())
    idle = _memory(root)
    print(f"\nMemory of the worst uploads, {UPLOADS + UPLOADS_EACH} at once (idle: {idle:.0f} MiB)")
    for name, data in (("16-bit RGBA PNG", _png()), ("progressive CMYK JPEG", _jpeg())):
        # What follows the picture is dropped, but it is read, and waits.
        body = data.ljust(MAX_BYTES, b"\0")
        peak: list[float] = []
        watching = asyncio.create_task(_watch(root, peak))
        answers = Counter(await asyncio.gather(*(put(*draft, body) for draft in drafts for _ in range(UPLOADS_EACH))))
        watching.cancel()
        told = ", ".join(f"{count} × {status}" for status, count in sorted(answers.items()))
        print(f"  {name:24} {max(peak) - idle:6.0f} MiB more than idle, {_memory(root) - idle:4.0f} afterwards; {told}")
