"""Routes of login and the account that is logged in."""

from typing import Annotated

from fastapi import Request

from services.review import views
from services.review.domain import ROLES
from services.review.endpoints.common import OwnContainer
from services.review.schemas import LoginRequest, ReviewerRead
from services.review.service import login
from shared.auth.access import address_of, allow
from shared.auth.endpoints import OwnSessions, session_routers
from shared.auth.errors import InvalidToken
from shared.auth.sessions import Checked
from shared.auth.tokens import Principal
from shared.web.openapi import problems
from shared.web.routing import Session, transactional_router

router = transactional_router()
LoggedInAtFirst = Annotated[Principal, allow(*ROLES, initial_password=True)]


async def _log_in(request: Request, container: OwnContainer, sessions: OwnSessions, body: LoginRequest) -> Checked:
    return await login.log_in(container, sessions, body, address_of(request))


session_endpoints = session_routers(_log_in, login.find_account, ROLES, witness=login.witness)


@router.get("/me", responses=problems(InvalidToken))
async def read_me(session: Session, principal: LoggedInAtFirst) -> ReviewerRead:
    """Who is logged in."""
    return views.reviewer(await login.read_account(session, principal))
