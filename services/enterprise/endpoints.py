"""HTTP routes of the enterprise service: parse, one use case, answer."""

from typing import Annotated

from fastapi import Depends

from services.enterprise import queries, service
from services.enterprise.domain import INITIAL_PASSWORD
from services.enterprise.errors import EnterpriseExists, TaxpayerIdInvalid
from services.enterprise.models import Enterprise
from services.enterprise.schemas import (
    EnterpriseAccount,
    EnterpriseChange,
    EnterpriseRead,
    EnterpriseRegistration,
    LoginRequest,
)
from shared.auth.access import allow
from shared.auth.endpoints import OwnSessions, session_router
from shared.auth.tokens import Principal
from shared.runtime.container import Container
from shared.web.openapi import problems
from shared.web.ratelimit import rate_limit
from shared.web.routing import CONTAINER, Session, transactional_router

router = transactional_router()

Deps = Annotated[Container, CONTAINER]
LoggedIn = Annotated[Principal, allow("enterprise")]
LoggedInAtFirst = Annotated[Principal, allow("enterprise", initial_password=True)]


async def _log_in(container: Deps, sessions: OwnSessions, session: Session, body: LoginRequest) -> Enterprise:
    return await service.log_in(container, sessions, session, body)


sessions_router = session_router(_log_in, queries.find, ("enterprise",), initial_passwords=(INITIAL_PASSWORD,))


def _read(container: Container, enterprise: Enterprise) -> EnterpriseRead:
    taxpayer_id = enterprise.account_name(container.cipher)
    return EnterpriseRead(
        id=enterprise.id,
        account=taxpayer_id,
        taxpayer_id=taxpayer_id,
        name=enterprise.name,
        contact_name=enterprise.contact_name,
        contact_phone=enterprise.contact_phone,
        address=enterprise.address,
        must_change_password=enterprise.must_change_password,
        created_at=enterprise.created_at,
    )


@router.post(
    "/enterprises",
    status_code=201,
    responses=problems(TaxpayerIdInvalid, EnterpriseExists),
    dependencies=[Depends(rate_limit("20/minute"))],
)
async def register_enterprise(container: Deps, session: Session, body: EnterpriseRegistration) -> EnterpriseAccount:
    """Register an enterprise. Its account is the taxpayer id, its password 111111 until it is changed."""
    enterprise = _read(container, await service.register_enterprise(container, session, body))
    return EnterpriseAccount(**enterprise.model_dump(), initial_password=INITIAL_PASSWORD)


@router.get("/me")
async def read_me(container: Deps, session: Session, principal: LoggedInAtFirst) -> EnterpriseRead:
    """The enterprise that is logged in."""
    return _read(container, await queries.get(session, principal.subject))


@router.patch("/me")
async def change_me(container: Deps, session: Session, principal: LoggedIn, body: EnterpriseChange) -> EnterpriseRead:
    """Change name, contact or address."""
    return _read(container, await service.change_enterprise(container, session, principal.subject, body))
