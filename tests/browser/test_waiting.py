"""When more people come than can be served, a browser waits by itself, with script and without."""

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import uuid4

import httpx2
import pytest
import uvicorn
from playwright.async_api import Browser, expect

from deploy.embedded.postgres import free_port
from deploy.synthetic import jpeg
from services.portal.app import build, create_app
from services.portal.container import Portal
from services.portal.settings import PortalSettings
from shared.runtime.operations import _Server
from shared.web.door import Caller
from tests.browser.user import User, new_user
from tests.support.wait import until

TYPED = {"taxpayer_id": "91360199MA00000019", "name": "南昌排队建设有限公司", "contact_name": "某某"}


@dataclass
class Crowd:
    """A portal, and services behind it that send everybody away for so many `seconds`, as long as `busy`."""

    base: str
    portal: Portal = field(init=False)
    busy: bool = True
    seconds: int = 1
    asked: list[str] = field(default_factory=list)

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request.url.path)
        if self.busy:
            words = "当前使用人数较多，请稍候片刻再试"
            told = {"code": "overloaded", "detail": words, "retry_after": self.seconds, "ahead": 1234}
            return httpx2.Response(503, json=told)
        image = "data:image/jpeg;base64," + base64.b64encode(jpeg(80, 30)).decode()
        return httpx2.Response(201, json={"captcha_id": str(uuid4()), "image": image, "expires_in": 300})

    async def fill(self) -> None:
        self.portal.door.pace = self.seconds
        while self.portal.door.inside < self.portal.door.at_once:
            await self.portal.door.enter(lambda: Caller.authority)

    def empty(self) -> None:
        while self.portal.door.inside:
            self.portal.door.leave()


@pytest.fixture
async def crowd() -> AsyncIterator[Crowd]:
    port = free_port()
    base = f"http://localhost:{port}"
    settings = PortalSettings(demo=True, api_url="http://gateway", public_url=base)
    made = Crowd(base)
    gateway = httpx2.AsyncClient(transport=httpx2.MockTransport(made.answer), base_url="http://gateway")
    made.portal = build(settings, client=gateway)
    server = _Server(uvicorn.Config(create_app(made.portal), "127.0.0.1", port, log_config=None))
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started, what="the portal to be ready")
    yield made
    server.should_exit = True
    await serving


@pytest.fixture(params=[True, False], ids=["script", "no script"])
async def user(request: pytest.FixtureRequest, browser: Browser, crowd: Crowd) -> AsyncIterator[User]:
    someone = await new_user(browser, crowd.base, javascript=request.param)
    someone.refused = {503}
    yield someone
    await someone.context.close()
    someone.blame()


async def test_a_page_opens_by_itself_when_the_services_have_room(crowd: Crowd, user: User) -> None:
    crowd.seconds = 40
    await user.go("/review/login")
    await expect(user.page.get_by_role("heading", name="正在排队")).to_be_visible()
    await expect(user.page.locator("main")).to_contain_text("前面约有 1234 人，预计还需等待约 40 秒")
    await user.look("waiting")
    crowd.seconds = 1
    await user.go("/review/login")
    asked = len(crowd.asked)
    await until(lambda: len(crowd.asked) > asked, what="the page to ask again")
    crowd.busy = False
    await expect(user.page.get_by_role("button", name="登录")).to_be_visible()


async def test_a_page_opens_by_itself_when_the_portal_has_room(crowd: Crowd, user: User) -> None:
    await crowd.fill()
    await user.go("/enterprise/registration")
    await expect(user.page.get_by_role("heading", name="正在排队")).to_be_visible()
    crowd.empty()
    await expect(user.page.get_by_role("button", name="注册")).to_be_visible()


async def test_the_page_at_the_door_is_one_of_ours(crowd: Crowd, user: User) -> None:
    crowd.seconds = 50
    await crowd.fill()
    await user.go("/enterprise/registration")
    await expect(user.page.locator("main")).to_contain_text("前面约有 1 人，预计还需等待约 50 秒")
    await user.look("waiting-at-the-door")


async def test_what_was_typed_is_offered_again(crowd: Crowd, user: User) -> None:
    await user.go("/enterprise/registration")
    await user.fill(**TYPED)
    crowd.seconds = 50
    await crowd.fill()
    await user.press("注册")
    await expect(user.page.get_by_role("heading", name="正在排队")).to_be_visible()
    await expect(user.page.locator("main")).to_contain_text("您填写的内容已保留")
    await user.look("waiting-form")
    crowd.empty()
    await user.press("重试")
    await until(lambda: "/api/enterprise/v1/enterprises" in crowd.asked, what="the form to be sent")
