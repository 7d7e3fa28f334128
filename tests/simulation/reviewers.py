"""The authority: a reviewer who decides twice a day over HTTP, and an administrator who has a yearly series."""

from collections import Counter, defaultdict
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from services.review.domain import REASONS
from services.review.schemas import ReviewerCreation
from services.review.service.reviewers import ensure_reviewer
from shared.values.clock import start_of_business_day
from tests.simulation.logins import Login
from tests.simulation.world import World

USERNAME, PASSWORD = "year-reviewer", "Ganzheng-year-1"
YEARLY_POSTS = ["10", "20", "30", "60"]
# Shares of what waits, of what is certified, and of what is looked at in full.
REJECTED, LEFT, WITHDRAWN, OPENED = 0.1, 0.05, 0.01, 0.02
PAGE = 100


class Reviewers:
    """`accepted` are the decisions that the desk acknowledged, by action."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.accepted: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.login = Login(world, "review", self._credentials)
        self._source = world.chance.of("reviewers")
        self._left: set[UUID] = set()

    async def begin(self) -> None:
        """Make the account, and a series that begins anew every year."""
        creation = ReviewerCreation(username=USERNAME, name="年度审核员", roles=["reviewer", "registrar", "admin"])
        async with self.world.containers["review"].database.transaction() as session:
            await ensure_reviewer(session, creation, PASSWORD)
        series = {"name": "按年编号", "layout": "JX{year}{post}{serial:06}", "posts": YEARLY_POSTS, "yearly": True}
        await self.world.api.call(
            "POST", "certnumber", "/series", token=await self.login.token(), json=series, expect=201
        )

    def plan_day(self, day: date) -> None:
        for hours in (10, 15.5):
            self.world.agenda.at(start_of_business_day(day) + timedelta(hours=hours), self.decide_all)

    def plan_new_year(self, day: date) -> None:
        """Work on at the turn of the year, so that approvals of the old one are numbered in the new one."""
        midnight = start_of_business_day(day)
        for minutes in (-1, 1):
            self.world.agenda.at(midnight + timedelta(minutes=minutes), self.decide_all)

    async def decide_all(self) -> None:
        """Decide on nearly all that waits; withdraw something."""
        groups: defaultdict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        for item in await self._items("pending_review"):
            if "approve" not in item["actions"]:
                continue
            draw, key = self._source.random(), UUID(item["application_id"])
            if draw < LEFT and key not in self._left:
                # Only once: what waits for long is a fault.
                self._left.add(key)
            elif draw < LEFT + REJECTED:
                groups["reject", self._reason("reject")].append(item)
            else:
                groups["approve", ""].append(item)
            if self._source.random() < OPENED:
                await self.login.call("GET", "review", f"/items/{key}")
                self.accepted["opened"] += 1
        for item in await self._page("certified"):
            if self._source.random() < WITHDRAWN and "withdraw" in item["actions"]:
                groups["withdraw", self._reason("withdraw")].append(item)
        for (action, reason), items in groups.items():
            for start in range(0, len(items), 500):
                await self._decide(action, reason, items[start : start + 500])

    def _reason(self, action: str) -> str:
        fitting = [each.code for each in REASONS.values() if action in each.actions and not each.needs_comment]
        return self._source.choice(fitting)

    async def _decide(self, action: str, reason: str, items: list[dict[str, Any]]) -> None:
        seen = [{name: item[name] for name in ("application_id", "revision", "decision_no")} for item in items]
        body = {"action": action, "items": seen} | ({"reason_code": reason} if reason else {})
        answer = await self.login.call("POST", "review", "/decisions", json=body)
        for result in answer["results"]:
            if result["outcome"] == "accepted":
                self.accepted[action] += 1
            else:
                self.refused[result["code"]] += 1

    async def _items(self, status: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            query = {"status": status, "limit": PAGE} | cursor
            page = await self.login.call("GET", "review", "/items", params=query)
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            cursor = {"cursor": page["next_cursor"]}

    async def _page(self, status: str) -> list[dict[str, Any]]:
        page = await self.login.call("GET", "review", "/items", params={"status": status, "limit": PAGE})
        items: list[dict[str, Any]] = page["items"]
        return items

    async def _credentials(self) -> dict[str, Any]:
        captcha = await self.world.api.call("POST", "review", "/captchas", expect=201)
        answer = {"captcha_id": captcha["captcha_id"], "captcha_answer": captcha["answer"]}
        return {"username": USERNAME, "password": PASSWORD} | answer
