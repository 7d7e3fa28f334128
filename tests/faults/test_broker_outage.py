"""RabbitMQ away: applications, uploads and decisions still succeed, and everything catches up when it is back."""

from datetime import date
from typing import Any

from deploy.journey import (
    application_in,
    decide,
    desk_item,
    import_people,
    log_in_reviewer,
    register_enterprise,
    submit_application,
)
from deploy.synthetic import id_number, person_name
from tests.support.platform import ENTERPRISE_PASSWORD, REVIEWER, REVIEWER_PASSWORD
from tests.support.stack import Stack

POST = "10"


class Work:
    """An enterprise, a reviewer and people of their own to apply for."""

    def __init__(self, stack: Stack, enterprise: str, reviewer: str, people: list[str]) -> None:
        self.stack = stack
        self.enterprise = enterprise
        self.reviewer = reviewer
        self.people = people

    @classmethod
    async def begin(cls, stack: Stack, count: int, born: date) -> "Work":
        _, enterprise = await register_enterprise(stack.api, "九江测试建设有限公司", ENTERPRISE_PASSWORD)
        reviewer = await log_in_reviewer(stack.api, REVIEWER, REVIEWER_PASSWORD)
        people = [id_number("male", born, n) for n in range(count)]
        report = await import_people(
            stack.api, reviewer, [f"{number},{person_name(n)},,," for n, number in enumerate(people)]
        )
        assert report["created"] == count
        return cls(stack, enterprise, reviewer, people)

    async def submit(self, person: str) -> dict[str, Any]:
        return await submit_application(self.stack.api, self.enterprise, person, POST)

    async def approve(self, application: dict[str, Any]) -> None:
        item = await desk_item(
            self.stack.api, self.reviewer, application["id"], "pending_review", application["revision"]
        )
        result = await decide(self.stack.api, self.reviewer, "approve", item["application_id"], item["revision"])
        assert result["outcome"] == "accepted"

    async def certified(self, application: dict[str, Any]) -> str:
        done = await application_in(self.stack.api, self.enterprise, application["id"], "certified")
        return str(done["certificate_number"])

    async def numbers(self) -> int:
        """How many the series have given, all without a gap."""
        answer = await self.stack.api.call("GET", "certnumber", "/proof", token=self.reviewer)
        assert all(series["gapless"] for series in answer["series"])
        return sum(series["count"] for series in answer["series"])


async def test_work_goes_on_without_the_broker_and_catches_up(stack: Stack) -> None:
    work = await Work.begin(stack, 6, date(1988, 3, 1))
    before = [await work.submit(person) for person in work.people[:3]]
    for application in before:
        await desk_item(stack.api, work.reviewer, application["id"], "pending_review", 1)
    await stack.rabbitmq.stop()
    try:
        during = [await work.submit(person) for person in work.people[3:]]
        for application in before:
            await work.approve(application)
    finally:
        await stack.rabbitmq.start()
    numbers = [await work.certified(application) for application in before]
    for application in during:
        await work.approve(application)
    numbers += [await work.certified(application) for application in during]
    assert len(set(numbers)) == len(work.people)
    assert await work.numbers() >= len(work.people)
