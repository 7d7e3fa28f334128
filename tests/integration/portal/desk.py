"""Applications waiting for review, and how to read the desk's pages."""

import re
from datetime import date
from itertools import count
from typing import Any

from deploy.journey import application_in, decide, desk_item, import_people, submit_application
from deploy.synthetic import id_number, jpeg, person_name
from tests.integration.portal.browser import Browser, Page
from tests.support.platform import Harness

LIST = "/review/items"
BATCH = "/review/decisions"
serials = count()


class Desk:
    """Applications waiting at the desk, all of one new enterprise: `ids` newest first, `numbers` their id numbers."""

    def __init__(self, platform: Harness, enterprise: str, token: str, reviewer: str) -> None:
        self.api, self.enterprise, self.token, self.reviewer = platform.api, enterprise, token, reviewer
        self.ids: list[str] = []
        self.numbers: list[str] = []

    async def add(self, post: str = "10", held: str = "") -> str:
        serial = next(serials)
        number = id_number("male", date(1988, 1, 1), serial)
        row = f"{number},{person_name(serial)}," + (f"{held},DESK{serial:05d},2099-12-31" if held else ",,")
        await import_people(self.api, self.reviewer, [row])
        application = await submit_application(self.api, self.token, number, post, 1000 + serial)
        await self.reaches(application["id"], "pending_review")
        self.ids.insert(0, application["id"])
        self.numbers.insert(0, number)
        return str(application["id"])

    async def decided(self, application_id: str, action: str, status: str, **reason: str) -> Any:
        """Another reviewer's decision, once it has come back to the desk."""
        await decide(self.api, self.reviewer, action, application_id, 1, **reason)
        return await self.reaches(application_id, status)

    async def withdraw(self, application_id: str, reason_code: str, comment: str) -> None:
        """Another reviewer's withdrawal of a certificate, once it waits for review again."""
        decided = {"reason_code": reason_code, "comment": comment}
        await decide(self.api, self.reviewer, "withdraw", application_id, 1, **decided)
        await self.reaches(application_id, "pending_review")

    async def cancel(self, application_id: str) -> None:
        path = f"/applications/{application_id}/cancellation"
        await self.api.call("POST", "renewal", path, token=self.token, json={"revision": 1})
        await self.reaches(application_id, "cancelled")

    async def change(self, application_id: str) -> None:
        """Another letter and another post for a rejected application."""
        api, path = self.api, f"/applications/{application_id}"
        await application_in(api, self.token, application_id, "rejected")
        files = {"file": ("letter.jpg", jpeg(seed=100_000 + next(serials)), "image/jpeg")}
        await api.call("PUT", "renewal", f"{path}/images/commitment-letter", token=self.token, files=files)
        change = {"post": "30", "revision": 1}
        await api.call("PATCH", "renewal", path, token=self.token, json=change)

    async def resubmit(self, application_id: str) -> None:
        await application_in(self.api, self.token, application_id, "rejected")
        path = f"/applications/{application_id}/submission"
        await self.api.call("POST", "renewal", path, token=self.token, json={"revision": 1})
        await self.reaches(application_id, "pending_review", 2)

    async def item(self, application_id: str) -> Any:
        return await self.api.call("GET", "review", f"/items/{application_id}", token=self.reviewer)

    async def reaches(self, application_id: str, status: str, revision: int = 1) -> Any:
        """The desk's item once it shows that."""
        return await desk_item(self.api, self.reviewer, application_id, status, revision)


async def find(browser: Browser, desk: Desk, **filters: Any) -> Page:
    """The list of the enterprise's applications."""
    return await browser.send(await browser.get(LIST), f"{LIST}/search", enterprise=desk.enterprise, **filters)


def rows(page: Page) -> list[str]:
    return re.findall(r'<tr id="row-([0-9a-f-]+)">', page.html)


def row(page: Page, application_id: str) -> str:
    return page.html.split(f'<tr id="row-{application_id}">')[1].split("</tr>")[0]


def ticked(page: Page) -> list[str]:
    return [value for name, value in page.form(BATCH).fields if name == "ids"]


def tick(*application_ids: str) -> list[tuple[str, str]]:
    return [("ids", one) for one in application_ids]


def buttons(page: Page) -> set[str]:
    """The decisions that are offered."""
    return {value for form in page.forms for name, value in form.buttons if name == "action" and value}
