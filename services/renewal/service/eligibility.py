"""Whether a person may renew: at the id-number step, and while an application is being filled in."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal import queries
from services.renewal.container import RenewalContainer
from services.renewal.domain import Ineligibility, Post
from services.renewal.errors import IdNumberInvalid, PersonNotFound
from services.renewal.models import ID_NUMBER, Application, Person
from services.renewal.rules import Holdings, Rules
from services.renewal.schemas import EligibilityRequest
from shared.values import idnumber
from shared.values.clock import business_day


@dataclass(frozen=True)
class Eligibility:
    """`ineligibilities` hold for the post asked about, or for every post; `posts` has those against each."""

    person: Person
    id_number: str
    eligible: bool
    ineligibilities: list[Ineligibility]
    posts: list[tuple[Post, list[Ineligibility]]]


def parse_id_number(container: RenewalContainer, text: str) -> str:
    """An id number as typed, normalised. Raises IdNumberInvalid."""
    try:
        return idnumber.parse(text, business_day(container.clock.now())).value
    except idnumber.InvalidIdNumber as error:
        raise IdNumberInvalid("id_number", error.message) from None


async def get_person(container: RenewalContainer, session: AsyncSession, text: str) -> tuple[Person, str]:
    """The person of an id number as typed, and the number normalised. Raises IdNumberInvalid, PersonNotFound."""
    number = parse_id_number(container, text)
    person = await queries.find_person(session, container.cipher.blind_index(number))
    if person is None:
        raise PersonNotFound
    return person, number


def index_and_mask(container: RenewalContainer, text: str) -> tuple[str, str]:
    """The blind index of an id number as typed, and the number as it is shown. Raises IdNumberInvalid."""
    number = parse_id_number(container, text)
    return container.cipher.blind_index(number), idnumber.mask(number)


async def check_eligibility(
    container: RenewalContainer, session: AsyncSession, request: EligibilityRequest
) -> Eligibility:
    """Check a person, for one post or for all. Raises IdNumberInvalid, PersonNotFound, UnknownPost."""
    person, number = await get_person(container, session, request.id_number)
    return await _check(container, session, person, number, request.post)


async def check_application(
    container: RenewalContainer, session: AsyncSession, application: Application
) -> Eligibility:
    """Check what submitting the application today would be told, with its own post or any other."""
    number = container.cipher.decrypt(application.person.id_number, ID_NUMBER)
    return await _check(container, session, application.person, number, application.post, application)


async def _check(
    container: RenewalContainer,
    session: AsyncSession,
    person: Person,
    number: str,
    code: str | None,
    but: Application | None = None,
) -> Eligibility:
    rules = await Rules.load(session)
    requested = rules.post(code) if code is not None else None
    day = business_day(container.clock.now())
    holdings = await Holdings.load(session, rules, [person.id], [but] if but else ())
    standing = holdings.standing(person, day, but=but)
    against = rules.ineligibilities(standing, requested, day)
    posts = [(post, rules.ineligibilities(standing, post, day)) for post in rules.posts.values()]
    eligible = not against and (requested is not None or any(not each for _, each in posts))
    return Eligibility(person, number, eligible, against, posts)
