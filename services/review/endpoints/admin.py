"""For administrators: the reviewers' accounts."""

from uuid import UUID

from services.review import queries, views
from services.review.endpoints.common import Administering, Deps
from services.review.errors import OwnAdminRole, ReviewerExists, ReviewerNotFound
from services.review.schemas import (
    InitialPassword,
    ReviewerAccount,
    ReviewerChange,
    ReviewerCreated,
    ReviewerCreation,
)
from services.review.service import reviewers
from shared.auth.endpoints import CREDENTIALS, OwnSessions
from shared.web.openapi import problems
from shared.web.pagination import InvalidCursor, Page, Paging, split_page
from shared.web.routing import Session, transactional_router

router = transactional_router()


@router.get("/reviewers", responses=problems(InvalidCursor))
async def list_reviewers(session: Session, _: Administering, page: Paging) -> Page[ReviewerAccount]:
    """All accounts, newest first."""
    rows = await queries.list_reviewers(session, page)
    kept, next_cursor = split_page(rows, page, lambda reviewer: (reviewer.created_at, reviewer.id))
    return Page(items=[views.account(reviewer) for reviewer in kept], next_cursor=next_cursor)


@router.post("/reviewers", status_code=201, responses=problems(ReviewerExists), openapi_extra=CREDENTIALS)
async def create_reviewer(
    container: Deps, session: Session, principal: Administering, body: ReviewerCreation
) -> ReviewerCreated:
    """Add an account. Its initial password is in this answer and nowhere else."""
    reviewer, password = await reviewers.add_reviewer(
        container, session, principal, username=body.username, name=body.name, roles=body.roles
    )
    return ReviewerCreated(**views.reviewer_fields(reviewer), initial_password=password)


@router.patch("/reviewers/{reviewer_id}", responses=problems(ReviewerNotFound, OwnAdminRole))
async def change_reviewer(
    container: Deps,
    sessions: OwnSessions,
    session: Session,
    principal: Administering,
    reviewer_id: UUID,
    body: ReviewerChange,
) -> ReviewerAccount:
    """Change name or roles, disable or enable. Who loses a role or is disabled is logged out everywhere."""
    return views.account(await reviewers.change_reviewer(container, sessions, session, principal, reviewer_id, body))


@router.post("/reviewers/{reviewer_id}/password-reset", responses=problems(ReviewerNotFound), openapi_extra=CREDENTIALS)
async def reset_password(
    container: Deps, sessions: OwnSessions, session: Session, principal: Administering, reviewer_id: UUID
) -> InitialPassword:
    """Give the account a new initial password, shown once; all its sessions end."""
    return InitialPassword(
        initial_password=await reviewers.reset_password(container, sessions, session, principal, reviewer_id)
    )
