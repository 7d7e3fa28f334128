"""What judging needs besides the application: the rules in force, and what its person holds and has under way."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Self
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal import queries
from services.renewal.domain import (
    LIVE,
    AgeLimit,
    Ineligibility,
    Post,
    Standing,
    ineligibilities,
    is_valid,
    replaceable,
)
from services.renewal.errors import UnknownPost
from services.renewal.models import Application, HeldCertificate, Person


@dataclass(frozen=True)
class Rules:
    """The posts by code, and the age limits; loaded once for a batch."""

    posts: dict[str, Post]
    limits: list[AgeLimit]

    @classmethod
    async def load(cls, session: AsyncSession) -> Self:
        return cls(await queries.posts(session), await queries.age_limits(session))

    def post(self, code: str) -> Post:
        """Raises UnknownPost."""
        if code not in self.posts:
            raise UnknownPost("post", "没有这个岗位，请从岗位列表中选择")
        return self.posts[code]

    def ineligibilities(self, standing: Standing, post: Post | None, submission_day: date) -> list[Ineligibility]:
        return ineligibilities(standing, post, submission_day, self.limits)


@dataclass(frozen=True)
class Holdings:
    """The certificates (void ones too) and live applications of some persons. Changes made to the rows show at once.

    `applications` are those that this transaction may change, `others` the posts of the other live ones.
    """

    posts: dict[str, Post]
    certificates: dict[UUID, list[HeldCertificate]]
    applications: dict[UUID, list[Application]]
    others: dict[UUID, list[str]]

    @classmethod
    async def load(
        cls,
        session: AsyncSession,
        rules: Rules,
        person_ids: Collection[UUID],
        touched: Collection[Application] = (),
    ) -> Self:
        """Two queries for any number of persons. `touched` may become live in this transaction."""
        certificates = await queries.certificates_of(session, person_ids)
        others = await queries.live_posts_of(session, person_ids, [row.id for row in touched])
        applications: dict[UUID, list[Application]] = defaultdict(list)
        for application in touched:
            applications[application.person_id].append(application)
        return cls(rules.posts, certificates, applications, others)

    def standing(self, person: Person, day: date, but: Application | None = None) -> Standing:
        """What a person holds on `day` and has under way, apart from the application `but`."""
        held = sorted(certificate.post for certificate in self.valid(person.id, day))
        live = [a.post for a in self.applications[person.id] if a is not but and a.status in LIVE]
        return Standing(
            sex=person.sex,
            birth_date=person.birth_date,
            held=[self.posts[code] for code in held],
            live=[self.posts[code] for code in (*live, *self.others[person.id])],
        )

    def valid(self, person_id: UUID, day: date) -> list[HeldCertificate]:
        return [certificate for certificate in self.certificates[person_id] if is_valid(certificate, day)]

    def replaceable(self, application: Application) -> list[HeldCertificate]:
        """Those that a number for `application` takes the place of."""
        return replaceable(self.certificates[application.person_id], application.post)
