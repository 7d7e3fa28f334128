"""Routes of captcha, login and the account that is logged in."""

from typing import Annotated

from fastapi import Depends

from services.review import views
from services.review.domain import ROLES
from services.review.endpoints.common import OwnContainer
from services.review.errors import WrongCaptcha
from services.review.models import Reviewer
from services.review.schemas import CaptchaRead, LoginRequest, ReviewerRead
from services.review.service import login
from shared.auth.access import allow
from shared.auth.endpoints import CREDENTIALS, OwnSessions, session_routers
from shared.auth.errors import InvalidToken
from shared.auth.tokens import Principal
from shared.web.openapi import problems
from shared.web.ratelimit import rate_limit
from shared.web.routing import Session, transactional_router

router = transactional_router()
LoggedInAtFirst = Annotated[Principal, allow(*ROLES, initial_password=True)]


async def _log_in(container: OwnContainer, sessions: OwnSessions, body: LoginRequest) -> Reviewer:
    return await login.log_in(container, sessions, body)


session_endpoints = session_routers(_log_in, login.find_account, ROLES, refusals=(WrongCaptcha,), witness=login.witness)


@router.post(
    "/captchas",
    status_code=201,
    response_model_exclude_none=True,
    openapi_extra=CREDENTIALS,
    dependencies=[Depends(rate_limit("60/minute"))],
)
async def create_captcha(container: OwnContainer, session: Session) -> CaptchaRead:
    """A picture to be read by a person. It is good for one login attempt."""
    question = await login.new_captcha(container, session)
    return views.captcha(question, with_answer=container.settings.demo)


@router.get("/me", responses=problems(InvalidToken))
async def read_me(session: Session, principal: LoggedInAtFirst) -> ReviewerRead:
    """Who is logged in."""
    return views.reviewer(await login.read_account(session, principal))
