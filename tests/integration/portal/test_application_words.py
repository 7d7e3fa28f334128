"""What an application's page says of states that take more than a click to bring about."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.integration.portal.applying import (
    FRAGMENT,
    SAVE,
    picture,
)
from tests.integration.portal.gateway import browser_before

APPLICATION = "0c0ffee0-0000-4000-8000-000000000000"
ACCESS = {
    "access_token": "token",
    "expires_in": 600,
    "must_change_password": False,
    "account": {"id": APPLICATION, "name": "南昌一零企业", "roles": ["enterprise"]},
    "seal_key": "key",
}


def entry(change_no: int, action: str, actor: str = "platform", **members: Any) -> dict[str, Any]:
    nothing = dict.fromkeys(("reason_code", "reason_label", "reason_field", "comment", "certificate_number"))
    state = {"status": "draft", "status_label": "状态", "revision": 1, "decision_no": 0}
    return {**nothing, **state, "change_no": change_no, "at": NOW, "action": action, "actor": actor, **members}


NOW = "2026-03-02T01:00:00Z"


def application(status: str, *history: dict[str, Any], **members: Any) -> dict[str, Any]:
    reason = ("reason_code", "reason_label", "reason_field", "comment", "corrected")
    optional = (*reason, "certificate_number", "numbering_failure", "submitted_at")
    own = {
        "id": APPLICATION,
        "application_number": "HZ00000001",
        "status": status,
        "status_label": "状态",
        "revision": 1,
        "decision_no": 0,
    }
    times = {"added_at": NOW, "updated_at": NOW}
    person = {"name": "赵安宁", "id_number_masked": "3601**********0009", "post": "10", "post_name": "土建施工员"}
    return {**dict.fromkeys(optional), **own, **person, **times, "images": [], "history": history, **members}


def answering(*answers: httpx2.Response) -> Callable[[httpx2.Request], httpx2.Response]:
    """A gateway that knows the session and gives these answers in turn."""
    left = iter(answers)
    return lambda request: (
        httpx2.Response(200, json=ACCESS) if request.url.path.endswith("/browser-sessions/access") else next(left)
    )


class TestWords:
    """What takes more than a click to bring about."""

    @pytest.mark.parametrize(
        ("shown", "words", "going_on"),
        [
            (
                application(
                    "approved", entry(2, "numbering_failed", comment="位数已用完"), numbering_failure="位数已用完"
                ),
                ("平台暂时未能编号", "您不需要操作", "平台：自动编号未成功，等待平台处理。说明：位数已用完"),
                True,
            ),
            (
                application(
                    "pending_review",
                    entry(3, "number_voided", comment="00707100000001"),
                    entry(2, "withdraw", "某审核员", reason_label="审核有误", comment="请等待"),
                    reason_label="审核有误",
                    submitted_at=NOW,
                ),
                (
                    "原审核结果已撤回",
                    "省级管理部门：撤回资质审核，重新等待审核。原因：审核有误",
                    "作废（00707100000001）",
                ),
                True,
            ),
            (
                application(
                    "pending_review",
                    entry(2, "decision_refused", "某审核员", comment="年龄已超过"),
                    entry(3, "some_day"),
                    submitted_at=NOW,
                ),
                ("审核决定未生效。说明：年龄已超过", "2026-03-02 09:00:00", "some_day"),
                True,
            ),
            (application("cancelled"), ("申请已撤销，不再办理", "重新添加"), False),
        ],
    )
    async def test_of_every_state(self, shown: dict[str, Any], words: tuple[str, ...], going_on: bool) -> None:
        async with browser_before(answering(httpx2.Response(200, json=shown))) as browser:
            browser.client.cookies.set("sid", "e.session", domain="localhost.local", path="/")
            page = await browser.get(f"/applications/{APPLICATION}/status", headers=FRAGMENT)
        assert all(word in page.text for word in words), page.text
        assert "某审核员" not in page.text
        assert (page.response.headers.get("X-Live") != "done") is going_on

    @pytest.mark.parametrize(("corrected", "named"), [(False, True), (True, False), (None, False)])
    async def test_what_to_correct_is_what_the_api_says(self, corrected: bool | None, named: bool) -> None:
        reason = {"reason_code": "of_tomorrow", "reason_label": "照片反光", "reason_field": "id-back"}
        shown = application("rejected", entry(2, "reject", "某审核员", **reason), **reason, corrected=corrected)
        async with browser_before(answering(httpx2.Response(200, json=shown))) as browser:
            browser.client.cookies.set("sid", "e.session", domain="localhost.local", path="/")
            page = await browser.get(f"/applications/{APPLICATION}/status", headers=FRAGMENT)
        assert "驳回原因：照片反光" in page.text
        assert ('<a href="#slot-id-back">身份证反面照片</a>' in page.html) is named

    async def test_a_link_to_a_picture_is_passed_on(self) -> None:
        link = httpx2.Response(307, headers={"Location": "https://pictures.example/signed"})
        async with browser_before(answering(link)) as browser:
            browser.client.cookies.set("sid", "e.session", domain="localhost.local", path="/")
            answer = await browser.client.get(f"/applications/{APPLICATION}/images/id-front")
        assert answer.status_code == 307
        assert answer.headers["location"] == "https://pictures.example/signed"

    async def test_a_store_that_is_away_is_said_beside_the_slot(self) -> None:
        away = httpx2.Response(503, json={"code": "unavailable", "detail": "图片存储暂时不可用，请稍后重新上传"})
        shown = httpx2.Response(200, json=application("draft", entry(1, "create", "enterprise")))
        post = {"code": "10", "name": "土建施工员", "eligible": True, "reasons": []}
        person = {"name": "赵安宁", "id_number_masked": "3601**********0009", "sex": "male", "birth_date": "1990-01-01"}
        check = httpx2.Response(200, json={"eligible": True, "person": person, "reasons": [], "posts": [post]})
        saved = httpx2.Response(200, json={})
        async with browser_before(answering(shown, check, saved, away, shown, check)) as browser:
            browser.client.cookies.set("sid", "e.session", domain="localhost.local", path="/")
            page = await browser.get(f"/applications/{APPLICATION}")
            page = await browser.send(page, page.path, SAVE, files=picture(0, "id-front"))
        assert page.status == 503
        assert "图片存储暂时不可用" in page.html[page.html.index('id="slot-id-front"') :].split("</section>")[0]
