from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from services.certnumber.app import build, create_app
from services.certnumber.container import CertnumberContainer
from shared.auth.tokens import Principal, SigningKeys
from shared.messaging import Consumer
from tests.support.events import message
from tests.support.numbering import approved, assign, deliver, new_settings, withdrawn

ISSUER = SigningKeys("review", {"r1": bytes(range(32))})
JWKS = "http://review.test/jwks.json"


def publish_keys(request: httpx2.Request) -> httpx2.Response:
    assert str(request.url) == JWKS
    return httpx2.Response(200, json=ISSUER.jwks())


@pytest.fixture
async def container(url: str) -> AsyncIterator[CertnumberContainer]:
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(publish_keys)) as client:
        container = build(new_settings(url, jwks_urls={"review": JWKS}), client=client, eager=True)
        yield container
        await container.close()


@pytest.fixture
def app(container: CertnumberContainer) -> FastAPI:
    return create_app(container)


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as client:
        yield client


@pytest.fixture
def admin(container: CertnumberContainer) -> dict[str, str]:
    return token(container, "admin")


def token(container: CertnumberContainer, *roles: str, initial_password: bool = False) -> dict[str, str]:
    principal = Principal("review", uuid4(), uuid4(), "审核员", frozenset(roles), initial_password)
    return {"Authorization": f"Bearer {ISSUER.sign(principal, container.clock.now(), timedelta(minutes=5))}"}


def series(**values: Any) -> dict[str, Any]:
    return {"name": "赣建安", "layout": "赣建安C({year}){serial:07}", "posts": ["20"], "yearly": True, **values}


def refused(response: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    body: dict[str, Any] = response.json()
    assert body["code"] == code
    return body


class TestCertificates:
    async def test_shows_a_valid_one_to_anyone(
        self, consumer: Consumer, engine: sa.Engine, http: httpx2.AsyncClient
    ) -> None:
        await deliver(consumer, [message(approved(uuid4()))])
        assign(engine)
        body = (await http.get("/certificates/00707100000001")).json()
        assert {key: value for key, value in body.items() if key != "issued_on"} == {
            "number": "00707100000001",
            "status": "valid",
            "post": "土建施工员",
            "holder": "张**",
            "enterprise": "南昌一零企业",
            "voided_on": None,
            "replaces": None,
            "replaced_by": None,
        }

    async def test_shows_that_one_is_void(
        self, consumer: Consumer, engine: sa.Engine, http: httpx2.AsyncClient
    ) -> None:
        application = uuid4()
        await deliver(consumer, [message(approved(application))])
        assign(engine)
        await deliver(consumer, [message(withdrawn(application)), message(approved(application, 3, 1))])
        assign(engine)
        void = (await http.get("/certificates/00707100000001")).json()
        assert void["status"] == "void"
        assert void["voided_on"] == void["issued_on"]
        assert (await http.get("/certificates/00707100000002")).json()["replaces"] == "00707100000001"

    async def test_finds_it_by_either_width_of_characters(
        self,
        container: CertnumberContainer,
        consumer: Consumer,
        engine: sa.Engine,
        http: httpx2.AsyncClient,
        admin: dict[str, str],
    ) -> None:
        await http.post("/series", json=series(yearly=False, layout="赣（2026）{serial:03}"), headers=admin)
        await container.waker.join()
        await deliver(consumer, [message(approved(uuid4(), post="20"))])
        assert assign(engine) == 1
        for typed in ("赣（2026）001", "赣(2026)001", "赣（２０２６）００１"):
            assert (await http.get(f"/certificates/{typed}")).json()["number"] == "赣（2026）001"

    async def test_makes_no_digit_of_a_mark(
        self,
        container: CertnumberContainer,
        consumer: Consumer,
        engine: sa.Engine,
        http: httpx2.AsyncClient,
        admin: dict[str, str],
    ) -> None:
        await http.post("/series", json=series(yearly=False, layout="12021{serial:03}"), headers=admin)
        await http.post("/series", json=series(yearly=False, layout="②号{serial:03}", posts=["30"]), headers=admin)
        await container.waker.join()
        await deliver(consumer, [message(approved(uuid4(), post=post)) for post in ("20", "30")])
        assert assign(engine) == 2
        for typed in ("12021001", "１２０２１００１", "②号001", " ②号 001"):
            assert (await http.get(f"/certificates/{typed}")).status_code == 200
        for typed in ("①2021001", "1²021001", "12021⓪⓪①", "2号001", "①②号001"):
            refused(await http.get(f"/certificates/{typed}"), 404, "certificate_not_found")

    async def test_refuses_what_is_no_number(self, http: httpx2.AsyncClient) -> None:
        refused(await http.get("/certificates/00707100000001"), 404, "certificate_not_found")
        for bad in ("x" * 51, "a%00b", "a%07b"):
            refused(await http.get(f"/certificates/{bad}"), 422, "invalid_request")

    async def test_limits_the_rate(self, http: httpx2.AsyncClient) -> None:
        codes = [(await http.get("/certificates/1")).status_code for _ in range(61)]
        assert codes == [404] * 60 + [429]


class TestSeries:
    async def test_shows_counter_capacity_and_example(
        self, consumer: Consumer, engine: sa.Engine, http: httpx2.AsyncClient, admin: dict[str, str]
    ) -> None:
        await deliver(consumer, [message(approved(uuid4())) for _ in range(2)])
        assign(engine)
        (default,) = (await http.get("/series", headers=admin)).json()["items"]
        assert (default["layout"], default["posts"], default["active"]) == ("00707{post}{serial:07}", None, True)
        assert default["counters"] == [{"period": 0, "last": 2}]
        assert (default["capacity"], default["example"]) == (9_999_999, "00707100000003")

    async def test_adds_and_pages(self, http: httpx2.AsyncClient, admin: dict[str, str]) -> None:
        created = await http.post("/series", json=series(), headers=admin)
        assert (created.status_code, created.json()["counters"]) == (201, [])
        assert created.json()["example"].endswith(")0000001")
        first = (await http.get("/series?limit=1", headers=admin)).json()
        assert [item["id"] for item in first["items"]] == [created.json()["id"]]
        rest = (await http.get(f"/series?limit=1&cursor={first['next_cursor']}", headers=admin)).json()
        assert ([item["name"] for item in rest["items"]], rest["next_cursor"]) == (["默认编号"], None)

    async def test_reads_one_as_the_list_has_it(self, http: httpx2.AsyncClient, admin: dict[str, str]) -> None:
        await http.post("/series", json=series(), headers=admin)
        for listed in (await http.get("/series", headers=admin)).json()["items"]:
            assert (await http.get(f"/series/{listed['id']}", headers=admin)).json() == listed
        refused(await http.get(f"/series/{uuid4()}", headers=admin), 404, "series_not_found")

    @pytest.mark.parametrize(
        "layout", ["{serial:07}", "{year}", "{year}{month}{serial:03}", "x" * 60 + "{year}{serial:03}"]
    )
    async def test_refuses_a_layout(self, layout: str, http: httpx2.AsyncClient, admin: dict[str, str]) -> None:
        answer = await http.post("/series", json=series(layout=layout), headers=admin)
        body = refused(answer, 422, "invalid_layout")
        assert body["errors"] == [{"field": "layout", "code": "invalid_layout", "message": body["detail"]}]

    @pytest.mark.parametrize("posts", [[], ["1"], ["100"], ["土建"], ["２０"]])
    async def test_refuses_posts(self, posts: list[str], http: httpx2.AsyncClient, admin: dict[str, str]) -> None:
        refused(await http.post("/series", json=series(posts=posts), headers=admin), 422, "invalid_request")

    async def test_one_active_series_per_post(self, http: httpx2.AsyncClient, admin: dict[str, str]) -> None:
        first = (await http.post("/series", json=series(posts=["20", "21"]), headers=admin)).json()
        answer = await http.post("/series", json=series(posts=["21", "22"]), headers=admin)
        assert (refused(answer, 409, "series_conflict"))["posts"] == ["21"]
        refused(await http.post("/series", json=series(posts=None), headers=admin), 409, "series_conflict")
        spare = await http.post(
            "/series", json=series(posts=["21"], active=False, layout="乙{year}{serial:04}"), headers=admin
        )
        assert spare.status_code == 201
        path = f"/series/{spare.json()['id']}"
        refused(await http.patch(path, json={"active": True}, headers=admin), 409, "series_conflict")
        freed = await http.patch(f"/series/{first['id']}", json={"posts": ["20"]}, headers=admin)
        assert freed.json()["posts"] == ["20"]
        assert (await http.patch(path, json={"active": True}, headers=admin)).json()["active"] is True
        refused(await http.patch(path, json={"posts": None}, headers=admin), 409, "series_conflict")

    async def test_changes_only_what_is_given(self, http: httpx2.AsyncClient, admin: dict[str, str]) -> None:
        created = (await http.post("/series", json=series(), headers=admin)).json()
        changed = await http.patch(f"/series/{created['id']}", json={"name": "新名", "layout": None}, headers=admin)
        assert changed.json() == created | {"name": "新名", "updated_at": changed.json()["updated_at"]}
        refused(await http.patch(f"/series/{uuid4()}", json={}, headers=admin), 404, "series_not_found")

    async def test_yearly_is_settled_by_the_first_number(
        self,
        container: CertnumberContainer,
        consumer: Consumer,
        engine: sa.Engine,
        http: httpx2.AsyncClient,
        admin: dict[str, str],
    ) -> None:
        path = f"/series/{(await http.post('/series', json=series(), headers=admin)).json()['id']}"
        assert (await http.patch(path, json={"yearly": False}, headers=admin)).json()["yearly"] is False
        await container.waker.join()
        await deliver(consumer, [message(approved(uuid4(), post="20"))])
        assert assign(engine) == 1
        refused(await http.patch(path, json={"yearly": True}, headers=admin), 409, "series_in_use")
        assert (await http.patch(path, json={"yearly": False}, headers=admin)).status_code == 200


class TestAudit:
    async def test_shows_who_made_and_changed_a_series(self, http: httpx2.AsyncClient, admin: dict[str, str]) -> None:
        made = series()
        path = f"/series/{(await http.post('/series', json=made, headers=admin)).json()['id']}"
        change = {"layout": "赣{year}{serial:06}", "posts": ["20", "21"], "active": False}
        assert (await http.patch(path, json=change, headers=admin)).status_code == 200
        refused(await http.patch(path, json={"layout": "赣"}, headers=admin), 422, "invalid_layout")
        changed, created = (await http.get("/audit", headers=admin)).json()["items"]
        made["active"] = True
        assert (created["action"], created["detail"]) == ("series_created", {"new": made})
        assert (changed["action"], changed["detail"]) == ("series_changed", {"old": made, "new": made | change})
        assert (changed["action_label"], changed["actor"]) == ("修改编号规则", "审核员")
        assert path == f"/series/{changed['subject']}" == f"/series/{created['subject']}"
        found = await http.get("/audit", params={"action": "series_created"}, headers=admin)
        assert found.json()["items"] == [created]
        refused(await http.get("/audit", params={"action": "log_in"}, headers=admin), 422, "invalid_request")


class TestProof:
    async def test_answers_per_series(
        self, consumer: Consumer, engine: sa.Engine, http: httpx2.AsyncClient, container: CertnumberContainer
    ) -> None:
        await deliver(consumer, [message(approved(uuid4())) for _ in range(3)])
        assign(engine, limit=2)
        body = (await http.get("/proof", headers=token(container, "reviewer"))).json()
        (entry,) = body.pop("series")
        assert {key: entry[key] for key in ("name", "period", "count", "highest", "counter", "valid", "void")} == {
            "name": "默认编号", "period": 0, "count": 2, "highest": 2, "counter": 2, "valid": 2, "void": 0,
        }  # fmt: skip
        assert (entry["gaps"], entry["gap_examples"], entry["duplicates"], entry["gapless"]) == (0, [], 0, True)
        assert (body["gapless"], body["waiting"], body["failed"]) == (True, 1, 0)
        assert body["oldest_waiting_seconds"] > 0
        assert body["oldest_waiting"]["status"] == "waiting"


class TestRoles:
    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("GET", "/series", {"admin"}),
            ("POST", "/series", {"admin"}),
            ("PATCH", f"/series/{UUID(int=0)}", {"admin"}),
            ("GET", "/proof", {"admin", "reviewer", "registrar"}),
        ],
    )
    async def test_opens_only_to(
        self, method: str, path: str, allowed: set[str], http: httpx2.AsyncClient, container: CertnumberContainer
    ) -> None:
        body: dict[str, str] | None = None if method == "GET" else {}
        for role in ("enterprise", "reviewer", "registrar", "admin"):
            answer = await http.request(method, path, headers=token(container, role), json=body)
            assert (answer.status_code not in {401, 403}) == (role in allowed), role
        refused(await http.request(method, path, json=body), 401, "unauthenticated")

    async def test_the_initial_password_opens_nothing(
        self, http: httpx2.AsyncClient, container: CertnumberContainer
    ) -> None:
        answer = await http.get("/proof", headers=token(container, "admin", initial_password=True))
        refused(answer, 403, "password_change_required")


def test_documents_every_refusal(app: FastAPI) -> None:
    document = app.openapi()
    described = {
        (path, method, code)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        for response in operation["responses"].values()
        for code in response["description"].split("`")[1::2]
    }
    assert {
        ("/certificates/{number}", "get", "certificate_not_found"),
        ("/certificates/{number}", "get", "too_many_requests"),
        ("/series", "post", "invalid_layout"),
        ("/series", "post", "series_conflict"),
        ("/series/{series_id}", "patch", "series_in_use"),
        ("/series/{series_id}", "patch", "series_not_found"),
        ("/proof", "get", "forbidden"),
    } <= described
    assert "security" not in document["paths"]["/certificates/{number}"]["get"]
