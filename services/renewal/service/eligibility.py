"""Whether a person may renew: at the id-number step, and while an application is being filled in."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal import queries
from services.renewal.container import RenewalContainer
from services.renewal.domain import AgeLimit, Post, Reason, Standing, reasons_against
from services.renewal.errors import IdNumberInvalid, PersonNotFound, UnknownPost
from services.renewal.models import Application, Person
from services.renewal.service.changes import ID_NUMBER
from shared.values import idnumber
from shared.values.clock import business_day


@dataclass(frozen=True)
class Eligibility:
    person: Person
    id_number: str
    reasons: list[Reason]
    posts: list[tuple[Post, list[Reason]]]

    @property
    def eligible(self) -> bool:
        return not self.reasons and any(not against for _, against in self.posts)


async def get_person(container: RenewalContainer, session: AsyncSession, text: str) -> tuple[Person, str]:
    """The person of an id number as typed, and the number normalised. Raises IdNumberInvalid, PersonNotFound."""
    try:
        number = idnumber.parse(text, business_day(container.clock.now())).value
    except idnumber.InvalidIdNumber as error:
        raise IdNumberInvalid("id_number", error.message) from None
    person = await queries.find_person(session, container.cipher.blind_index(number))
    if person is None:
        raise PersonNotFound
    return person, number


def get_post(posts: dict[str, Post], code: str) -> Post:
    """Raises UnknownPost."""
    if code not in posts:
        raise UnknownPost("post", "没有这个岗位，请从岗位列表中选择")
    return posts[code]


async def check_eligibility(
    container: RenewalContainer, session: AsyncSession, id_number: str, post: str | None
) -> Eligibility:
    """Raises IdNumberInvalid, PersonNotFound, UnknownPost."""
    person, number = await get_person(container, session, id_number)
    return await _eligibility(container, session, person, number, post)


async def application_eligibility(
    container: RenewalContainer, session: AsyncSession, application: Application
) -> Eligibility:
    """What its submission today would be told, with its own post or any other."""
    number = container.cipher.decrypt(application.person.id_number, ID_NUMBER)
    return await _eligibility(container, session, application.person, number, application.post, application)


async def _eligibility(
    container: RenewalContainer,
    session: AsyncSession,
    person: Person,
    number: str,
    post: str | None,
    but: Application | None = None,
) -> Eligibility:
    posts = await queries.posts(session)
    requested = get_post(posts, post) if post is not None else None
    limits = await queries.age_limits(session)
    day = business_day(container.clock.now())
    standing = (await queries.holdings(session, [person.id])).standing(person, posts, day, but=but)
    each = [(candidate, reasons_against(standing, candidate, day, limits)) for candidate in posts.values()]
    return Eligibility(person, number, reasons_against(standing, requested, day, limits), each)


@dataclass(frozen=True)
class Rules:
    """What judging needs besides the person; loaded once for a batch."""

    posts: dict[str, Post]
    limits: list[AgeLimit]

    @classmethod
    async def load(cls, session: AsyncSession) -> "Rules":
        return cls(await queries.posts(session), await queries.age_limits(session))

    def judge(self, standing: Standing, application: Application) -> list[Reason]:
        """Age counts from the day of submission."""
        if application.submitted_at is None:
            raise ValueError("only a submitted application can be judged")
        day = business_day(application.submitted_at)
        return reasons_against(standing, self.posts[application.post], day, self.limits)
