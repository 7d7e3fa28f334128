"""The list and the dossier."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest

from deploy import synthetic
from services.review.domain import Role
from tests.integration.review.desk import Application, Desk
from tests.support.clock import START


async def names(client: httpx2.AsyncClient, **query: str | list[str]) -> list[str]:
    response = await client.get("/items", params=query)
    assert response.status_code == 200, response.text
    return [item["name"] for item in response.json()["items"]]


async def test_item_shows_what_the_list_needs(desk: Desk) -> None:
    application = Application(desk.container)
    await desk.hear(application.submitted())
    client = await desk.as_role("reviewer")
    (item,) = (await client.get("/items")).json()["items"]
    assert item == {
        "application_id": str(application.id),
        "application_number": "HZ00000000",
        "revision": 1,
        "decision_no": 0,
        "name": application.name,
        "id_number_masked": f"{application.id_number[:4]}**********{application.id_number[-4:]}",
        "enterprise": "南昌一零企业",
        "post": "10",
        "post_name": "土建施工员",
        "certificate_number": None,
        "status": "pending_review",
        "status_label": "待审核",
        "added_at": "2026-03-02T01:00:00Z",
        "submitted_at": "2026-03-02T02:00:00Z",
        "reason_code": None,
        "comment": None,
        "decision_pending": False,
        "actions": ["approve", "reject"],
        "refusal": None,
        "numbering_failure": None,
        "withdrawal": None,
    }


async def test_filters(desk: Desk) -> None:
    li = Application(desk.container, 0, name="李四海")
    zhang = Application(desk.container, 1, name="张三丰", post="11", enterprise_name="九江百分%建设")
    li_again = Application(desk.container, 2, name="小李_飞")
    await desk.hear(li.submitted(), zhang.submitted(), li_again.submitted())
    await desk.hear(zhang.approved(), zhang.certified("00711000000042"), li_again.rejected())
    client = await desk.as_role("reviewer")

    assert await names(client) == ["小李_飞", "张三丰", "李四海"]
    assert await names(client, name="李") == ["小李_飞", "李四海"]
    assert await names(client, name="_") == ["小李_飞"]
    assert await names(client, name="四海x") == []
    assert await names(client, enterprise="百分%") == ["张三丰"]
    assert await names(client, post="11") == ["张三丰"]
    assert await names(client, status="rejected") == ["小李_飞"]
    assert await names(client, status="certified", post="11") == ["张三丰"]
    assert await names(client, certificate_number="０0711000000042") == ["张三丰"]
    assert await names(client, certificate_number="0071100000004") == []
    spaced = f"{zhang.id_number[:6]} {zhang.id_number[6:14]} {zhang.id_number[14:].lower()}"
    assert await names(client, id_number=spaced) == ["张三丰"]
    assert await names(client, id_number=synthetic.id_number("female")) == []
    second = (START + timedelta(minutes=1)).isoformat()
    assert await names(client, added_from=second) == ["小李_飞", "张三丰"]
    assert await names(client, added_to=second) == ["张三丰", "李四海"]
    assert await names(client, added_from="2026-03-02", added_to="2026-03-02", name="张") == ["张三丰"]
    assert await names(client, added_from="2026-03-03") == []
    assert await names(client, application_ids=f"{li.id}, {zhang.id}") == ["张三丰", "李四海"]
    assert await names(client, application_ids=[str(zhang.id), str(li_again.id)]) == ["小李_飞", "张三丰"]
    assert await names(client, application_ids=str(li.id), name="张") == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"id_number": "360199199001010000"}, "invalid_id_number"),
        ({"status": "draft"}, "invalid_request"),
        ({"added_from": "yesterday"}, "invalid_request"),
        ({"name": "a\x00"}, "invalid_request"),
        ({"cursor": "bm9uc2Vuc2U"}, "invalid_cursor"),
        ({"limit": "101"}, "invalid_request"),
        ({"application_ids": "1,2"}, "invalid_request"),
        ({"application_ids": ",".join([str(UUID(int=0))] * 101)}, "invalid_request"),
    ],
)
async def test_bad_queries_are_refused_without_repeating_them(desk: Desk, query: dict[str, str], code: str) -> None:
    client = await desk.as_role("reviewer")
    response = await client.get("/items", params=query)
    assert (response.status_code, response.json()["code"]) == (422, code)
    assert "360199199001010000" not in response.text


async def test_pages_hold_every_item_once(desk: Desk) -> None:
    # Three of one instant: the cursor has to tell them apart.
    applications = [Application(desk.container, n, added_at=START + timedelta(minutes=n // 3)) for n in range(8)]
    await desk.hear(*(application.submitted() for application in applications))
    client = await desk.as_role("reviewer")
    seen: list[dict[str, Any]] = []
    query = {"limit": "3", "status": "pending_review"}
    pages = 0
    while True:
        page = (await client.get("/items", params=query)).json()
        seen += page["items"]
        pages += 1
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert pages == 3
    assert [item["added_at"] for item in seen] == sorted((item["added_at"] for item in seen), reverse=True)
    assert {item["application_id"] for item in seen} == {str(application.id) for application in applications}
    assert len(seen) == 8


@pytest.mark.parametrize("query", [{}, {"status": "pending_review"}, {"name": "王", "added_from": "2026-03-02"}])
async def test_neighbours_are_those_of_the_list(desk: Desk, query: dict[str, str]) -> None:
    # Three of one instant, as above; every other one is decided, so that it is in one of these lists only.
    applications = [
        Application(desk.container, n, name="王李"[n % 2] + "安", added_at=START + timedelta(minutes=n // 3))
        for n in range(9)
    ]
    await desk.hear(*(application.submitted() for application in applications))
    await desk.hear(*(application.rejected() for application in applications[::3]))
    client = await desk.as_role("reviewer")
    listed = (await client.get("/items", params=query)).json()["items"]
    everything = (await client.get("/items")).json()["items"]
    assert listed
    seen: list[dict[str, Any]] = []
    for item in everything:
        response = await client.get(f"/items/{item['application_id']}/neighbours", params=query)
        assert response.status_code == 200, response.text
        seen += [item] if item in listed else []
        after = listed[len(seen) :]
        before = seen[:-1] if item in listed else seen
        expected = [
            {name: row[name] for name in ("application_id", "name", "status")} if row else None
            for row in (before[-1] if before else None, after[0] if after else None)
        ]
        assert list(response.json().items()) == list(zip(("previous", "next"), expected, strict=True))


async def test_neighbours_refuse_what_the_list_refuses(desk: Desk) -> None:
    application = Application(desk.container)
    await desk.hear(application.submitted())
    client = await desk.as_role("reviewer")
    response = await client.get(f"/items/{UUID(int=0)}/neighbours")
    assert (response.status_code, response.json()["code"]) == (404, "item_not_found")
    response = await client.get(f"/items/{application.id}/neighbours", params={"id_number": "360199199001010000"})
    assert (response.status_code, response.json()["code"]) == (422, "invalid_id_number")
    assert await desk.audit(action="id_number_revealed") == []


async def test_refusal_is_shown_until_anything_newer_is_known(desk: Desk) -> None:
    application = Application(desk.container)
    await desk.hear(application.submitted(), application.refused(code="over_age_male"))
    client = await desk.as_role("reviewer")
    (item,) = (await client.get("/items")).json()["items"]
    assert item["refusal"] == {"code": "over_age_male", "detail": "申请已有变化"}
    await desk.hear(application.rejected())
    (item,) = (await client.get("/items")).json()["items"]
    assert (item["refusal"], item["status_label"], item["reason_code"]) == (None, "驳回", "letter_unsigned")


async def test_numbering_failure_is_shown_while_its_approval_waits(desk: Desk) -> None:
    application = Application(desk.container)
    await desk.hear(application.submitted(), application.approved(), application.numbering_failed())
    # A refused withdrawal is news, but the number is still missing.
    await desk.hear(application.refused())
    client = await desk.as_role("reviewer")
    (item,) = (await client.get("/items")).json()["items"]
    assert item["numbering_failure"] == {"code": "series_exhausted", "detail": "编号已用尽"}
    assert item["status_label"] == "通过（编号中）"
    await desk.hear(application.withdrawn(), application.approved())
    (item,) = (await client.get("/items")).json()["items"]
    assert (item["status"], item["numbering_failure"]) == ("approved", None)


async def test_dossier_shows_all_and_leaves_an_audit_entry(desk: Desk) -> None:
    application = Application(desk.container)
    await desk.hear(application.submitted(), application.rejected())
    await desk.hear(application.submitted(post="20", post_name="土建质量员", versions="121"))
    client = await desk.as_role("reviewer")
    response = await client.get(f"/items/{application.id}")
    assert response.status_code == 200, response.text
    item = response.json()
    assert item["id_number"] == application.id_number
    assert (item["sex"], item["birth_date"]) == ("male", "1990-01-01")
    assert item["held"] == [
        {"post": "10", "post_name": "土建施工员", "certificate_number": "old", "valid_until": "2026-12-31"}
    ]
    url = f"/api/renewal/v1/applications/{application.id}/images"
    assert item["images"][1] == {
        "kind": "id-back",
        "url": f"{url}/id-back",
        "sha256": "id-back-2",
        "width": 800,
        "height": 500,
    }
    assert [(r["revision"], r["post"], r["changed"]) for r in item["revisions"]] == [
        (2, "20", ["post", "id-back"]),
        (1, "10", []),
    ]
    assert item["revisions"][1]["images"][0]["url"] == f"{url}/id-front?revision=1"
    entries = await desk.audit(action="id_number_revealed")
    assert [(entry["actor"], entry["subject"]) for entry in entries] == [("姓名reviewer", str(application.id))]
    assert application.id_number not in str(entries)


async def test_unknown_item(desk: Desk) -> None:
    client = await desk.as_role("reviewer")
    response = await client.get("/items/00000000-0000-0000-0000-000000000000")
    assert (response.status_code, response.json()["code"]) == (404, "item_not_found")
    assert await desk.audit(action="id_number_revealed") == []


@pytest.mark.parametrize(
    ("role", "status"), [("reviewer", (200, 403, 403)), ("admin", (200, 200, 200)), ("registrar", (403, 403, 403))]
)
async def test_roles(desk: Desk, role: Role, status: tuple[int, ...]) -> None:
    client = await desk.as_role(role)
    assert tuple([(await client.get(path)).status_code for path in ("/items", "/audit", "/reviewers")]) == status


async def test_reasons(desk: Desk) -> None:
    client = await desk.as_role("reviewer")
    reasons = {reason["code"]: reason for reason in (await client.get("/reasons")).json()}
    assert reasons["letter_unsigned"] == {
        "code": "letter_unsigned",
        "label": "承诺书未签字",
        "field": "commitment-letter",
        "actions": ["reject"],
        "needs_comment": False,
    }
    assert reasons["other"]["needs_comment"] is True
