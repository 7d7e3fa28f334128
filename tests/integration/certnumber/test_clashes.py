"""A series that would print numbers of others is refused when it is saved; what was saved before is shown."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from services.certnumber import views
from services.certnumber.container import CertnumberContainer
from services.certnumber.errors import SeriesClash
from services.certnumber.schemas import SeriesDraft, SeriesPreview, SeriesRead
from services.certnumber.service import series
from shared.messaging import Consumer
from shared.web.pagination import PageRequest
from tests.integration.certnumber.test_numbering import add_series, approve, change_series, save_anyway
from tests.support.events import message
from tests.support.numbering import approved, assign, deliver, fetch, withdrawn

DEFAULT = UUID("00000000-0000-4000-8000-000000000707")
# The default series prints the same for the posts it serves.
LIKE_THE_DEFAULT = "0070730{serial:07}"


async def read(container: CertnumberContainer) -> dict[UUID, SeriesRead]:
    async with container.database.transaction() as session:
        rows, _ = await series.list_series(container, session, PageRequest(100, None))
        return {row.series.id: views.series(row, container.clock.now()) for row in rows}


async def preview(container: CertnumberContainer, **values: Any) -> SeriesPreview:
    async with container.database.transaction() as session:
        draft = SeriesDraft.model_validate({"name": "草稿", **values})
        found = await series.preview_series(container, session, draft)
        return views.preview(found, container.clock.now())


async def test_with_another_active_series(container: CertnumberContainer) -> None:
    with pytest.raises(SeriesClash) as refused:
        await add_series(container, LIKE_THE_DEFAULT, ["20"])
    problem = refused.value
    assert (problem.code, problem.members["number"], problem.members["series"]) == (
        "series_clash",
        "00707300000001",
        "默认编号",
    )
    assert problem.members["series_id"] == DEFAULT
    (error,) = problem.members["errors"]
    assert (error["field"], error["message"]) == ("layout", problem.detail)
    for words in ("00707300000001", "“默认编号”", "请修改编号格式"):
        assert words in problem.detail
    # The default does not serve 30 once another series does.
    thirty = await add_series(container, LIKE_THE_DEFAULT, ["30"])
    spare = await add_series(container, LIKE_THE_DEFAULT, ["20"], active=False)
    with pytest.raises(SeriesClash):
        await change_series(container, spare, active=True)
    await change_series(container, spare, layout="别{serial:03}", active=True)
    with pytest.raises(SeriesClash):
        await change_series(container, spare, layout=LIKE_THE_DEFAULT)
    await change_series(container, thirty, layout="新{serial:03}")
    # As it was: what the default now prints for 30 is nobody's.
    await change_series(container, thirty, active=False)


async def test_what_a_series_leaves_to_the_default_one(
    consumer: Consumer, container: CertnumberContainer, engine: sa.Engine
) -> None:
    thirty = await add_series(container, LIKE_THE_DEFAULT, ["30"])
    await approve(consumer, 2, "30")
    assign(engine)
    for change in ({"active": False}, {"posts": ["31"], "layout": "新{serial:03}"}):
        with pytest.raises(SeriesClash) as refused:
            await change_series(container, thirty, **change)
        (error,) = refused.value.members["errors"]
        assert error["field"] == "posts"
        assert "默认规则“默认编号”会生成编号 0070730000000" in error["message"]
        assert "已经发出" in error["message"]
    await approve(consumer, 3, "10")
    assign(engine)
    # The default's serials are past those numbers now.
    await change_series(container, thirty, active=False)
    assert (await read(container))[thirty].active is False


async def test_with_numbers_of_the_ledger(
    consumer: Consumer, container: CertnumberContainer, engine: sa.Engine
) -> None:
    first = await add_series(container, "甲（{year}）{serial:03}", ["20"])
    (application, *_) = await approve(consumer, 3, "20", datetime(2026, 5, 1, tzinfo=UTC))
    assign(engine)
    await deliver(consumer, [message(withdrawn(application, post="20"))])
    await change_series(container, first, active=False)
    with pytest.raises(SeriesClash) as refused:
        await add_series(container, "甲({year})00{serial:01}", ["21"], yearly=True)
    assert refused.value.members["number"].startswith("甲（2026）00")
    assert "已经发出" in refused.value.detail
    # Its own numbers, given and void, are behind it.
    await change_series(container, first, active=True)
    await change_series(container, first, layout="甲（{year}）0{serial:02}")
    with pytest.raises(SeriesClash):
        await add_series(container, "甲（2026）{serial:03}", ["22"])


async def test_with_certificates_of_the_registry(
    consumer: Consumer, container: CertnumberContainer, engine: sa.Engine
) -> None:
    event = approved(uuid4(), post="10").model_copy(update={"replaces": "赣建安Ｃ0042"})
    await deliver(consumer, [message(event)])
    with pytest.raises(SeriesClash) as refused:
        await add_series(container, "赣建安C{serial:04}", ["20"])
    assert refused.value.members["number"] == "赣建安Ｃ0042"
    assert "平台数据中已有证书" in refused.value.detail
    assign(engine)
    with pytest.raises(SeriesClash):
        await add_series(container, "赣建安C{serial:04}", ["20"])
    await add_series(container, "赣建安C{serial:05}", ["20"])


async def test_a_name_changes_whatever_was_saved_before(
    consumer: Consumer, container: CertnumberContainer, engine: sa.Engine
) -> None:
    old = await save_anyway(container, LIKE_THE_DEFAULT, ["20"])
    await change_series(container, old, name="改了名")
    found = await read(container)
    clash = found[old].clash
    assert clash is not None
    assert (found[old].name, clash.number, clash.series_id, clash.series) == (
        "改了名",
        "00707300000001",
        DEFAULT,
        "默认编号",
    )
    assert (found[old].failed, found[DEFAULT].failed) == (0, 0)
    mirrored = found[DEFAULT].clash
    assert mirrored is not None
    assert mirrored.series_id == old
    await approve(consumer, 1, "30")
    await approve(consumer, 2, "20", datetime(2026, 6, 1, tzinfo=UTC))
    assign(engine)
    assert (await read(container))[old].failed == 2
    await change_series(container, old, layout="改{serial:03}")
    found = await read(container)
    assert [(found[which].clash, found[which].failed) for which in (old, DEFAULT)] == [(None, 0), (None, 0)]
    assert found[old].counters[0].last == 2


async def test_like_patterns_are_taken_literally(
    consumer: Consumer, container: CertnumberContainer, engine: sa.Engine
) -> None:
    await add_series(container, "AxB{serial:02}", ["20"])
    await approve(consumer, 1, "20")
    assign(engine)
    await add_series(container, "A_B{serial:02}", ["21"])
    await add_series(container, "A%{serial:03}", ["22"])
    await add_series(container, "A\\B{serial:02}", ["23"])
    assert len(await fetch(container.database, "SELECT id FROM series WHERE active")) == 5


async def test_a_preview_shows_the_next_numbers_and_saves_nothing(
    consumer: Consumer, container: CertnumberContainer, engine: sa.Engine
) -> None:
    await approve(consumer, 2)
    assign(engine)
    shown = await preview(container, layout="{post}-{serial:02}", series_id=DEFAULT)
    assert (shown.post, shown.numbers, shown.refusal) == ("10", ["10-03", "10-04", "10-05"], None)
    shown = await preview(container, layout="{post}-{serial:01}", posts=["21"])
    assert (shown.post, shown.numbers, shown.capacity) == ("21", ["21-1", "21-2", "21-3"], 9)
    shown = await preview(container, layout=LIKE_THE_DEFAULT, posts=["20"])
    assert shown.refusal is not None
    assert (shown.refusal.code, shown.refusal.field) == ("series_clash", "layout")
    assert "默认编号" in shown.refusal.detail
    shown = await preview(container, layout="乙{serial:02}")
    assert shown.refusal is not None
    assert (shown.refusal.code, shown.refusal.field) == ("series_conflict", "posts")
    assert list(await read(container)) == [DEFAULT]
    assert (await read(container))[DEFAULT].layout == "00707{post}{serial:07}"


async def test_with_one_whose_numbers_a_query_would_take_for_its_own(container: CertnumberContainer) -> None:
    await add_series(container, "Z2026-{serial:03}", ["20"])
    with pytest.raises(SeriesClash) as refused:
        await add_series(container, "z2026—{serial:03}", ["30"])
    assert refused.value.members["number"] == "z2026—001"
    await add_series(container, "z2027—{serial:03}", ["30"])


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("Z2026-{serial:03}", "z2026—{serial:03}"),
        ("赣建安C（2026）{serial:04}", "赣建安c[2026]{serial:04}"),
        ("ZⅡ·{serial:03}", "zii•{serial:03}"),
        ("乙 第{serial:03}号", "乙第{serial:03}号"),
        ("丙○{serial:03}", "丙〇{serial:03}"),
    ],
)
async def test_with_numbers_that_a_query_would_take_for_its_own(
    consumer: Consumer, container: CertnumberContainer, engine: sa.Engine, given: str, asked: str
) -> None:
    first = await add_series(container, given, ["20"])
    await approve(consumer, 1, "20")
    assign(engine)
    await change_series(container, first, active=False)
    with pytest.raises(SeriesClash) as refused:
        await add_series(container, asked, ["21"])
    number = given.replace("{serial:03}", "001").replace("{serial:04}", "0001")
    assert refused.value.members["number"] == number
    assert "已经发出" in refused.value.detail
    # The series may print on behind its own numbers, in another writing too.
    await change_series(container, first, active=True, layout=asked)


async def test_with_certificates_of_the_registry_in_another_writing(
    consumer: Consumer, container: CertnumberContainer
) -> None:
    event = approved(uuid4(), post="10").model_copy(update={"replaces": "赣建安C（2021）—0042"})
    await deliver(consumer, [message(event)])
    with pytest.raises(SeriesClash) as refused:
        await add_series(container, "赣建安c〔2021〕-{serial:04}", ["20"])
    assert "平台数据中已有证书" in refused.value.detail
    await add_series(container, "赣建安c〔2022〕-{serial:04}", ["20"])
