"""The route of the audit trail."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from services.review.audit import AUDIT_LABELS, AuditAction
from services.review.domain import application_number as written
from services.review.endpoints.common import OwnContainer
from services.review.errors import IdNumberInvalid
from services.review.schemas import ApplicationNumber, AuditSearch
from services.review.service import desk, trail
from shared.audit.endpoints import Alternatives, audit_router
from shared.web.validation import Identifier, LoginName, Sought


async def narrow(
    container: OwnContainer,
    account: Annotated[
        LoginName | None, Query(max_length=100, description="a username: what it did and what was done to it")
    ] = None,
    application_number: Annotated[ApplicationNumber | None, Query(description="HZ and digits, or these alone")] = None,
    name: Annotated[Sought | None, Query(max_length=50, description="any part of the applicant's name")] = None,
    id_number: Annotated[Identifier | None, Query(max_length=40, description="the applicant's, whole")] = None,
    enterprise: Annotated[Sought | None, Query(max_length=100, description="any part of the name")] = None,
    enterprise_id: UUID | None = None,
) -> Alternatives:
    """Read this trail's own filters, as a FastAPI dependency. Raises IdNumberInvalid."""
    search = AuditSearch(
        account=account,
        application_number=written(application_number) if application_number else None,
        name=name,
        id_number_index=desk.index_id_number(container, id_number) if id_number else None,
        enterprise=enterprise,
        enterprise_id=enterprise_id,
    )
    return trail.narrow(search)


router = audit_router(
    AuditAction, AUDIT_LABELS, narrowing=narrow, naming=trail.name_subjects, refusals=(IdNumberInvalid,)
)
