"""Uploads of photos: how many a second against unchecked ones, and the memory that any take.

`renewal-api` is a process of its own, as in a deployment, with a directory for its store. Its memory is that of the
process and those it starts (PSS, so that what they share counts once).
"""

import asyncio
import io
import random
import struct
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import jwt
import psycopg
from PIL import Image

from bench.processor import Snapshot
from bench.run import compare
from deploy.embedded.postgres import free_port
from deploy.journey import Api, register_enterprise
from deploy.synthetic import id_number
from services.renewal.container import UPLOADS, UPLOADS_EACH
from services.renewal.pictures.reduced import MAX_BYTES
from shared.runtime.settings import new_key
from tests.support.backing import Backing
from tests.support.platform import service_database
from tests.support.processes import Process, base_environment, processes, ready
from tests.support.wait import until

CLIENTS = 8
EACH = 15
SIDE = 5000
# On its side, so that it is turned.
ORIENTATION = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
MIB = 1024 * 1024
_PEOPLE = """
INSERT INTO people (id, id_number, id_number_index, name, sex, birth_date, created_at, updated_at)
VALUES (gen_random_uuid(), '', %s, '测试', 'male', '1990-01-01', now(), now()) RETURNING id
"""
_APPLICATION = """
INSERT INTO applications (id, enterprise_id, person_id, post, post_family, status, revision, decision_no, change_no,
    added_at, updated_at)
VALUES (gen_random_uuid(), %s, %s, '10', 'other', 'draft', 0, 0, 0, now(), now()) RETURNING id
"""
_ENTERPRISE = "INSERT INTO enterprises (id, name, revision) VALUES (%s, '测试', 0) ON CONFLICT DO NOTHING"


def photo(seed: int = 0) -> bytes:
    """3 megapixels of clouds and grain, as a phone writes them: half a MiB, held upright, with a thumbnail's room."""
    size = (2000, 1500)
    clouds = Image.frombytes("RGB", (32, 24), random.Random(seed).randbytes(32 * 24 * 3))
    grain = Image.effect_noise(size, 22).convert("RGB")
    stream = io.BytesIO()
    image = Image.blend(clouds.resize(size, Image.Resampling.BICUBIC), grain, 0.25)
    image.save(stream, "JPEG", quality=81, exif=b"Exif\0\0" + ORIENTATION + bytes(8000))
    return stream.getvalue()


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))


def _png() -> bytes:
    """25 megapixels of 16 bits, with transparency."""
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 16, 6, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes(8 * SIDE)) * SIDE, 1)
    chunks = ((b"IHDR", header), (b"eXIf", ORIENTATION), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*each) for each in chunks)


def _jpeg(mode: str) -> bytes:
    """25 megapixels in many scans."""
    stream = io.BytesIO()
    exif = b"Exif\0\0" + ORIENTATION
    colour = (9, 80, 7, 6)[: len(mode)]
    Image.new(mode, (SIDE, SIDE), colour).save(stream, "JPEG", progressive=True, subsampling=0, exif=exif)
    return stream.getvalue()


def _memory(root: int) -> float:
    return Snapshot().memory(root)


async def _watch(root: int, peak: list[float]) -> None:
    while True:
        peak.append(await asyncio.to_thread(_memory, root))


@dataclass
class _Bench:
    """`drafts` are tokens of enterprises, of which none has too many uploads, and ids of their applications."""

    http: httpx2.AsyncClient
    ours: str
    unchecked: str
    api: Process
    limit: Process
    drafts: list[tuple[str, str]]
    processor_time: dict[str, float] = field(default_factory=dict)
    stored: int = 0

    async def put(self, draft: tuple[str, str], data: bytes) -> int:
        token, application = draft
        path = f"{self.ours}/api/renewal/v1/applications/{application}/images/id-front"
        headers = {"Authorization": f"Bearer {token}"}
        answer = await self.http.put(path, headers=headers, files={"file": ("p.jpg", data)})
        if answer.status_code == 200:
            self.stored = answer.json()["bytes"]
        return answer.status_code

    async def put_unchecked(self, draft: tuple[str, str], data: bytes) -> int:
        path = f"{self.unchecked}/{draft[1]}/id-back"
        return (await self.http.put(path, files={"file": ("p.jpg", data)})).status_code

    def rate(
        self, name: str, process: Process, put: Callable[[tuple[str, str], bytes], Awaitable[int]], data: bytes
    ) -> Callable[[], Awaitable[float]]:
        """Uploads a second by eight clients, each after the answer to the one before."""

        async def client(draft: tuple[str, str]) -> None:
            for _ in range(EACH):
                status = await put(draft, data)
                assert status == 200, status  # noqa: S101 - a measurement of refusals is none

        async def measure() -> float:
            spent, started = Snapshot().seconds(process.popen.pid), time.perf_counter()
            await asyncio.gather(*(client(draft) for draft in self.drafts[:CLIENTS]))
            elapsed = time.perf_counter() - started
            spent = Snapshot().seconds(process.popen.pid) - spent
            self.processor_time[name] = spent / (CLIENTS * EACH)
            return CLIENTS * EACH / elapsed

        return measure


async def _drafts(api: Api, database: str, count: int) -> list[tuple[str, str]]:
    """Drafts of enterprises, two of each."""
    drafts = []
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:

        async def made(statement: str, *values: Any) -> Any:
            row = await (await connection.execute(statement, values)).fetchone()
            return row and row[0]

        for number in range(count):
            if number % 2 == 0:
                _, token = await register_enterprise(api, f"南昌第{number}建设有限公司", "Bench-2026-pass")
                enterprise = jwt.decode(token, options={"verify_signature": False})["sub"]
                await connection.execute(_ENTERPRISE, (enterprise,))
            person = await made(_PEOPLE, id_number(sequence=number))
            drafts.append((token, str(await made(_APPLICATION, enterprise, person))))
    return drafts


@asynccontextmanager
async def _bench(backing: Backing) -> AsyncIterator[_Bench]:
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        urls = {
            name: stack.enter_context(service_database(backing.postgres, name)) for name in ("enterprise", "renewal")
        }
        ports = {name: free_port() for name in ("enterprise", "renewal", "unchecked")}
        bases = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        jwks = ", ".join(
            f'"{name}": "{bases["enterprise"]}/api/enterprise/v1/.well-known/jwks.json"'
            for name in ("enterprise", "review")
        )
        environment = base_environment() | {
            "GANZHENG_RATE_LIMITS": "false",
            "GANZHENG_DATA_KEYS": f"k1:{new_key()}",
            "GANZHENG_INDEX_KEY": new_key(),
            "GANZHENG_JWKS_URLS": f"{{{jwks}}}",
            "GANZHENG_STORE_DIRECTORY": str(directory / "ours"),
            # As in the image, see deploy/docker/Dockerfile.
            "MALLOC_MMAP_THRESHOLD_": str(MIB),
        }
        started = stack.enter_context(processes(directory, environment))
        for name, url in urls.items():
            own = {"GANZHENG_DATABASE_URL": url, "GANZHENG_SIGNING_KEYS": f"s1:{new_key()}"}
            own |= {"GANZHENG_PORT": str(ports[name]), "GANZHENG_METRICS_PORT": str(free_port())}
            started.start(name, "-m", f"services.{name}", "api", **own)
        plain_url = urls["renewal"].replace("+psycopg", "")
        limit = started.start(
            "unchecked", "-m", "bench.unchecked", str(ports["unchecked"]), plain_url, str(directory / "unchecked")
        )
        http = await stack.enter_async_context(httpx2.AsyncClient(timeout=300, trust_env=False))
        for name, base in bases.items():
            await until(partial(ready, http, base), interval=0.2, what=f"{name} to be ready")
        drafts = await _drafts(Api(http, "", bases), plain_url, max(CLIENTS, 2 * (UPLOADS // UPLOADS_EACH + 1)))
        yield _Bench(http, bases["renewal"], bases["unchecked"], started.running["renewal"], limit, drafts)


async def uploads(backing: Backing, rounds: int) -> None:
    """Measure photos against unchecked ones, then what the worst uploads take of memory, and print."""
    async with _bench(backing) as bench:
        data = photo()
        await bench.put(bench.drafts[0], data)
        await bench.put_unchecked(bench.drafts[0], data)
        measurements = {
            "unchecked": bench.rate("unchecked", bench.limit, bench.put_unchecked, data),
            "checked, cleaned, stored": bench.rate("checked, cleaned, stored", bench.api, bench.put, data),
        }
        peak, idle = [0.0], _memory(bench.api.popen.pid)
        watching = asyncio.create_task(_watch(bench.api.popen.pid, peak))
        title = f"Uploads of a photo of {len(data):,} bytes by {CLIENTS} clients"
        await compare(title, "uploads/s", "unchecked", measurements, rounds)
        watching.cancel()
        for name, spent in bench.processor_time.items():
            print(f"  {name:34} {1000 * spent:10.1f} ms of processor time each, its processes and their children")
        print(f"  stored {bench.stored:,} bytes; at most {max(peak) - idle:.0f} MiB more than {idle:.0f} when idle")
        await _worst(bench)


async def _worst(bench: _Bench) -> None:
    root = bench.api.popen.pid
    idle = _memory(root)
    senders = [draft for draft in bench.drafts[::2] for _ in range(UPLOADS_EACH)][: UPLOADS + UPLOADS_EACH]
    print(f"\nMemory of the worst uploads, {len(senders)} at once (idle: {idle:.0f} MiB)")
    for name, data in (
        ("16-bit RGBA PNG", _png()),
        ("progressive CMYK JPEG", _jpeg("CMYK")),
        ("progressive JPEG", _jpeg("RGB")),
    ):
        # What follows the picture is dropped, but it is read, and waits.
        body = data.ljust(MAX_BYTES, b"\0")
        peak: list[float] = []
        watching = asyncio.create_task(_watch(root, peak))
        answers = Counter(await asyncio.gather(*(bench.put(sender, body) for sender in senders)))
        watching.cancel()
        told = ", ".join(f"{count} × {status}" for status, count in sorted(answers.items()))
        print(f"  {name:24} {max(peak) - idle:6.0f} MiB more than idle, {_memory(root) - idle:4.0f} afterwards; {told}")
