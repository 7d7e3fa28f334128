"""One application at the review desk, in a browser without script."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from services.portal.gateway import Gateway
from tests.integration.portal.browser import Browser
from tests.integration.portal.desk import LIST, Desk, buttons, find, rows


async def test_shows_everything_with_two_calls(reviewing: Browser, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    one = await desk.add("10", held="30")
    await reviewing.get(f"{LIST}/{one}")
    calls: list[str] = []
    stream = Gateway.stream

    @asynccontextmanager
    async def counted(self: Gateway, method: str, path: str, **request: Any) -> AsyncIterator[httpx2.Response]:
        calls.append(path)
        async with stream(self, method, path, **request) as response:
            yield response

    monkeypatch.setattr(Gateway, "stream", counted)
    page = await reviewing.get(f"{LIST}/{one}")
    assert calls == [
        "/review/v1/browser-sessions/access",
        f"/review/v1/items/{one}",
        f"/review/v1/items/{one}/neighbours",
    ]
    for text in (desk.numbers[0], "1988-01-01", desk.enterprise, "土建施工员", "DESK", "2099-12-31"):
        assert text in page.text
    sources = re.findall(r'<img src="([^"]+)"', page.html)
    assert [source.split("/")[-1] for source in sources] == [
        "id-front?revision=1",
        "id-back?revision=1",
        "commitment-letter?revision=1",
    ]
    picture = await reviewing.get(sources[0])
    assert picture.response.headers["content-type"] == "image/jpeg"
    assert picture.response.headers["cache-control"] == "no-store"
    assert (await reviewing.get(f"{LIST}/{one}/images/passport")).status == 404


async def test_shows_a_kind_of_picture_that_only_later_versions_know(
    reviewing: Browser, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await desk.add()
    stream = Gateway.stream

    @asynccontextmanager
    async def later(self: Gateway, method: str, path: str, **request: Any) -> AsyncIterator[httpx2.Response]:
        async with stream(self, method, path, **request) as response:
            content = (await response.aread()).replace(b'"id-front"', b'"safety-diploma"')
            yield httpx2.Response(response.status_code, content=content, request=response.request)

    monkeypatch.setattr(Gateway, "stream", later)
    page = await reviewing.get(f"{LIST}/{one}")
    assert page.status == 200
    assert re.findall(r"<figcaption>(\S+)", page.html) == ["身份证反面", "承诺书", "safety-diploma"]


async def test_marks_what_changed_since_the_rejection(reviewing: Browser, desk: Desk) -> None:
    one = await desk.add()
    await desk.decided(one, "reject", "rejected", reason_code="other", comment="请更换承诺书")
    await desk.change(one)
    await desk.resubmit(one)
    page = await reviewing.get(f"{LIST}/{one}")
    assert page.html.count("本次已更换") == 1
    assert "已由“土建施工员”改为此岗位" in page.text
    assert "说明：请更换承诺书" in page.text
    letter = f"{LIST}/{one}/images/commitment-letter"
    before, after = [(await reviewing.get(f"{letter}?revision={n}")).response.content for n in (1, 2)]
    assert before != after
    assert f'href="{letter}?revision=1"' in page.html
    assert "与上一次提交相比没有更改" not in page.text


async def test_says_when_nothing_changed_since_the_rejection(reviewing: Browser, desk: Desk) -> None:
    one = await desk.add()
    await desk.decided(one, "reject", "rejected", reason_code="other", comment="请更换承诺书")
    await desk.resubmit(one)
    page = await reviewing.get(f"{LIST}/{one}")
    assert page.text.count("与上一次提交相比没有更改") == 1


async def test_walks_through_the_filtered_list(reviewing: Browser, desk: Desk) -> None:
    for _ in range(3):
        await desk.add()
    page = await find(reviewing, desk)
    (address,) = re.findall(rf'href="([^"]*{desk.ids[0]}[^"]*)"', page.html)
    seen = []
    while address:
        page = await reviewing.get(address.replace("&amp;", "&"))
        seen.append(page.path.split("/")[-1])
        found = re.search(r'href="([^"]+)" accesskey="n"', page.html)
        address = found[1] if found else ""
    assert seen == desk.ids
    assert re.search(rf'href="{LIST}/{desk.ids[1]}[^"]*" accesskey="p"', page.html)


async def test_decides_and_goes_on_to_the_next_waiting_one(reviewing: Browser, desk: Desk) -> None:
    for _ in range(3):
        await desk.add()
    await desk.cancel(desk.ids[1])
    query = (await find(reviewing, desk)).response.url.query.decode()
    page = await reviewing.get(f"{LIST}/{desk.ids[0]}?{query}")
    assert buttons(page) == {"approve", "reject"}
    page = await reviewing.send(page, f"{page.path}/decision", ("action", "approve"))
    assert page.path == f"{LIST}/{desk.ids[2]}"
    assert "已打开下一个申请" in page.text
    await desk.reaches(desk.ids[0], "certified")
    last = await reviewing.send(
        page, f"{page.path}/decision", ("action", "reject"), reason_code="id_expired", comment="请换新证"
    )
    assert last.path == LIST
    assert "没有下一个待处理的申请" in last.text
    item = await desk.reaches(desk.ids[2], "rejected")
    assert item["reason_code"] == "id_expired"
    assert rows(last) == desk.ids


async def test_an_error_keeps_what_was_typed(reviewing: Browser, desk: Desk) -> None:
    one = await desk.add()
    page = await reviewing.get(f"{LIST}/{one}")
    action = f"{page.path}/decision"
    page = await reviewing.send(page, action, ("action", "reject"), reason_code="other", go_on="")
    assert page.status == 422
    assert "错误： 选择“其他原因”时必须填写说明" in page.text
    fields = dict(page.form(action).fields)
    assert fields["reason_code"] == "other"
    assert "go_on" not in fields
    await desk.cancel(one)
    page = await reviewing.send(page, action, ("action", "reject"), comment="照片有误")
    assert page.status == 409
    assert "企业已撤销该申请" in page.text


async def test_stays_and_follows_the_number(reviewing: Browser, desk: Desk) -> None:
    one = await desk.add()
    page = await reviewing.get(f"{LIST}/{one}")
    page = await reviewing.send(page, f"{page.path}/decision", ("action", "approve"), go_on="")
    assert page.path == f"{LIST}/{one}"
    item = await desk.reaches(one, "certified")
    fragment = await reviewing.get(f"{LIST}/{one}/status", params={"at": "1:0:pending_review"})
    assert item["certificate_number"] in fragment.text
    assert "状态已变化" in fragment.text
    assert fragment.response.headers["x-live"] == "done"
    page = await reviewing.get(f"{LIST}/{one}")
    assert "data-live=" not in page.html
    assert buttons(page) == {"withdraw"}
    assert f"证书编号 {item['certificate_number']} 随即作废" in page.text
    page = await reviewing.send(page, f"{page.path}/decision", ("action", "withdraw"), go_on="")
    assert "驳回或撤回时必须选择原因" in page.text
    page = await reviewing.send(page, f"{LIST}/{one}/decision", ("action", "withdraw"), reason_code="other")
    page = await reviewing.send(page, f"{LIST}/{one}/decision", ("action", "withdraw"), comment="核对有误")
    item = await desk.reaches(one, "pending_review")
    assert item["decisions"][0]["comment"] == "核对有误"
    page = await reviewing.get(f"{LIST}/{one}")
    assert "原审核已撤回，须重新审核。原因：其他原因：核对有误" in page.text
    assert "随即作废" not in page.text


async def test_what_does_not_exist_is_not_found(reviewing: Browser) -> None:
    for path in (f"{LIST}/{uuid4()}", f"{LIST}/{uuid4()}/status", f"{LIST}/nothing"):
        assert (await reviewing.get(path)).status == 404
