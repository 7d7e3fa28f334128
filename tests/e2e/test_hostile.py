"""Hand-written nasty requests, each against every operation: refused as a problem document, never a 5xx."""

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from copy import deepcopy
from typing import Any, Self
from urllib.parse import quote

import httpx2
import pytest

from tests.e2e.operations import World, operations, seed
from tests.support.platform import Harness

CODE = re.compile(r"[a-z][a-z_]+")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
SECURITY = ("x-content-type-options", "content-security-policy", "referrer-policy", "cache-control", "traceparent")
JSON = {"Content-Type": "application/json"}
OVER_ANY_LIMIT = 22 * 2**20
LIMITS = {
    "/registry/imports": 20 * 2**20 + 65536,
    "/applications/{application_id}/images/{kind}": 5 * 2**20 + 65536,
}


@pytest.fixture(scope="module")
async def world(shared_embedded: Harness) -> World:
    return await seed(shared_embedded)


@pytest.fixture
def found() -> Iterator["Findings"]:
    with Findings() as findings:
        yield findings


class Findings(list[str]):
    """What is wrong with the answers of a test; reported together at its end."""

    def check(self, response: httpx2.Response, what: object, *, refused: bool = True) -> None:
        """No 5xx, and a refusal is a problem document with words for programs and for people."""
        wrong = [complaint for complaint, is_wrong in _complaints(response, refused) if is_wrong]
        if wrong:
            self.append(f"{what}: {response.status_code} {', '.join(wrong)}: {response.text[:300]}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            assert not self, "\n".join(self)


def _complaints(response: httpx2.Response, refused: bool) -> Iterator[tuple[str, bool]]:
    yield "a server error", response.status_code >= 500
    yield "headers missing", not all(name in response.headers for name in SECURITY)
    if response.status_code < 400:
        yield "not refused", refused
        return
    yield "not a problem document", response.headers.get("content-type") != "application/problem+json"
    if response.request.method != "HEAD":
        try:
            problem = response.json()
            texts = [(problem["code"], problem["detail"])]
            texts += [(error["code"], error["message"]) for error in problem.get("errors", ())]
            yield "another status inside", problem["status"] != response.status_code
            yield "no words", not all(CODE.fullmatch(code) and CHINESE.search(text) for code, text in texts)
        except (ValueError, KeyError):
            yield "unreadable", True


def multipart(*parts: bytes, boundary: bytes = b"b") -> bytes:
    return b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n"


def file_part(filename: bytes, content: bytes = b"x") -> bytes:
    head = b'Content-Disposition: form-data; name="file"; filename="' + filename + b'"\r\n'
    return head + b"Content-Type: image/jpeg\r\n\r\n" + content


MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}
BODIES: dict[str, tuple[bytes, dict[str, Any]]] = {
    "nothing": (b"", {}),
    "empty json": (b"", JSON),
    "half json": (b'{"name": "', JSON),
    "two jsons": (b"{}{}", JSON),
    "null": (b"null", JSON),
    "a number": (b"1", JSON),
    "a huge number": (b"9" * 10_000, JSON),
    "not a number": (b"NaN", JSON),
    "a list": (b"[]", JSON),
    "a string": (b'"text"', JSON),
    "deep lists": (b"[" * 100_000, JSON),
    "deep balanced lists": (b"[" * 100_000 + b"]" * 100_000, JSON),
    "deep objects": (b'{"name":' * 100_000 + b"1" + b"}" * 100_000, JSON),
    "unknown fields": (b'{"status": "certified", "enterprise_id": "x", "roles": ["admin"]}', JSON),
    "surrogate field": (b'{"\\ud800": 1}', JSON),
    "NUL field": (b'{"\\u0000": 1}', JSON),
    "invalid utf-8": (b'{"name": "\xff\xfe"}', JSON),
    "utf-16": ('{"nobody": "x"}'.encode("utf-16"), JSON),
    "latin-1": ('{"name": "é"}'.encode("latin-1"), {"Content-Type": "application/json; charset=latin-1"}),
    "xml": (b"<a/>", {"Content-Type": "application/xml"}),
    "json as text": (b"{}", {"Content-Type": "text/plain"}),
    "json as form": (b"{}", {"Content-Type": "application/x-www-form-urlencoded"}),
    "broken type": (b"{}", {"Content-Type": ";;;//"}),
    "bytes as type": (b"{}", {"Content-Type": b"\xff\xfe"}),
    "unknown coding": (b"\x28\xb5\x2f\xfd", {**JSON, "Content-Encoding": "zstd"}),
    "multipart without boundary": (b"--b--", {"Content-Type": "multipart/form-data"}),
    "multipart with another boundary": (
        multipart(file_part(b"a")),
        {"Content-Type": "multipart/form-data; boundary=c"},
    ),
    "multipart cut off": (multipart(file_part(b"a"))[:-20], MULTIPART),
    "multipart without headers": (b"--b\r\n\r\n\r\n--b--", MULTIPART),
    "multipart with odd charset": (
        multipart(file_part("名".encode())),
        {"Content-Type": "multipart/form-data; boundary=b; charset=no-such-charset"},
    ),
    "multipart long boundary": (b"", {"Content-Type": "multipart/form-data; boundary=" + "b" * 5000}),
    "multipart 1001 files": (multipart(*[file_part(b"a")] * 1001), MULTIPART),
    "multipart 1001 fields": (
        multipart(*[b'Content-Disposition: form-data; name="x"\r\n\r\nx'] * 1001),
        MULTIPART,
    ),
    "multipart huge field": (multipart(b'Content-Disposition: form-data; name="x"\r\n\r\n' + b"x" * 2**21), MULTIPART),
    "multipart file as field": (multipart(b'Content-Disposition: form-data; name="file"\r\n\r\nx'), MULTIPART),
    "multipart path tricks": (multipart(file_part(b"../../etc/passwd\x00.jpg")), MULTIPART),
    "multipart bytes as name": (multipart(file_part(b"\xff\xfe")), MULTIPART),
    "multipart no name": (multipart(b"Content-Disposition: form-data\r\n\r\nx"), MULTIPART),
    "multipart many headers": (multipart(b"X: y\r\n" * 5000 + file_part(b"a")), MULTIPART),
}


@pytest.mark.parametrize("name", BODIES)
async def test_body(world: World, found: Findings, name: str) -> None:
    content, headers = BODIES[name]
    for operation in operations(world.harness.platform):
        response = await world.call(operation, content=content, headers=headers)
        refused = operation.media_type is not None
        found.check(response, operation, refused=refused)


@pytest.mark.parametrize("announced", [{}, {"Content-Length": str(OVER_ANY_LIMIT)}], ids=["chunked", "announced"])
async def test_body_over_the_limit(world: World, found: Findings, announced: dict[str, str]) -> None:
    sent = 0

    async def stream(start: bytes) -> AsyncIterator[bytes]:
        nonlocal sent
        yield start
        for _ in range(OVER_ANY_LIMIT // 65536):
            sent += 65536
            yield b"x" * 65536

    for operation in operations(world.harness.platform):
        if operation.media_type is None:
            continue
        headers, start = (
            (JSON, b'{"name": "')
            if operation.media_type == "application/json"
            else (MULTIPART, b"--b\r\n" + file_part(b"a"))
        )
        sent = 0
        response = await world.call(operation, content=stream(start), headers=headers | announced)
        found.check(response, operation)
        assert response.status_code == 413, f"{operation}: {response.text}"
        assert sent <= (0 if announced else LIMITS.get(operation.path, 2**20)) + 65536, operation


async def test_content_length_of_thousands_of_digits(world: World, found: Findings) -> None:
    for operation in operations(world.harness.platform):
        if operation.media_type is not None:
            response = await world.call(operation, content=b"{}", headers={**JSON, "Content-Length": "9" * 5000})
            found.check(response, operation)


def leaves(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from leaves(value[key], (*at, key))
    else:
        yield at, value


def replaced(body: Any, at: tuple[Any, ...], value: Any) -> Any:
    changed = deepcopy(body)
    place = changed
    for key in at[:-1]:
        place = place[key]
    place[at[-1]] = value
    return changed


STRINGS: dict[str, Callable[[str], Any]] = {
    "NUL": lambda text: text + "\x00",
    "lone surrogate": lambda text: text[:-1] + "\ud800",
    "low surrogate": lambda text: "\udfff" + text,
    "control": lambda text: text + "\x1b[2J",
    "line separator": lambda text: text[:1] + "\u2028" + text[1:],
    "empty": lambda _: "",
    "blank": lambda _: " \u3000 ",
    "long": lambda text: text * 10_000,
    "number": lambda _: 10**400,
    "list": lambda text: [text],
    "object": lambda text: {"$ne": text},
    "infinity": lambda _: float("inf"),
}
NUMBERS: dict[str, Any] = {
    "huge": 10**4000,
    "2**31": 2**31,
    "2**63": 2**63,
    "negative": -1,
    "fraction": 1.5,
    "float": 1.0,
    "nan": float("nan"),
    "exponent": 1e308,
    "text": "1",
    "boolean": True,
    "null": None,
}
# What may be any text at all: it is hashed, never stored.
FREE_TEXT = re.compile(r"password|token")


async def test_every_field(world: World, found: Findings) -> None:
    for operation in operations(world.harness.platform):
        body = world.valid(operation)
        assert (body is not None) == (operation.media_type == "application/json"), operation
        for at, value in leaves(body or {}):
            if isinstance(value, bool):
                mutations: dict[str, Any] = {"2": 2, "text": "perhaps", "list": []}
            elif isinstance(value, str):
                mutations = {name: make(value) for name, make in STRINGS.items()}
            else:
                mutations = dict(NUMBERS)
            for name, mutation in mutations.items():
                content = json.dumps(replaced(body, at, mutation))
                response = await world.call(operation, {"application_id": world.draft}, content=content, headers=JSON)
                nullable = at[-1] in {"revision", "decision_no"} and mutation is None
                cleaned = name == "line separator"
                refused = not (nullable or cleaned or FREE_TEXT.search(str(at[-1])))
                found.check(response, f"{operation} {at} {name}", refused=refused)
                assert "\u2028" not in response.text


VALUES = [
    "",
    "a\x00b",
    "' OR 1=1 --",
    "%_\\",
    "../..",
    "0001-01-01",
    "9999-12-31",
    "2026-02-30",
    "9999-12-31T23:59:59.999999-23:59",
    "1900-01-01T00:00:00+23:59",
    "９９９９-１２-３１",
    "-1",
    str(2**63),
    "9" * 5000,
    "NaN",
    "OTk5OS0xMi0zMVQyMzo1OTo1OS0yMzo1OXwwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDA",
    "\u202e反",
    "名" * 3000,
]
RAW = ["%ff", "%ED%A0%80", "%", "a%2Fb", "%0d%0aX-Injected:%201"]


async def test_query_parameters(world: World, found: Findings) -> None:
    for operation in operations(world.harness.platform):
        for name in operation.parameters("query"):
            for value in [*map(quote, VALUES), *RAW]:
                url = f"{operation.url(world.ids)}?{name}={value}"
                response = await world.harness.request(operation.method, url, world.token(operation))
                found.check(response, f"{operation} {name}={value[:50]}", refused=False)
                assert "x-injected" not in response.headers
            url = f"{operation.url(world.ids)}?{name}=1&{name}=2&{name}[]=3&{name}%00=4&&=&{name}"
            found.check(
                await world.harness.request(operation.method, url, world.token(operation)), operation, refused=False
            )


async def test_path_parameters(world: World, found: Findings) -> None:
    for operation in operations(world.harness.platform):
        for name in operation.parameters("path"):
            for value in [*(quote(value, safe="") for value in VALUES if value), *RAW]:
                response = await world.call(operation, {name: value}, json=world.valid(operation))
                found.check(response, f"{operation} {name}={value[:50]}")


async def test_methods_and_paths_nobody_has(world: World, found: Findings) -> None:
    platform = world.harness.platform
    known = {(operation.method, operation.url(world.ids)) for operation in operations(platform)}
    for operation in operations(platform):
        url = operation.url(world.ids)
        for method in ("HEAD", "OPTIONS", "TRACE", "CONNECT", "POST", "PUT", "DELETE", "PROPFIND", "360199"):
            if (method, url) not in known:
                response = await world.harness.request(method, url, world.token(operation))
                found.check(response, f"{method} {url}")
                assert response.status_code == 405
                assert operation.method in response.headers["allow"], f"{method} {url}"
        for changed in (
            f"{url}/",
            f"{url}//",
            f"{url}%00",
            f"{url}/%2e%2e/",
            f"{url};a=b",
            url.upper(),
            url + "x" * 9000,
        ):
            response = await world.harness.request(operation.method, changed, world.token(operation))
            found.check(response, changed[:200])


async def test_outside_of_every_service(world: World, found: Findings) -> None:
    for path in ("/api", "/api/", "/api/enterprise", "/api/enterprise/v1", "/api/enterprise/v2/me", "/api/%00"):
        found.check(await world.harness.request("GET", path), path)
    found.check(await world.harness.request("DELETE", "/healthz"), "DELETE /healthz")


async def test_headers(world: World, found: Findings) -> None:
    nasty: dict[str, Any] = {
        "Accept": "application/xml;q=0, image/*",
        "Accept-Language": "x" * 20_000,
        "Cookie": "a=" + "b" * 20_000,
        "X-Forwarded-For": "' OR 1=1 --",
        "X-Forwarded-Host": "evil.example",
        "X-HTTP-Method-Override": "DELETE",
        "Host": "evil.example",
        "Range": "bytes=0-1",
        "If-None-Match": "*",
        "traceparent": "00-" + "0" * 5000,
        "X-Request-Id": b"\xff\x00",
    }
    for operation in operations(world.harness.platform):
        response = await world.call(operation, headers={**JSON, **nasty}, content=b"{")
        found.check(response, operation, refused=operation.media_type is not None)
        assert "evil.example" not in str(response.headers)
