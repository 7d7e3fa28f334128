"""What anyone sees: the front page, what is published, and the verification of a certificate."""

import re
import secrets
from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import quote

import pytest
import segno

from deploy.journey import application_in, decide, desk_item, import_people, submit_application, wait_for
from deploy.synthetic import id_number
from services.portal.articles import NEWS, NOTICES, POLICIES
from shared.values.clock import business_day
from shared.web.ratelimit import new_limiter
from tests.integration.portal.browser import Browser
from tests.support.platform import Harness

PUBLIC = ("/", "/policies", "/notices", "/news", "/downloads", "/certificates", f"/notices/{NOTICES[0].slug}")
RULES = (
    "该学员如有三本证书不允许换证",
    "该学员不允许同时存在施工员与质量员",
    "女性年龄大于 55 岁不允许换证",
    "男性年龄大于 60 岁不允许换证",
)


@dataclass
class Certified:
    """A person's certificate, and how to do more to the application behind it."""

    platform: Harness
    enterprise: str
    reviewer: str
    person: str
    application: str
    number: str

    async def withdraw(self) -> None:
        item = await desk_item(self.platform.api, self.reviewer, self.application, "certified", 1)
        reason = {"reason_code": "approved_in_error", "comment": "测试撤回"}
        result = await decide(
            self.platform.api, self.reviewer, "withdraw", self.application, item["revision"], **reason
        )
        assert result["outcome"] == "accepted", result
        await self.void()

    async def void(self) -> None:
        path = f"/certificates/{self.number}"
        await wait_for(self.platform.api, "", "certnumber", path, "void", lambda found: found["status"] == "void")

    async def renew(self) -> str:
        """Another certificate for the same post; returns its number."""
        return (await _certify(self.platform, self.enterprise, self.reviewer, self.person)).number


async def _certify(platform: Harness, enterprise: str, reviewer: str, person: str) -> Certified:
    seed = secrets.randbelow(1_000_000)
    application = await submit_application(platform.api, enterprise, person, "10", seed)
    await desk_item(platform.api, reviewer, application["id"], "pending_review", 1)
    assert (await decide(platform.api, reviewer, "approve", application["id"], 1))["outcome"] == "accepted"
    certified = await application_in(platform.api, enterprise, application["id"], "certified")
    return Certified(platform, enterprise, reviewer, person, application["id"], certified["certificate_number"])


@pytest.fixture
async def certified(platform: Harness) -> Certified:
    reviewer, enterprise = await platform.reviewer(), await platform.enterprise("南昌查询建设有限公司")
    born = date(1985, 1, 1) + timedelta(days=secrets.randbelow(5000))
    person = id_number("female", born, secrets.randbelow(500))
    await import_people(platform.api, reviewer, [f"{person},欧阳测试,,,"])
    return await _certify(platform, enterprise, reviewer, person)


@pytest.mark.parametrize("path", PUBLIC)
async def test_open_to_everyone_without_inline_code(browser: Browser, path: str) -> None:
    page = await browser.get(path)
    assert (page.status, page.path) == (200, path)
    assert page.html.count("<h1") == 1
    assert not [found for found in ("<style", " style=", " onclick=", "<script>") if found in page.html]


async def test_front_page_leads_everywhere(browser: Browser) -> None:
    page = await browser.get("/")
    for address in ("/enterprise/login", "/enterprise/registration", "/review/login", "/manuals/enterprise"):
        assert f'href="{address}"' in page.html
    assert [rule for rule in RULES if rule not in page.text] == []
    assert f'href="/notices/{NOTICES[0].slug}"' in page.html
    assert "demo-reviewer" in page.text


async def test_articles_are_shown_in_full(browser: Browser) -> None:
    for path, articles in (("/policies", POLICIES), ("/news", NEWS)):
        text = (await browser.get(path)).text
        for article in articles:
            assert article.title in text
            assert [point for part in article.body for point in _points(part) if point not in text] == []
    for article in NOTICES:
        page = await browser.get(f"/notices/{article.slug}")
        assert [point for part in article.body for point in _points(part) if point not in page.text] == []
    assert [article.date for article in NOTICES] == sorted((article.date for article in NOTICES), reverse=True)


def _points(part: object) -> list[str]:
    return [part] if isinstance(part, str) else list(part)  # type: ignore[call-overload]


async def test_an_unknown_notice_is_said_to_be_missing(browser: Browser) -> None:
    page = await browser.get("/notices/never-published")
    assert page.status == 404
    assert "没有这条通知" in page.text


async def test_a_valid_certificate_from_the_front_page(browser: Browser, certified: Certified) -> None:
    page = await browser.send(await browser.get("/"), "/certificates", number=f" {certified.number} ")
    assert (page.status, page.path) == (200, f"/certificates/{certified.number}")
    assert "有效" in page.text
    assert "已作废" not in page.text
    for shown in (certified.number, "欧***", "土建施工员", "南昌查询建设有限公司"):
        assert shown in page.text
    assert "欧阳测试" not in page.html
    assert certified.person not in page.html
    assert f'src="/certificates/{certified.number}/qr.svg"' in page.html
    assert (await browser.get(f"/certificates/{certified.number}")).status == 200


async def test_full_width_digits_find_the_same_certificate(browser: Browser, certified: Certified) -> None:
    wide = "".join(chr(ord(digit) + 0xFEE0) for digit in certified.number)
    page = await browser.get(f"/certificates/{quote(wide)}")
    assert page.status == 200
    assert f'href="/certificates/{certified.number}"' in page.html


async def test_a_withdrawn_certificate_is_void(browser: Browser, certified: Certified) -> None:
    await certified.withdraw()
    page = await browser.get("/certificates", params={"number": certified.number})
    assert (page.status, page.html.count("tag--void")) == (200, 1)
    today = business_day(certified.platform.clock.now())
    assert f"该证书编号已于 {today} 作废，不能再作为有效证书使用" in page.text


async def test_a_replaced_certificate_leads_to_the_new_one(browser: Browser, certified: Certified) -> None:
    successor = await certified.renew()
    page = await browser.get(f"/certificates/{certified.number}")
    assert "已作废" in page.text
    assert "换证" in page.text
    assert f'<a href="/certificates/{successor}">{successor}</a>' in page.html
    assert "tag--valid" in (await browser.get(f"/certificates/{successor}")).html


async def test_the_code_holds_the_public_link(browser: Browser, certified: Certified) -> None:
    answer = await browser.client.get(f"/certificates/{certified.number}/qr.svg")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    expected = segno.make(f"http://localhost:8000/certificates/{certified.number}", micro=False).svg_inline()
    assert _modules(expected) == _modules(answer.text)
    assert (await browser.client.get(f"/certificates/{'0' * 51}/qr.svg")).status_code == 404


def _modules(svg: str) -> str:
    """What a code's picture draws in black."""
    drawn = re.search('stroke="#000" d="([^"]+)"', svg)
    assert drawn is not None
    return drawn[1]


@pytest.mark.parametrize(
    "number", ["00799900000000", "赣建安C（2026）0000001", "a?b=c#d%41", "..", "a/b", "é\u200b", "0" * 60]
)
async def test_what_is_not_a_certificate_is_said_and_kept(browser: Browser, number: str) -> None:
    sent = await browser.send(await browser.get("/certificates"), "/certificates", number=number)
    for page in (await browser.get("/certificates", params={"number": number}), sent):
        assert page.status in {404, 422}
        assert ("number", number.strip()) in page.form("/certificates").fields
        assert 'class="error-summary"' in page.html
        if page.status == 404 and number.isdigit():
            assert "没有此编号的证书" in page.text


@pytest.mark.parametrize("cut", [slice(0, 6), slice(4, None), slice(2, None)])
async def test_a_part_of_a_number_must_be_completed(browser: Browser, certified: Certified, cut: slice) -> None:
    page = await browser.send(await browser.get("/certificates"), "/certificates", number=certified.number[cut])
    assert page.status == 404
    assert "编号不完整：请按证书完整输入，本平台的证书编号为 14 位，包括开头的 0" in page.text
    assert ("number", certified.number[cut]) in page.form("/certificates").fields


@pytest.mark.parametrize(
    "number", ["36019919900101001X", "３６０１９９ 19900101 001x", "360199900101001", "360199199001010011"]
)
async def test_an_id_number_goes_nowhere(browser: Browser, number: str) -> None:
    front = await browser.get("/")
    for page in (
        await browser.send(front, "/certificates", number=number),
        await browser.get("/certificates", params={"number": number}),
        await browser.get(f"/certificates/{quote(number)}"),
    ):
        assert (page.status, "请输入证书编号，而不是身份证号" in page.text) == (422, True)
        assert "360199" not in page.html
        assert ("number", "") in page.form("/certificates").fields
    asked = await browser.send(front, "/certificates", number=number)
    assert (str(asked.response.url), asked.response.history) == ("http://localhost/certificates", [])
    assert (await browser.client.get(f"/certificates/{quote(number)}/qr.svg")).status_code == 404


async def test_an_empty_query_asks_for_a_number(browser: Browser) -> None:
    page = await browser.get("/certificates", params={"number": "  "})
    assert (page.status, "请输入证书编号" in page.text) == (422, True)


async def test_markup_in_a_number_stays_text(browser: Browser) -> None:
    page = await browser.get("/certificates", params={"number": '"><script>alert(1)</script>'})
    assert "<script>" not in page.html


async def test_too_many_queries_are_told_when_to_come_back(browser: Browser, platform: Harness) -> None:
    container = platform.platform.containers["certnumber"]
    container.limiter = new_limiter()
    try:
        pages = [await browser.get(f"/certificates/{number}") for number in range(61)]
    finally:
        container.limiter = None
    assert [page.status for page in pages] == [404] * 60 + [429]
    assert "秒后再查询" in pages[-1].text
    assert int(pages[-1].response.headers["retry-after"]) > 0
    assert ("number", "60") in pages[-1].form("/certificates").fields
