"""Routes for administrators: the reviewers' accounts."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from services.review import views
from services.review.endpoints.common import Administrator, OwnContainer
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
from shared.web.pagination import InvalidCursor, Page, Paging
from shared.web.routing import Session, bare_router, transactional_router
from shared.web.validation import LoginName

# Bare is what waits for a password's hash.
router, bare = transactional_router(), bare_router()


@router.get("/reviewers", responses=problems(InvalidCursor))
async def list_reviewers(
    session: Session,
    _: Administrator,
    page: Paging,
    username: Annotated[LoginName | None, Query(max_length=100, description="the whole name of one account")] = None,
) -> Page[ReviewerAccount]:
    """All accounts, newest first."""
    rows, next_cursor = await reviewers.list_reviewers(session, page, username)
    return Page(items=[views.account(reviewer) for reviewer in rows], next_cursor=next_cursor)


@bare.post("/reviewers", status_code=201, responses=problems(ReviewerExists), openapi_extra=CREDENTIALS)
async def create_reviewer(container: OwnContainer, principal: Administrator, body: ReviewerCreation) -> ReviewerCreated:
    """Add an account. Its initial password is in this answer and nowhere else."""
    return views.new_account(*await reviewers.add_reviewer(container, principal, body))


@router.get("/reviewers/{reviewer_id}", responses=problems(ReviewerNotFound))
async def read_reviewer(session: Session, _: Administrator, reviewer_id: UUID) -> ReviewerAccount:
    """One account."""
    return views.account(await reviewers.read_reviewer(session, reviewer_id))


@router.patch("/reviewers/{reviewer_id}", responses=problems(ReviewerNotFound, OwnAdminRole))
async def change_reviewer(
    container: OwnContainer,
    sessions: OwnSessions,
    session: Session,
    principal: Administrator,
    reviewer_id: UUID,
    body: ReviewerChange,
) -> ReviewerAccount:
    """Change name or roles, disable or enable. Who loses a role or is disabled is logged out everywhere."""
    return views.account(await reviewers.change_reviewer(container, sessions, session, principal, reviewer_id, body))


@bare.post("/reviewers/{reviewer_id}/password-reset", responses=problems(ReviewerNotFound), openapi_extra=CREDENTIALS)
async def reset_password(
    container: OwnContainer, sessions: OwnSessions, principal: Administrator, reviewer_id: UUID
) -> InitialPassword:
    """Give the account a new initial password, shown once; all its sessions end."""
    password = await reviewers.reset_password(container, sessions, principal, reviewer_id)
    return views.initial_password(password)
