"""Decisions: every code, two reviewers at once, batches, and what becomes of them."""

import asyncio
import json
from collections import Counter
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
import sqlalchemy as sa

from deploy import synthetic
from services.review.models import Decision
from shared.audit.trail import AuditEntry
from shared.messaging.tables import OutboxMessage
from tests.integration.review.desk import Application, Desk
from tests.support.sql import statements


async def decide(client: httpx2.AsyncClient, action: str, *rows: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    response = await client.post("/decisions", json={"action": action, "items": rows, **more})
    assert response.status_code == 200, response.text
    results: list[dict[str, Any]] = response.json()["results"]
    return results


async def outbox(desk: Desk) -> list[dict[str, Any]]:
    async with desk.container.database.transaction() as session:
        rows = await session.scalars(sa.select(OutboxMessage.envelope).order_by(OutboxMessage.id))
        return [json.loads(row) for row in rows]


async def test_accepted_decision_is_said_and_audited(desk: Desk) -> None:
    application = Application(desk.container)
    await desk.hear(application.submitted())
    client = await desk.as_role("reviewer")
    results = await decide(
        client, "reject", application.seen(decision_no=0), reason_code="letter_unsealed", comment="请补盖公章"
    )
    assert results == [{"application_id": str(application.id), "outcome": "accepted"}]
    (envelope,) = await outbox(desk)
    assert envelope["type"] == "review.rejected"
    data = envelope["data"]
    assert (data["revision"], data["decision_no"], data["reviewer"]) == (1, 0, "姓名reviewer")
    assert (data["reason_code"], data["reason_label"]) == ("letter_unsealed", "承诺书未加盖换证公章")
    assert (data["reason_field"], data["comment"]) == ("commitment-letter", "请补盖公章")
    (entry,) = await desk.audit(action="reject")
    assert (entry["actor"], entry["subject"], entry["action_label"]) == (
        "姓名reviewer",
        str(application.id),
        "审核驳回",
    )
    assert entry["detail"] == {
        "outcome": "accepted",
        "decision_id": data["decision_id"],
        "revision": 1,
        "reason_code": "letter_unsealed",
    }
    (item,) = (await client.get("/items")).json()["items"]
    assert (item["decision_pending"], item["status"], item["actions"]) == (True, "pending_review", [])


async def test_each_row_has_its_own_answer(desk: Desk) -> None:
    good, approved, cancelled, resubmitted, asked = (Application(desk.container, n) for n in range(5))
    await desk.hear(*(a.submitted() for a in (good, approved, cancelled, resubmitted, asked)))
    await desk.hear(approved.approved(), cancelled.cancelled(), resubmitted.rejected())
    old = resubmitted.seen()
    await desk.hear(resubmitted.submitted())
    client = await desk.as_role("reviewer")
    await decide(client, "approve", asked.seen())
    unknown = {"application_id": str(uuid4()), "revision": 1}

    rows = [approved.seen(), good.seen(), cancelled.seen(), old, asked.seen(), unknown, good.seen()]
    results = await decide(client, "approve", *rows)
    assert [result["application_id"] for result in results] == [row["application_id"] for row in rows]
    assert [(result.get("code"), result.get("detail")) for result in results] == [
        ("wrong_state", "已由他人通过"),
        (None, None),
        ("wrong_state", "企业已撤销该申请"),
        ("stale_revision", "该申请已有更新，请刷新后重新审核"),
        ("already_decided", "姓名reviewer已提交审核决定，正在处理"),
        ("item_not_found", "未找到该申请"),
        ("duplicate_item", "同一申请在本次提交中重复出现"),
    ]
    assert Counter(result["outcome"] for result in results) == {"accepted": 1, "refused": 6}
    assert [e["data"]["application_id"] for e in await outbox(desk)] == [str(asked.id), str(good.id)]
    audited = await desk.audit(action="approve")
    assert Counter(entry["detail"].get("code", "accepted") for entry in audited) == {
        "accepted": 2,
        "wrong_state": 2,
        "stale_revision": 1,
        "already_decided": 1,
        "item_not_found": 1,
        "duplicate_item": 1,
    }


async def test_stale_decision_no(desk: Desk) -> None:
    application = Application(desk.container)
    await desk.hear(application.submitted(), application.approved(), application.withdrawn())
    client = await desk.as_role("reviewer")
    (result,) = await decide(client, "approve", application.seen(decision_no=0))
    assert result["code"] == "stale_revision"
    (result,) = await decide(client, "approve", application.seen(decision_no=2))
    assert result["outcome"] == "accepted"


async def test_withdrawal_names_who_approved(desk: Desk) -> None:
    application = Application(desk.container)
    await desk.hear(application.submitted())
    client = await desk.as_role("reviewer")
    (result,) = await decide(client, "withdraw", application.seen(), reason_code="approved_in_error")
    assert (result["code"], result["detail"]) == ("wrong_state", "该申请尚未审核通过，不能撤回")
    await decide(client, "approve", application.seen())
    await desk.hear(application.approved(UUID((await outbox(desk))[0]["data"]["decision_id"])))
    other = await desk.as_role("reviewer", username="other")
    (result,) = await decide(other, "approve", application.seen())
    assert (result["code"], result["detail"]) == ("wrong_state", "已由姓名reviewer通过")
    (result,) = await decide(other, "withdraw", application.seen(), reason_code="approved_in_error")
    assert result["outcome"] == "accepted"
    assert (await outbox(desk))[-1]["type"] == "review.approval_withdrawn"


async def test_refused_decision_shows_and_frees_the_item(desk: Desk) -> None:
    application = Application(desk.container)
    await desk.hear(application.submitted())
    client = await desk.as_role("reviewer")
    await decide(client, "approve", application.seen())
    decision_id = UUID((await outbox(desk))[0]["data"]["decision_id"])
    await desk.hear(application.refused(decision_id, code="three_certificates"))
    item = (await client.get(f"/items/{application.id}")).json()
    assert (item["decision_pending"], item["refusal"]["code"]) == (False, "three_certificates")
    assert [(d["outcome"], d["outcome_code"]) for d in item["decisions"]] == [("refused", "three_certificates")]
    (result,) = await decide(client, "reject", application.seen(), reason_code="other", comment="已持三本证书")
    assert result["outcome"] == "accepted"
    item = (await client.get(f"/items/{application.id}")).json()
    assert {d["outcome"] for d in item["decisions"]} == {"asked", "refused"}


@pytest.mark.parametrize(
    ("action", "more", "code"),
    [
        ("reject", {}, "reason_required"),
        ("withdraw", {}, "reason_required"),
        ("reject", {"reason_code": "bad_mood"}, "unknown_reason"),
        ("reject", {"reason_code": "approved_in_error"}, "unknown_reason"),
        ("withdraw", {"reason_code": "letter_unsigned"}, "unknown_reason"),
        ("approve", {"reason_code": "other", "comment": "好"}, "unknown_reason"),
        ("reject", {"reason_code": "other"}, "comment_required"),
        ("reject", {"reason_code": "other", "comment": f"号码 {synthetic.id_number()}"}, "id_number_in_comment"),
        ("reject", {"reason_code": "letter_unsigned", "comment": "长" * 501}, "invalid_request"),
    ],
)
async def test_bad_reasons(desk: Desk, action: str, more: dict[str, str], code: str) -> None:
    application = Application(desk.container)
    await desk.hear(application.submitted())
    client = await desk.as_role("reviewer")
    response = await client.post("/decisions", json={"action": action, "items": [application.seen()], **more})
    assert (response.status_code, response.json()["code"]) == (422, code)
    assert synthetic.id_number() not in response.text
    assert await outbox(desk) == []


@pytest.mark.parametrize("count", [0, 501])
async def test_batch_limits(desk: Desk, count: int) -> None:
    client = await desk.as_role("reviewer")
    rows = [{"application_id": str(uuid4()), "revision": 1} for _ in range(count)]
    assert (await client.post("/decisions", json={"action": "approve", "items": rows})).status_code == 422


async def test_only_reviewers_decide(desk: Desk) -> None:
    client = await desk.as_role("admin", "registrar")
    rows = [{"application_id": str(uuid4()), "revision": 1}]
    assert (await client.post("/decisions", json={"action": "approve", "items": rows})).status_code == 403


async def test_reviewers_at_once_never_both_decide(desk: Desk) -> None:
    clients = [await desk.as_role("reviewer", username=f"reviewer{n}") for n in range(4)]
    rejection = {"reason_code": "other", "comment": "材料不全"}
    for _ in range(15):
        applications = [Application(desk.container, n) for n in range(3)]
        await desk.hear(*(application.submitted() for application in applications))
        rows = [application.seen() for application in applications]
        answers = await asyncio.gather(
            decide(clients[0], "approve", *rows),
            decide(clients[1], "reject", *rows[::-1], **rejection),
            decide(clients[2], "approve", *rows[1:], rows[0]),
            decide(clients[3], "reject", *rows, **rejection),
        )
        results = [result for answer in answers for result in answer]
        accepted = Counter(result["application_id"] for result in results if result["outcome"] == "accepted")
        assert accepted == {str(application.id): 1 for application in applications}
        assert {result.get("code") for result in results} == {None, "already_decided"}


async def test_database_itself_refuses_a_second_decision(desk: Desk) -> None:
    def row(outcome: str) -> Decision:
        return Decision(
            id=uuid4(),
            application_id=UUID(int=1),
            revision=1,
            decision_no=0,
            action="approve",
            reviewer_id=uuid4(),
            reviewer_name="王芳",
            decided_at=desk.clock.now(),
            outcome=outcome,
        )

    async with desk.container.database.transaction() as session:
        session.add_all([row("refused"), row("refused"), row("accepted")])
    with pytest.raises(sa.exc.IntegrityError):
        async with desk.container.database.transaction() as session:
            session.add(row("asked"))


async def test_statements_do_not_grow_with_the_batch(desk: Desk) -> None:
    client = await desk.as_role("reviewer")

    async def statements_for(count: int) -> int:
        applications = [Application(desk.container, n) for n in range(count)]
        await desk.hear(*(application.submitted() for application in applications))
        rows = [application.seen() for application in applications]
        with statements(desk.container.database, unrolled=True) as sent:
            results = await decide(client, "approve", *rows, *rows[: count // 10])
        assert sum(result["outcome"] == "accepted" for result in results) == count
        return len(sent)

    few, many = await statements_for(10), await statements_for(450)
    assert few == many < 12
    async with desk.container.database.transaction() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(Decision)) == 460
        audited = sa.select(sa.func.count()).select_from(AuditEntry).where(AuditEntry.action == "approve")
        assert await session.scalar(audited) == 460 + 46


async def test_same_idempotency_key_gives_the_first_answer(desk: Desk) -> None:
    application = Application(desk.container)
    await desk.hear(application.submitted())
    client = await desk.as_role("reviewer")
    body = {"action": "approve", "items": [application.seen()]}
    first = await client.post("/decisions", json=body, headers={"Idempotency-Key": "press-once"})
    again = await client.post("/decisions", json=body, headers={"Idempotency-Key": "press-once"})
    assert first.json() == again.json()
    assert again.json()["results"][0]["outcome"] == "accepted"
    assert len(await outbox(desk)) == 1
