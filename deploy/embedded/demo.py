"""What a demo starts with: synthetic people for every outcome of the eligibility check, and one reviewer."""

import csv
import io
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa

from deploy.embedded.platform import Platform
from deploy.synthetic import id_number, jpeg, person_name
from services.renewal.domain import IMAGE_KINDS
from services.renewal.models import Person
from services.renewal.registry.file import FIELDS
from services.renewal.registry.service import import_registry
from services.review.domain import Role
from services.review.schemas import ReviewerCreation
from services.review.service.reviewers import ensure_reviewer
from shared.auth.tokens import Principal
from shared.values.clock import business_day
from shared.values.idnumber import Sex

REVIEWER, REVIEWER_PASSWORD = "demo-reviewer", "Ganzheng-demo-1"
ROLES: tuple[Role, ...] = ("reviewer", "registrar", "admin")
ADULT = date(1990, 1, 1)


@dataclass(frozen=True)
class Group:
    """`count` people of one kind; `posts` are of certificates they hold, `label` says what a check will find."""

    label: str
    count: int
    posts: tuple[str, ...] = ()
    sex: Sex | None = None
    born: date | None = None
    expired: int = 0


def groups(today: date) -> list[Group]:
    """List over 100 people by kind; the day of the demo's first start fixes the birthdays at the age limits."""

    def birthday(years: int) -> date:
        if (today.month, today.day) == (2, 29):
            return date(today.year - years, 3, 1)
        return today.replace(year=today.year - years)

    return [
        Group("符合条件，未持证", 60),
        Group("符合条件，持有一本证书（安全员）", 8, ("30",)),
        Group("符合条件，持有两本证书（材料员、资料员）", 6, ("40", "70")),
        Group("持有三本证书（规则A）", 6, ("30", "40", "70")),
        Group("持有土建施工员，不能再换质量员（规则B）", 6, ("10",)),
        Group("持有市政质量员，不能再换施工员（规则B）", 6, ("21",)),
        Group("女性，已过55周岁（规则C）", 4, sex="female", born=birthday(56)),
        Group("男性，已过60周岁（规则D）", 4, sex="male", born=birthday(61)),
        Group("女性，首次启动当日满55周岁（当日仍可换证）", 1, sex="female", born=birthday(55)),
        Group("男性，首次启动当日满60周岁（当日仍可换证）", 1, sex="male", born=birthday(60)),
        Group("三本证书中一本已过期，符合条件", 2, ("30", "40", "70"), expired=1),
    ]


def people(today: date) -> list[tuple[Group, str, str]]:
    """List everyone as (group, id number, name). Who has no birthday of a group's own is born on a day from 1990 on."""
    result: list[tuple[Group, str, str]] = []
    for group in groups(today):
        for position in range(group.count):
            serial = len(result)
            sex: Sex = group.sex or ("male" if serial % 2 else "female")
            born = group.born or ADULT + timedelta(days=serial)
            result.append((group, id_number(sex, born, position), person_name(serial)))
    return result


def registry_csv(today: date) -> bytes:
    """Write the people as a registry import."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(FIELDS)
    for serial, (group, number, name) in enumerate(people(today)):
        if not group.posts:
            writer.writerow([number, name, "", "", ""])
        for position, post in enumerate(group.posts):
            valid_until = today - timedelta(days=1) if position < group.expired else today + timedelta(days=365)
            writer.writerow([number, name, post, f"DEMO{serial:04d}{post}", valid_until.isoformat()])
    return text.getvalue().encode()


async def seed(platform: Platform) -> date:
    """Add the people at the first start and the reviewer whenever missing; returns the day of the first start."""
    review = platform.containers["review"]
    async with review.database.transaction() as session:
        await ensure_reviewer(
            session, ReviewerCreation(username=REVIEWER, name="演示审核员", roles=list(ROLES)), REVIEWER_PASSWORD
        )
    renewal = platform.containers["renewal"]
    async with renewal.database.transaction() as session:
        first = await session.scalar(sa.select(sa.func.min(Person.created_at)))
    if first is not None:
        return business_day(first)
    today = business_day(renewal.clock.now())
    operator = Principal("embedded", UUID(int=0), UUID(int=0), "演示数据", frozenset({"registrar"}), False)
    async for _ in import_registry(renewal, operator, io.BytesIO(registry_csv(today))):
        pass
    return today


def write_samples(directory: Path) -> list[Path]:
    """Write three different pictures to upload, for trying by hand; returns their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for seed_number, kind in enumerate(IMAGE_KINDS):
        path = directory / f"{kind}.jpg"
        if not path.exists():
            path.write_bytes(jpeg(1200, 800, seed_number))
        paths.append(path)
    return paths


def welcome(address: str, first_day: date, samples: Path) -> str:
    """Say where to look and whom to try."""
    lines = [
        "",
        f"  赣证演示平台已就绪：{address}   （Ctrl-C 结束，数据保留）",
        f"  审核员 {REVIEWER} / {REVIEWER_PASSWORD}（验证码答案在 POST /api/review/v1/captchas 的 answer 中）",
        f"  样例图片 {samples}",
        "  可以试的人员（合成数据）：",
    ]
    shown = set()
    for group, number, name in people(first_day):
        if group.label not in shown:
            shown.add(group.label)
            lines.append(f"    {number}  {name}  {group.label}（共{group.count}人）")
    lines.append("  整个流程一条命令：make demo-journey")
    return "\n".join(lines) + "\n"
