"""HTTP routes of the enterprise service: parse, one use case, answer with a view."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request

from services.enterprise import service, views
from services.enterprise.audit import AUDIT_LABELS, AuditAction
from services.enterprise.domain import INITIAL_PASSWORD
from services.enterprise.errors import (
    CheckDigitRight,
    EnterpriseExists,
    EnterpriseNotFound,
    ExceptionExists,
    ExceptionNotFound,
    TaxpayerIdInvalid,
)
from services.enterprise.schemas import (
    EXCEPTED,
    EnterpriseAccount,
    EnterpriseChange,
    EnterpriseFound,
    EnterpriseLookup,
    EnterpriseRead,
    EnterpriseRegistration,
    ExceptionAddition,
    ExceptionRead,
    ExceptionRevocation,
    LoginRequest,
)
from shared.audit.endpoints import Alternatives, audit_router
from shared.auth.access import address_of, allow
from shared.auth.endpoints import OwnSessions, session_routers
from shared.auth.sessions import Checked
from shared.auth.tokens import Principal
from shared.runtime.container import Container
from shared.web.openapi import problems
from shared.web.pagination import InvalidCursor, Page, Paging
from shared.web.ratelimit import rate_limit
from shared.web.routing import CONTAINER, Session, transactional_router
from shared.web.validation import Identifier

router = transactional_router()

OwnContainer = Annotated[Container, CONTAINER]
LoggedIn = Annotated[Principal, allow("enterprise")]
Administrator = Annotated[Principal, allow("admin")]
LoggedInAtFirst = Annotated[Principal, allow("enterprise", initial_password=True)]


async def _log_in(request: Request, container: OwnContainer, sessions: OwnSessions, body: LoginRequest) -> Checked:
    return await service.log_in(container, sessions, body, address_of(request))


session_endpoints = session_routers(
    _log_in, service.find_account, ("enterprise",), initial_passwords=(INITIAL_PASSWORD,)
)


async def narrow_audit(
    container: OwnContainer,
    session: Session,
    taxpayer_id: Annotated[Identifier | None, Query(max_length=40, description="the whole id")] = None,
) -> Alternatives:
    """Read this trail's own filter, as a FastAPI dependency."""
    return await service.narrow_audit(container, session, taxpayer_id)


audit = audit_router(AuditAction, AUDIT_LABELS, narrowing=narrow_audit, naming=service.name_subjects)


async def _find_exception(request: Request, container: OwnContainer, session: Session) -> None:
    try:
        body = await request.json()
    except ValueError:
        # Said where the body itself is read.
        return
    if isinstance(body, dict):
        EXCEPTED.set(await service.excepted_id(container, session, body.get("taxpayer_id")))


@router.post(
    "/enterprises",
    status_code=201,
    responses=problems(TaxpayerIdInvalid, EnterpriseExists),
    dependencies=[Depends(rate_limit("20/minute")), Depends(_find_exception)],
)
async def register_enterprise(
    container: OwnContainer, session: Session, body: EnterpriseRegistration
) -> EnterpriseAccount:
    """Register an enterprise. Its account is the taxpayer id, its password 111111 until it is changed."""
    return views.new_account(container.cipher, await service.register_enterprise(container, session, body))


@router.post("/enterprises/lookup", responses=problems(TaxpayerIdInvalid, EnterpriseNotFound))
async def look_up_enterprise(
    container: OwnContainer, session: Session, _: Administrator, body: EnterpriseLookup
) -> EnterpriseFound:
    """Find an enterprise by its account. Posted, because an address is no place for an id number."""
    return views.found(await service.look_up(container, session, body.taxpayer_id))


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


@router.get("/taxpayer-exceptions", responses=problems(InvalidCursor))
async def list_exceptions(
    container: OwnContainer, session: Session, _: Administrator, page: Paging
) -> Page[ExceptionRead]:
    """The taxpayer ids that may register though their check character is wrong, the newest first."""
    rows, next_cursor = await service.list_exceptions(session, page)
    return Page(items=[views.exception(container.cipher, row) for row in rows], next_cursor=next_cursor)


@router.post(
    "/taxpayer-exceptions",
    status_code=201,
    responses=problems(TaxpayerIdInvalid, CheckDigitRight, EnterpriseExists, ExceptionExists),
)
async def add_exception(
    container: OwnContainer, session: Session, principal: Administrator, body: ExceptionAddition
) -> ExceptionRead:
    """Let exactly this taxpayer id register: its business licence was seen, and says it so. All other rules hold."""
    added = await service.add_exception(container, session, principal, body)
    return views.exception(container.cipher, added)


@router.post("/taxpayer-exceptions/{exception_id}/revocation", status_code=204, responses=problems(ExceptionNotFound))
async def revoke_exception(
    container: OwnContainer, session: Session, principal: Administrator, exception_id: UUID, body: ExceptionRevocation
) -> None:
    """Take an exception back. An enterprise that has registered with it stays."""
    await service.revoke_exception(container, session, principal, exception_id, body)
