"""A renewal API as a process with drafts to be submitted, for what is measured through HTTP."""

import json
import os
import secrets
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from uuid import UUID, uuid4

import httpx2
import psycopg

from bench.traffic import request_of
from deploy.embedded.postgres import free_port
from services.renewal.models import ID_NUMBER
from shared.auth.tokens import Principal, SigningKeys
from shared.persistence.cipher import FieldCipher
from shared.persistence.db import migrate
from shared.runtime.settings import new_key, parse_key
from tests.support.backing import Backing
from tests.support.processes import base_environment, processes, ready
from tests.support.wait import until

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


def token_of(signing: SigningKeys, subject: UUID, role: str) -> str:
    """Sign what somebody calls with."""
    who = Principal(signing.issuer, subject, uuid4(), "南昌一零建设有限公司", frozenset({role}), False)
    return signing.sign(who, datetime.now(UTC), timedelta(hours=1))


def submission_of(application: UUID, enterprise: UUID, tokens: Mapping[UUID, str]) -> bytes:
    """Write the request that submits a draft."""
    path = f"/api/renewal/v1/applications/{application}/submission"
    return request_of("POST", path, tokens[enterprise], b'{"revision":0}')


def cpu_of(pid: int) -> float:
    """Tell how many seconds of processor time a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Renewal:
    """Processes of renewal's API on one database. `tokens` are the enterprises', by id."""

    url: str
    drafts: Drafts
    tokens: dict[UUID, str]
    reviewer: str
    ports: list[int]
    pids: list[int]

    def submissions(self, count: int) -> list[tuple[UUID, bytes]]:
        """Make drafts, and give for each its id and the request that submits it."""
        return [(draft[0], submission_of(*draft, self.tokens)) for draft in self.drafts.make(count)]

    def spent(self) -> float:
        """Tell how many seconds of processor time all of them have taken."""
        return sum(map(cpu_of, self.pids))


@asynccontextmanager
async def renewal(backing: Backing, copies: int) -> AsyncIterator[Renewal]:
    """Run so many processes for as long as the block lasts."""
    keys = {issuer: SigningKeys(issuer, {"s1": secrets.token_bytes(32)}) for issuer in ("enterprise", "review")}
    data_key, index_key = new_key(), new_key()
    cipher = FieldCipher({"k1": parse_key(data_key)}, parse_key(index_key))
    with (
        backing.postgres.temporary() as url,
        published(keys["enterprise"]) as enterprises,
        published(keys["review"]) as reviewers,
        tempfile.TemporaryDirectory() as directory,
    ):
        migrate("renewal", url)
        drafts = Drafts(url, cipher)
        tokens = {each: token_of(keys["enterprise"], each, "enterprise") for each in drafts.enterprises}
        environment = base_environment() | {
            "GANZHENG_DEMO": "true",
            "GANZHENG_DATABASE_URL": url,
            "GANZHENG_DATA_KEYS": f"k1:{data_key}",
            "GANZHENG_INDEX_KEY": index_key,
            "GANZHENG_JWKS_URLS": json.dumps({"enterprise": enterprises, "review": reviewers}),
            "GANZHENG_STORE_DIRECTORY": directory,
        }
        with processes(Path(directory), environment) as started:
            ports = [free_port() for _ in range(copies)]
            pids = [
                started.start(f"api-{port}", "-m", "services.renewal", "api", GANZHENG_PORT=str(port)).popen.pid
                for port in ports
            ]
            async with httpx2.AsyncClient(trust_env=False) as http:
                for port in ports:
                    await until(partial(ready, http, f"http://127.0.0.1:{port}"), what="the API to be ready")
            yield Renewal(url, drafts, tokens, token_of(keys["review"], uuid4(), "reviewer"), ports, pids)
