"""The dashboard and the numbering proof: what the API counts, in words and in a drawing."""

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest

from deploy.journey import decide, desk_item, import_people, submit_application
from deploy.synthetic import id_number
from services.portal.api.certnumber import Proof, SeriesProof
from services.portal.api.review import DayRead, WaitingRead
from services.portal.endpoints.statistics import HEIGHT, chart, scale, span, waiting_label
from tests.integration.portal.browser import Browser, Page
from tests.integration.portal.people import become_reviewer, log_in_reviewer
from tests.support.platform import REVIEWER_PASSWORD, Harness
from tests.support.wait import until


@pytest.fixture
async def platform(embedded: Harness) -> Harness:
    """Its own for each test: they count all that there is."""
    return embedded


def day(back: int, approved: int = 0, rejected: int = 0, withdrawn: int = 0) -> DayRead:
    asked = date(2026, 3, 31) - timedelta(back)
    return DayRead(day=asked, approved=approved, rejected=rejected, withdrawn=withdrawn)


def days(number: int, *last: DayRead) -> list[DayRead]:
    return [day(back) for back in reversed(range(len(last), number))] + list(last)


@pytest.mark.parametrize(("highest", "top"), [(0, 2), (1, 2), (2, 2), (3, 3), (5, 6), (9, 10), (25, 30), (101, 200)])
def test_the_scale_is_round_and_high_enough(highest: int, top: int) -> None:
    assert scale(highest) == top


def test_bars_stand_on_each_other_and_are_as_high_as_their_numbers() -> None:
    (column,) = chart([day(0, approved=5, rejected=3, withdrawn=2)]).columns
    assert [(bar.kind, bar.height) for bar in column.bars] == [
        ("approved", HEIGHT * 0.5),
        ("rejected", HEIGHT * 0.3),
        ("withdrawn", HEIGHT * 0.2),
    ]
    assert [bar.y + bar.height for bar in column.bars] == [HEIGHT, HEIGHT * 0.5, pytest.approx(HEIGHT * 0.2)]
    assert (column.total, column.top) == (10, 0)


@pytest.mark.parametrize("number", [7, 30, 90])
def test_labels_have_room_and_today_has_one(number: int) -> None:
    labels = [column.label for column in chart(days(number, day(0))).columns]
    assert labels[-1] == "03-31"
    assert 7 <= len(list(filter(None, labels))) <= 10


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 秒"), (59, "59 秒"), (60, "1 分钟"), (7199, "1 小时"), (200_000, "2 天")]
)
def test_a_span_is_said_in_its_largest_unit(seconds: int, words: str) -> None:
    assert span(seconds) == words


def test_bands_of_waiting_are_said_in_words() -> None:
    bands = [WaitingRead(from_days=start, to_days=end, count=1) for start, end in ((0, 1), (1, 3), (15, None))]
    assert [waiting_label(band) for band in bands] == ["不满 1 天", "1 天以上，不满 3 天", "15 天以上"]


async def apply(platform: Harness, sequence: int) -> str:
    """The id of an application that the desk can decide."""
    reviewer, enterprise = await platform.reviewer(), await platform.enterprise()
    number = id_number("male", date(1981, 3, 4), sequence)
    await import_people(platform.api, reviewer, [f"{number},陈秋山,,,"])
    application = await submit_application(platform.api, enterprise, number, "10")
    await desk_item(platform.api, reviewer, application["id"], "pending_review", 1)
    return str(application["id"])


async def test_what_was_decided_and_what_waits_shows(browser: Browser, platform: Harness) -> None:
    await become_reviewer(browser, platform)
    empty = await browser.get("/review/statistics")
    for text in ("没有等待审核的申请", "近 30 天没有审核记录", "近 30 天没有驳回"):
        assert text in empty.text
    assert "还没有产生编号" in (await browser.get("/review/proof")).text
    rejected, approved, waiting = [await apply(platform, sequence) for sequence in range(3)]
    reviewer = await platform.reviewer()
    await decide(platform.api, reviewer, "reject", rejected, 1, reason_code="letter_unsealed")
    await decide(platform.api, reviewer, "approve", approved, 1)
    await desk_item(platform.api, reviewer, approved, "certified", 1)

    page = await browser.get("/review/statistics?days=7")
    assert page.status == 200
    for text in (
        "待审核 1",
        "近 7 天通过 1",
        "近 7 天驳回 1",
        "近 7 天撤回 0",
        "不满 1 天 1",
        "承诺书未加盖换证公章 1",
    ):
        assert text in page.text
    assert page.html.count('fill="url(#approved)" stroke="#1d2733" stroke-width') == 1
    assert page.html.count('fill="url(#rejected)" stroke="#1d2733" stroke-width') == 1
    assert "style=" not in page.html

    proof = await browser.get("/review/proof")
    assert "全部编号连续，无断号，无重号" in proof.text
    assert "流水号 1 至 1，共 1 个编号，连续、无断号、无重号" in proof.text
    assert "没有等待编号的申请" in proof.text
    assert waiting not in proof.html


async def test_an_approval_that_no_series_numbers_is_shown(browser: Browser, platform: Harness) -> None:
    await become_reviewer(browser, platform)
    reviewer, application = await platform.reviewer(), await apply(platform, 10)
    (series,) = (await platform.api.call("GET", "certnumber", "/series", token=reviewer))["items"]
    path = f"/series/{series['id']}"
    await platform.api.call("PATCH", "certnumber", path, token=reviewer, json={"active": False})
    await decide(platform.api, reviewer, "approve", application, 1)

    async def failed() -> Page | None:
        page = await browser.get("/review/proof")
        return page if "1 件无法编号" in page.text else None

    proof = await until(failed, what="the proof to tell of the failure")
    assert f'href="/review/items/{application}"' in proof.html
    await platform.api.call("PATCH", "certnumber", path, token=reviewer, json={"active": True})
    await desk_item(platform.api, reviewer, application, "certified", 1)
    assert "没有等待编号的申请" in (await browser.get("/review/proof")).text


async def test_a_gap_is_said_with_the_missing_serials(
    browser: Browser, platform: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await become_reviewer(browser, platform)
    gateway = platform.platform.portal.state.portal.gateway
    series = SeriesProof(
        series_id=uuid4(),
        name="默认编号",
        period=2026,
        count=5,
        highest=7,
        counter=7,
        gaps=2,
        gap_examples=[3, 4],
        duplicates=0,
        void=1,
        valid=4,
        gapless=False,
    )
    proof = Proof(gapless=False, series=[series], waiting=0, failed=0)
    whole = type(gateway).call

    async def call(self: Any, model: Any, method: str, path: str, **request: Any) -> Any:
        return proof if model is Proof else await whole(self, model, method, path, **request)

    monkeypatch.setattr(type(gateway), "call", call)
    page = await browser.get("/review/proof")
    assert "编号不连续或有重复" in page.text
    assert "断号 2 个：3、4" in page.text
    assert "默认编号（2026 年）" in page.text


async def test_other_windows_and_other_people_are_refused(browser: Browser, platform: Harness) -> None:
    await become_reviewer(browser, platform)
    assert (await browser.get("/review/statistics?days=8")).status == 404
    assert (await browser.get("/review/statistics?days=x")).status == 404


async def test_registrars_see_the_proof_only(browser: Browser, platform: Harness) -> None:
    await platform.reviewer("only-registers", ("registrar",))
    await log_in_reviewer(browser, "only-registers", REVIEWER_PASSWORD)
    assert (await browser.get("/review/proof")).status == 200
    assert (await browser.get("/review/statistics")).status == 403
