"""Submissions through renewal's API against bare psycopg that writes the same rows in the same transaction.

Every submission is a draft of a person of its own with its three pictures. The API is one process as an operator starts
it, and two; what asks it is a process of its own.
"""

import asyncio
import json
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import cast
from uuid import UUID, uuid4

import httpx2
import psycopg
from psycopg.types.json import Jsonb

from bench.run import compare
from bench.traffic import apart, closed_loop, request_of
from deploy.embedded.postgres import free_port
from services.renewal.models import ID_NUMBER
from shared.auth.tokens import Principal, SigningKeys
from shared.persistence.cipher import FieldCipher
from shared.persistence.db import migrate
from shared.runtime.settings import new_key, parse_key
from tests.support.backing import Backing
from tests.support.processes import base_environment, processes, ready
from tests.support.wait import until

SUBMISSIONS = 1500
CLIENTS = 16
ENTERPRISES = 20
ID_OF_ALL = "360199199001010009"

FILL = """
WITH who AS (
    INSERT INTO people (id, id_number, id_number_index, name, sex, birth_date, created_at, updated_at)
    SELECT gen_random_uuid(), %(sealed)s, md5(random()::text || n), '赵一零', 'female', '1990-01-01', now(), now()
    FROM generate_series(1, %(count)s) AS n RETURNING id
), mine AS (
    INSERT INTO applications (id, enterprise_id, person_id, post, post_family, status, revision, decision_no,
        change_no, added_at, updated_at)
    SELECT gen_random_uuid(), (%(enterprises)s::uuid[])[1 + row_number() OVER () %% %(many)s], id, '30', '安全员',
        'draft', 0, 0, 1, now(), now() FROM who RETURNING id, enterprise_id
), pictures AS (
    INSERT INTO images (id, application_id, kind, current, object_key, content_type, sha256, pixel_sha256, width,
        height, bytes, uploaded_at)
    SELECT gen_random_uuid(), id, kind, true, gen_random_uuid()::text, 'image/jpeg', md5(id::text || kind),
        md5(id::text || kind), 1600, 1200, 500000, now()
    FROM mine, unnest(ARRAY['id-front', 'id-back', 'commitment-letter']) AS kind
), held AS (
    INSERT INTO held_certificates (id, person_id, post, certificate_number, valid_until, created_at, updated_at)
    SELECT gen_random_uuid(), id, '30', 'A' || id, '2030-01-01', now(), now() FROM who
), past AS (
    INSERT INTO history (application_id, change_no, at, action, actor, status, revision, decision_no)
    SELECT id, 1, now(), 'create', 'enterprise', 'draft', 0, 0 FROM mine
)
SELECT id, enterprise_id FROM mine
"""


class Drafts:
    """Applications that are ready to be submitted, made in renewal's own database."""

    def __init__(self, url: str, cipher: FieldCipher) -> None:
        self.enterprises = [uuid4() for _ in range(ENTERPRISES)]
        self._url = url.replace("+psycopg", "")
        self._sealed = cipher.encrypt(ID_OF_ALL, ID_NUMBER)
        with psycopg.connect(self._url) as connection:
            names = [(enterprise, "南昌一零建设有限公司") for enterprise in self.enterprises]
            connection.cursor().executemany("INSERT INTO enterprises VALUES (%s, %s, 1)", names)

    def make(self, count: int) -> list[tuple[UUID, UUID]]:
        """Make so many, and give application and enterprise of each."""
        given = {"sealed": self._sealed, "count": count, "enterprises": self.enterprises, "many": ENTERPRISES}
        with psycopg.connect(self._url, autocommit=True) as connection:
            made = connection.execute(FILL, given).fetchall()
            connection.execute("ANALYZE")
        return made


@contextmanager
def published(signing: SigningKeys) -> Iterator[str]:
    """Publish an issuer's keys, as it does itself; gives their address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(signing.jwks()).encode())

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def token_of(signing: SigningKeys, enterprise: UUID) -> str:
    """Sign what an enterprise calls with."""
    who = Principal("enterprise", enterprise, uuid4(), "南昌一零建设有限公司", frozenset({"enterprise"}), False)
    return signing.sign(who, datetime.now(UTC), timedelta(hours=1))


Asked = tuple[set[int], float]


async def ask(ports: list[int], requests: list[bytes]) -> Asked:
    """Send the requests, a few at a time, and give what was answered and how many seconds it took."""
    began = time.perf_counter()
    answers = await closed_loop(ports, iter(requests), CLIENTS)
    return {answer.status for answer in answers}, time.perf_counter() - began


def cpu_of(pid: int) -> float:
    """Tell how many seconds of processor time a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def bare(url: str, drafts: list[tuple[UUID, UUID]]) -> None:
    """Write what a submission writes, under the locks it takes, and nothing else, on eight connections."""
    waiting = iter(drafts)

    async def writer() -> None:
        async with await psycopg.AsyncConnection.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            for application, _ in waiting:
                async with connection.pipeline(), connection.transaction():
                    await _write(connection, application)

    await asyncio.gather(*(writer() for _ in range(8)))


async def _write(connection: psycopg.AsyncConnection, application: UUID) -> None:
    now, envelope = datetime.now(UTC), "x" * 1700
    lock = "SELECT p.*, a.* FROM applications a JOIN people p ON p.id = a.person_id WHERE a.id = %s FOR UPDATE OF p, a"
    await connection.execute(lock, (application,))
    await connection.execute(
        "UPDATE applications SET status = 'pending_review', revision = 1, change_no = 2, submitted_at = %s,"
        " updated_at = %s WHERE id = %s",
        (now, now, application),
    )
    await connection.execute(
        "INSERT INTO history (application_id, change_no, at, action, actor, status, revision, decision_no)"
        " VALUES (%s, 2, %s, 'submit', 'enterprise', 'pending_review', 1, 0)",
        (application, now),
    )
    await connection.execute(
        "INSERT INTO submissions VALUES (%s, 1, '30', %s, %s)",
        (application, Jsonb({kind: str(uuid4()) for kind in ("id-front", "id-back", "commitment-letter")}), now),
    )
    await connection.execute(
        "INSERT INTO outbox (event_id, routing_key, envelope) VALUES (%s, 'renewal.submitted.v1', %s)",
        (uuid4(), envelope),
    )


async def submission(backing: Backing, rounds: int) -> None:
    """Measure submissions through the API against bare writes, and print."""
    signing = SigningKeys("enterprise", {"s1": secrets.token_bytes(32)})
    data_key, index_key = new_key(), new_key()
    cipher = FieldCipher({"k1": parse_key(data_key)}, parse_key(index_key))
    with (
        backing.postgres.temporary() as url,
        published(signing) as jwks,
        tempfile.TemporaryDirectory() as directory,
    ):
        migrate("renewal", url)
        drafts = Drafts(url, cipher)
        tokens = {enterprise: token_of(signing, enterprise) for enterprise in drafts.enterprises}
        environment = base_environment() | {
            "GANZHENG_DEMO": "true",
            "GANZHENG_DATABASE_URL": url,
            "GANZHENG_DATA_KEYS": f"k1:{data_key}",
            "GANZHENG_INDEX_KEY": index_key,
            "GANZHENG_JWKS_URLS": json.dumps({"enterprise": jwks, "review": jwks}),
            "GANZHENG_STORE_DIRECTORY": directory,
        }
        with processes(Path(directory), environment) as started:
            ports = [free_port(), free_port()]
            pids = []
            for port in ports:
                process = started.start(f"api-{port}", "-m", "services.renewal", "api", GANZHENG_PORT=str(port))
                pids.append(process.popen.pid)
            async with httpx2.AsyncClient(trust_env=False) as http:
                for port in ports:
                    await until(partial(ready, http, f"http://127.0.0.1:{port}"), what="the API to be ready")
            spent: list[float] = []

            def through(count: int) -> Callable[[], Awaitable[float]]:
                async def measure() -> float:
                    requests = [
                        request_of(
                            "POST",
                            f"/api/renewal/v1/applications/{application}/submission",
                            tokens[enterprise],
                            b'{"revision":0}',
                        )
                        for application, enterprise in drafts.make(SUBMISSIONS)
                    ]
                    before = sum(map(cpu_of, pids))
                    statuses, elapsed = cast(Asked, await apart(ask, ports[:count], requests).answer())
                    if statuses != {200}:
                        raise RuntimeError(f"answers: {sorted(statuses)}")
                    spent.append((sum(map(cpu_of, pids)) - before) / SUBMISSIONS)
                    return SUBMISSIONS / elapsed

                return measure

            async def limit() -> float:
                made = drafts.make(SUBMISSIONS)
                began = time.perf_counter()
                await bare(url, made)
                return SUBMISSIONS / (time.perf_counter() - began)

            await compare(
                "Submitting",
                "submissions/s",
                "bare psycopg, same writes",
                {"bare psycopg, same writes": limit, "one API process": through(1), "two API processes": through(2)},
                rounds,
            )
            print(f"  {1000 * sorted(spent)[len(spent) // 2]:.2f} ms of the API's processor time each")
