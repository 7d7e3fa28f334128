"""The dashboard's figures."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from services.review.models import Decision
from tests.integration.review.desk import Application, Desk
from tests.integration.review.test_decisions import decide
from tests.support.clock import START
from tests.support.sql import statements


async def figures(desk: Desk, **query: str) -> dict[str, Any]:
    client = await desk.as_role("reviewer")
    response = await client.get("/statistics", params=query)
    assert response.status_code == 200, response.text
    result: dict[str, Any] = response.json()
    return result


async def decided(desk: Desk, *decisions: tuple[datetime, str, str | None], outcome: str = "accepted") -> None:
    async with desk.container.database.transaction() as session:
        for at, action, reason in decisions:
            session.add(
                Decision(
                    id=uuid4(),
                    application_id=uuid4(),
                    revision=1,
                    decision_no=0,
                    action=action,
                    reviewer_id=uuid4(),
                    reviewer_name="某某",
                    reason_code=reason,
                    decided_at=at,
                    outcome=outcome,
                )
            )


async def test_nothing_yet(desk: Desk) -> None:
    assert await figures(desk, days="2") == {
        "waiting": [
            {"from_days": 0, "to_days": 1, "count": 0},
            {"from_days": 1, "to_days": 3, "count": 0},
            {"from_days": 3, "to_days": 7, "count": 0},
            {"from_days": 7, "to_days": 15, "count": 0},
            {"from_days": 15, "to_days": None, "count": 0},
        ],
        "waiting_total": 0,
        "oldest_waiting_at": None,
        "decided": [
            {"day": "2026-03-01", "approved": 0, "rejected": 0, "withdrawn": 0},
            {"day": "2026-03-02", "approved": 0, "rejected": 0, "withdrawn": 0},
        ],
        "reasons": [],
    }
    assert len((await figures(desk))["decided"]) == 30


async def test_what_waits_by_age(desk: Desk) -> None:
    ages = [0.0, 0.9, 1.1, 3.5, 6.9, 7.1, 14.9, 15.1, 400]
    waiting = [Application(desk.container, n) for n in range(len(ages))]
    await desk.hear(
        *(a.submitted(submitted_at=START - timedelta(days=age)) for a, age in zip(waiting, ages, strict=True))
    )
    done = [Application(desk.container, n) for n in range(20, 23)]
    await desk.hear(*(a.submitted(submitted_at=START - timedelta(days=500)) for a in done))
    await desk.hear(done[0].approved(), done[1].rejected(), done[2].cancelled())
    result = await figures(desk)
    assert [row["count"] for row in result["waiting"]] == [2, 1, 2, 2, 2]
    assert result["waiting_total"] == len(ages)
    assert datetime.fromisoformat(result["oldest_waiting_at"]) == START - timedelta(days=400)


async def test_what_was_decided_by_day_in_shanghai(desk: Desk) -> None:
    midnight = START.replace(hour=16) - timedelta(days=1)  # 2 March begins in Shanghai
    moment = timedelta(microseconds=1)
    await decided(
        desk,
        (midnight, "approve", None),
        (midnight + timedelta(hours=9), "approve", None),
        (midnight - moment, "approve", None),
        (midnight - moment, "reject", "other"),
        (midnight - timedelta(days=1), "reject", "letter_unsigned"),
        (midnight, "reject", "letter_unsigned"),
        (midnight, "withdraw", "approved_in_error"),
        (midnight - timedelta(days=1) - moment, "reject", "id_expired"),  # before the window
    )
    await decided(desk, (midnight, "approve", None), (midnight, "reject", "other"), outcome="refused")
    result = await figures(desk, days="2")
    assert result["decided"] == [
        {"day": "2026-03-01", "approved": 1, "rejected": 2, "withdrawn": 0},
        {"day": "2026-03-02", "approved": 2, "rejected": 1, "withdrawn": 1},
    ]
    assert result["reasons"] == [
        {"code": "letter_unsigned", "label": "承诺书未签字", "count": 2},
        {"code": "other", "label": "其他原因", "count": 1},
    ]
    assert {"code": "id_expired", "label": "身份证已过有效期", "count": 1} in (await figures(desk))["reasons"]


async def test_a_decision_counts_until_it_is_refused(desk: Desk) -> None:
    application = Application(desk.container)
    await desk.hear(application.submitted())
    client = await desk.as_role("reviewer")
    await decide(client, "reject", application.seen(), reason_code="letter_unsigned")
    (today,) = (await figures(desk, days="1"))["decided"]
    assert today["rejected"] == 1
    (decision,) = (await client.get(f"/items/{application.id}")).json()["decisions"]
    await desk.hear(application.refused(decision["id"]))
    (today,) = (await figures(desk, days="1"))["decided"]
    assert today["rejected"] == 0


async def test_two_aggregates_whatever_the_window(desk: Desk) -> None:
    await desk.as_role("reviewer")
    with statements(desk.container.database, unrolled=True) as sent:
        await figures(desk, days="90")
    assert len([statement for statement in sent if "GROUP BY" in statement]) == 2
    assert len(sent) <= 4


@pytest.mark.parametrize("days", ["0", "91", "x"])
async def test_windows_out_of_bounds(desk: Desk, days: str) -> None:
    client = await desk.as_role("reviewer")
    response = await client.get("/statistics", params={"days": days})
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
