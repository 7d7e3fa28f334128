"""HTTP routes of the enterprise service: parse, one use case, answer with a view."""

from typing import Annotated

from fastapi import Depends, Request

from services.enterprise import service, views
from services.enterprise.domain import INITIAL_PASSWORD
from services.enterprise.errors import EnterpriseExists, TaxpayerIdInvalid
from services.enterprise.schemas import (
    EnterpriseAccount,
    EnterpriseChange,
    EnterpriseRead,
    EnterpriseRegistration,
    LoginRequest,
)
from shared.auth.access import address_of, allow
from shared.auth.endpoints import OwnSessions, session_routers
from shared.auth.sessions import Checked
from shared.auth.tokens import Principal
from shared.runtime.container import Container
from shared.web.openapi import problems
from shared.web.ratelimit import rate_limit
from shared.web.routing import CONTAINER, Session, transactional_router

router = transactional_router()

OwnContainer = Annotated[Container, CONTAINER]
LoggedIn = Annotated[Principal, allow("enterprise")]
LoggedInAtFirst = Annotated[Principal, allow("enterprise", initial_password=True)]


async def _log_in(request: Request, container: OwnContainer, sessions: OwnSessions, body: LoginRequest) -> Checked:
    return await service.log_in(container, sessions, body, address_of(request))


session_endpoints = session_routers(
    _log_in, service.find_account, ("enterprise",), initial_passwords=(INITIAL_PASSWORD,)
)


@router.post(
    "/enterprises",
    status_code=201,
    responses=problems(TaxpayerIdInvalid, EnterpriseExists),
    dependencies=[Depends(rate_limit("20/minute"))],
)
async def register_enterprise(
    container: OwnContainer, session: Session, body: EnterpriseRegistration
) -> EnterpriseAccount:
    """Register an enterprise. Its account is the taxpayer id, its password 111111 until it is changed."""
    return views.new_account(container.cipher, await service.register_enterprise(container, session, body))


@router.get("/me")
async def read_me(container: OwnContainer, session: Session, principal: LoggedInAtFirst) -> EnterpriseRead:
    """The enterprise that is logged in."""
    return views.enterprise(container.cipher, await service.read_enterprise(session, principal.subject))


@router.patch("/me")
async def change_me(
    container: OwnContainer, session: Session, principal: LoggedIn, body: EnterpriseChange
) -> EnterpriseRead:
    """Change name, contact or address."""
    return views.enterprise(
        container.cipher, await service.change_enterprise(container, session, principal.subject, body)
    )
