"""GET /audit of the desk: by what people know, in one indexed query, however long the trail."""

import re
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from services.review.schemas import AuditSearch
from services.review.service import trail
from shared.audit.trail import AuditEntry
from shared.web.pagination import PageRequest, keyset
from tests.integration.review.desk import Application, Desk


async def test_finds_entries_of_the_version_before_and_names_them(desk: Desk) -> None:
    """Their rows never change: what finds them is read from what they have."""
    application = Application(desk.container, 7, name="欧阳寻", enterprise_name="南昌寻找有限公司")
    await desk.hear(application.submitted())
    reviewer = await desk.as_role("reviewer")
    await reviewer.get(f"/items/{application.id}")
    (entry,) = await desk.audit(application_number="hz 00000007")
    assert (entry["action"], entry["subject"]) == ("id_number_revealed", str(application.id))
    assert entry["subject_label"] == "HZ00000007 欧** 南昌寻找有限公司"
    assert entry["detail"] == {}
    for filters in (
        {"application_number": "7"},
        {"name": "阳寻"},
        {"id_number": application.id_number},
        {"enterprise": "寻找", "account": "REVIEWER"},
        {"enterprise_id": str(application.state["enterprise_id"])},
        {"subject": str(application.id)},
    ):
        assert await desk.audit(**filters) == [entry], filters
    for filters in (
        {"application_number": "8"},
        {"name": "寻阳"},
        {"name": "阳寻", "account": "admin"},
        {"enterprise_id": str(uuid4())},
    ):
        assert await desk.audit(**filters) == [], filters


async def test_a_page_holds_what_was_done_by_and_to_an_account_once(desk: Desk) -> None:
    """Both are asked for by themselves, and come together in the order of time."""
    admin = await desk.as_role("admin")
    for _ in range(3):
        desk.clock.advance(seconds=1)
        await desk.log_in("admin", "wrong password")
        desk.clock.advance(seconds=1)
        await desk.log_in("admin")
    every = await desk.audit(account="admin")
    assert [entry["at"] for entry in every] == sorted((entry["at"] for entry in every), reverse=True)
    assert {entry["action"] for entry in every} >= {"log_in", "log_in_failed"}
    assert {entry["subject_label"] for entry in every} == {"姓名admin（admin）"}
    paged: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await admin.get("/audit", params={"account": "admin", "limit": "2", **cursor})).json()
        paged += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert paged == every


async def explain(session: AsyncSession, condition: sa.ColumnElement[bool]) -> str:
    await session.execute(sa.text("SET LOCAL plan_cache_mode = force_custom_plan"))
    page = PageRequest(20, None)
    statement = keyset(sa.select(AuditEntry).where(condition), page, AuditEntry.at, AuditEntry.id)
    compiled = statement.compile(dialect=session.get_bind().dialect, compile_kwargs={"literal_binds": True})
    return "\n".join((await session.scalars(sa.text(f"EXPLAIN {str(compiled).replace(':', chr(92) + ':')}"))).all())


@pytest.mark.parametrize(
    "search",
    [
        {"account": "someone"},
        {"application_number": "HZ00000007"},
        {"id_number_index": "index 7"},
        {"name": "稀寻"},
        {"enterprise": "稀有"},
        {"enterprise_id": UUID(int=7)},
        {"name": "王"},
    ],
    ids=" ".join,
)
async def test_no_search_reads_the_whole_trail(desk: Desk, search: dict[str, Any]) -> None:
    async with desk.container.database.transaction() as session:
        await session.execute(
            sa.text(
                """
                INSERT INTO items (application_id, change_no, revision, decision_no, application_number, status, name,
                    person, id_number_index, enterprise_id, enterprise_name, post, post_name, images, added_at)
                SELECT gen_random_uuid(), 1, 1, 0, 'HZ' || lpad(n::text, 8, '0'), 'pending_review',
                    CASE n WHEN 7 THEN '稀寻' ELSE substr('王李张刘陈杨黄赵吴周', n % 10 + 1, 1) || '某' END, '',
                    'index ' || n, gen_random_uuid(), CASE n WHEN 7 THEN '稀有企业' ELSE '南昌企业' END, '10', '岗位',
                    '[]', now()
                FROM generate_series(1, 5000) n
                """.replace(":", "\\:")
            )
        )
        await session.execute(
            sa.text(
                """
                INSERT INTO audit (id, at, actor_id, actor_name, action, subject, detail)
                SELECT gen_random_uuid(), now(), gen_random_uuid(), '某人', 'approve', application_id, '{}'
                FROM items, generate_series(1, 4)
                """
            )
        )
        await session.execute(sa.text("ANALYZE items, name_fragments, enterprise_names"))
        await session.execute(sa.text("ANALYZE audit"))
        for condition in trail.narrow(AuditSearch(**search)):
            plan = await explain(session, condition)
            assert not re.search("Seq Scan on (audit|items)", plan), plan
