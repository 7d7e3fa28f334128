"""One person at a browser. Whatever the browser complains about meanwhile is a fault."""

import os
import re
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    Response,
    ViewportSize,
    WebError,
    expect,
)

from tests.browser.manuals import take_picture
from tests.support.wait import PATIENCE, until

expect.set_options(timeout=1000 * PATIENCE)

OUTPUT = Path(__file__).parent / "output"
AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
DESK: ViewportSize = {"width": 1366, "height": 768}
PHONE: ViewportSize = {"width": 390, "height": 844}
# Also those that wait until somebody scrolls to them.
SHOW_PICTURES = """Promise.all([...document.images].map(image => {
    image.loading = "eager";
    return image.decode();
}))"""
GRAVE = {"serious", "critical"}
# Said again of every answer that `refused` is about.
OF_A_STATUS = re.compile(r"^Failed to load resource: the server responded with a status of \d{3}")


@dataclass
class User:
    """`page` is the window in front, `scripted` whether it runs scripts, `era` marks the pictures of an old browser.

    Answers of 400 and more are faults unless their status is in `refused`."""

    context: BrowserContext
    page: Page
    scripted: bool = True
    era: str = ""
    refused: set[int] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.context.on("console", self._on_console)
        self.context.on("weberror", self._on_error)
        self.context.on("requestfailed", self._on_failure)
        self.context.on("response", self._on_response)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not OF_A_STATUS.match(message.text):
            self.faults.append(f"console at {message.location.get('url')}: {message.text}")

    def _on_error(self, error: WebError) -> None:
        self.faults.append(f"script: {error.error}")

    def _on_failure(self, request: Request) -> None:
        # Leaving a page ends its requests; a download is no longer the page's.
        if request.failure != "net::ERR_ABORTED":
            self.faults.append(f"{request.method} {request.url}: {request.failure}")

    def _on_response(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.refused:
            self.faults.append(f"{response.request.method} {response.url}: {response.status}")

    def blame(self) -> None:
        """AssertionError naming the faults since the last call."""
        found, self.faults = self.faults, []
        assert not found, "\n".join(found)

    @property
    def path(self) -> str:
        return urlsplit(self.page.url).path

    async def go(self, path: str) -> None:
        await self.page.goto(path)

    async def press(self, name: str, role: Literal["button", "link"] = "button") -> None:
        await self.page.get_by_role(role, name=name, exact=True).click()

    async def fill(self, **values: str) -> None:
        for name, value in values.items():
            await self.page.locator(f"#{name}").fill(value)

    async def follow(self, sight: Locator) -> None:
        """Wait for what comes without this user's doing: by itself where there is a script, else by looking again."""
        if self.scripted:
            await self.page.evaluate("window.undisturbed = true")
            await expect(sight).to_be_visible()
            assert await self.page.evaluate("window.undisturbed"), "the page was loaded anew"
        else:
            await self.come_back_for(sight)

    async def come_back_for(self, sight: Locator) -> None:
        """Load the page anew until it shows that."""

        async def seen() -> bool:
            await self.page.reload()
            return await sight.is_visible()

        await until(seen, interval=0.2, what=str(sight))

    async def look(self, name: str) -> None:
        """Keep a picture of the page in both sizes; AssertionError for what axe calls serious or critical in either.

        `make manuals` takes the manuals' pictures here instead. Without script there is nothing else to see. An old
        browser draws the same document, which axe has judged in today's.
        """
        if not self.scripted:
            return None
        await self.page.evaluate(SHOW_PICTURES)
        if os.environ.get("MANUALS"):
            return await take_picture(self.page, name)
        OUTPUT.mkdir(exist_ok=True)
        if not self.era:
            await self.page.evaluate(AXE)
        try:
            for kind, size in (("phone", PHONE), ("desk", DESK)):
                await self.page.set_viewport_size(size)
                await self.page.screenshot(path=OUTPUT / f"{name}-{kind}{self.era}.png", full_page=True)
                if not self.era:
                    await self._examine(f"{name}-{kind}")
                wide = await self.page.evaluate("document.documentElement.scrollWidth")
                assert wide <= size["width"], f"{name}-{kind}: {wide} px wide"
        finally:
            await self.page.set_viewport_size(DESK)
        return None

    async def _examine(self, name: str) -> None:
        result: dict[str, Any] = await self.page.evaluate("axe.run({resultTypes: ['violations'], selectors: false})")
        found = [
            f"{name}: {violation['id']} ({violation['impact']}): {violation['help']}: {node['html'][:300]}"
            for violation in result["violations"]
            if violation["impact"] in GRAVE
            for node in violation["nodes"]
        ]
        assert not found, "\n".join(found)


async def new_user(browser: Browser, base: str, *, javascript: bool = True, like: User | None = None) -> User:
    """A browser profile of its own with one window, with the cookies of `like`."""
    context = await browser.new_context(
        base_url=base,
        java_script_enabled=javascript,
        locale="zh-CN",
        timezone_id="Asia/Shanghai",
        viewport=DESK,
        accept_downloads=True,
        storage_state=await like.context.storage_state() if like else None,
    )
    context.set_default_timeout(1000 * PATIENCE)
    user = User(context, await context.new_page(), javascript, "-old" if browser.version.startswith("80.") else "")
    user.watch()
    return user
