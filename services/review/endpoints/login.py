"""Captcha, login and the account that is logged in."""

from typing import Annotated

from fastapi import Depends

from services.review import queries
from services.review.domain import CAPTCHA_LIFETIME, ROLES
from services.review.endpoints.common import Deps
from services.review.errors import WrongCaptcha
from services.review.models import Reviewer
from services.review.schemas import CaptchaRead, LoginRequest, ReviewerRead
from services.review.service import login
from services.review.service.audit import witness
from shared.auth.access import allow
from shared.auth.endpoints import CREDENTIALS, OwnSessions, session_router
from shared.auth.errors import InvalidToken
from shared.auth.tokens import Principal
from shared.web.openapi import problems
from shared.web.ratelimit import rate_limit
from shared.web.routing import Session, transactional_router

router = transactional_router()
LoggedInAtFirst = Annotated[Principal, allow(*ROLES, initial_password=True)]


async def _log_in(container: Deps, sessions: OwnSessions, session: Session, body: LoginRequest) -> Reviewer:
    return await login.log_in(container, sessions, session, body)


sessions_router = session_router(_log_in, queries.find_reviewer, ROLES, refusals=(WrongCaptcha,), witness=witness)


@router.post(
    "/captchas",
    status_code=201,
    response_model_exclude_none=True,
    openapi_extra=CREDENTIALS,
    dependencies=[Depends(rate_limit("60/minute"))],
)
async def create_captcha(container: Deps, session: Session) -> CaptchaRead:
    """A picture to be read by a person. It is good for one login attempt."""
    question = await login.new_captcha(container, session)
    return CaptchaRead(
        captcha_id=question.captcha_id,
        image=question.image,
        expires_in=int(CAPTCHA_LIFETIME.total_seconds()),
        answer=question.answer if container.settings.demo else None,
    )


@router.get("/me", responses=problems(InvalidToken))
async def read_me(session: Session, principal: LoggedInAtFirst) -> ReviewerRead:
    """Who is logged in."""
    reviewer = await queries.get_reviewer(session, principal.subject)
    return ReviewerRead.model_validate(reviewer, from_attributes=True)
