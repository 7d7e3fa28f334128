"""Routes of the desk: list, dossier, statistics, reasons, decisions."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Response

from services.review import views
from services.review.domain import ItemStatus
from services.review.endpoints.common import DeskReader, OwnContainer, Reviewer
from services.review.errors import (
    CommentRequired,
    IdNumberInComment,
    IdNumberInvalid,
    ItemNotFound,
    ReasonRequired,
    UnknownReason,
)
from services.review.schemas import (
    DecisionRequest,
    DecisionResults,
    ItemDetail,
    ItemRead,
    ItemSearch,
    NeighboursRead,
    ReasonRead,
    StatisticsRead,
)
from services.review.service import decisions, desk
from shared.web.openapi import problems
from shared.web.pagination import InvalidCursor, Page, Paging
from shared.web.routing import Session, bare_router, transactional_router
from shared.web.validation import FromMoment, Identifier, Ids, Sought, Text, ToMoment

# Bare is what is read outside of transactions.
router, bare = transactional_router(), bare_router()


async def item_search(
    container: OwnContainer,
    name: Annotated[Sought | None, Query(max_length=50, description="any part of the name")] = None,
    id_number: Annotated[Identifier | None, Query(max_length=40, description="the whole number")] = None,
    certificate_number: Annotated[Sought | None, Query(max_length=40, description="the whole number")] = None,
    post: Annotated[Text | None, Query(max_length=20, description="a post's code")] = None,
    status: ItemStatus | None = None,
    enterprise: Annotated[Sought | None, Query(max_length=100, description="any part of the name")] = None,
    added_from: FromMoment | None = None,
    added_to: ToMoment | None = None,
    application_ids: Annotated[Ids | None, Query(description="repeated, or with commas between")] = None,
) -> ItemSearch:
    """Read the filters, as a FastAPI dependency. Raises IdNumberInvalid."""
    return ItemSearch(
        name=name,
        id_number_index=desk.index_id_number(container, id_number) if id_number else None,
        certificate_number=certificate_number,
        post=post,
        status=status,
        enterprise=enterprise,
        added_from=added_from,
        added_to=added_to,
        application_ids=application_ids,
    )


Search = Annotated[ItemSearch, Depends(item_search)]


@bare.get("/items", response_model=Page[ItemRead], responses=problems(IdNumberInvalid, InvalidCursor))
async def list_items(container: OwnContainer, _: DeskReader, page: Paging, search: Search) -> Response:
    """Applications, newest first; all given filters must hold. Id numbers are masked."""
    rows, next_cursor = await desk.list_items(container, search, page)
    return Response(views.page_of_items(container.cipher, rows, next_cursor), media_type="application/json")


@router.get("/items/{application_id}", responses=problems(ItemNotFound))
async def read_item(
    container: OwnContainer, session: Session, principal: DeskReader, application_id: UUID
) -> ItemDetail:
    """Everything about one application, with the full id number: the audit trail notes who looked."""
    dossier = await desk.open_dossier(container, session, principal, application_id)
    return views.detail(container.cipher, dossier)


@bare.get("/items/{application_id}/neighbours", responses=problems(ItemNotFound, IdNumberInvalid))
async def read_neighbours(
    container: OwnContainer, _: DeskReader, application_id: UUID, search: Search
) -> NeighboursRead:
    """What stands before and after the application in the list that these filters give.

    The application itself need not match them, so that a reviewer who has decided one goes on to the next.
    """
    return views.neighbours(*await desk.find_neighbours(container, application_id, search))


@router.get("/statistics")
async def read_statistics(
    container: OwnContainer,
    session: Session,
    _: DeskReader,
    days: Annotated[int, Query(ge=1, le=90, description="up to today")] = 30,
) -> StatisticsRead:
    """What waits and since when, and what was decided on each day; refused decisions do not count."""
    return views.statistics(await desk.read_statistics(container, session, days))


@router.get("/reasons", response_model_exclude_none=True)
async def list_reasons(_: DeskReader) -> list[ReasonRead]:
    """The reasons to choose from when rejecting or withdrawing."""
    return views.reasons()


@router.post(
    "/decisions",
    response_model_exclude_none=True,
    responses=problems(ReasonRequired, UnknownReason, CommentRequired, IdNumberInComment),
)
async def decide(
    container: OwnContainer, session: Session, principal: Reviewer, body: DecisionRequest
) -> DecisionResults:
    """Approve, reject or withdraw up to 500 applications. Each row has its own answer; one bad row harms no other.

    `accepted` means that the decision is on its way: what became of it shows in the item a moment later.
    """
    refusals = await decisions.decide(container, session, principal, body)
    return views.decision_results(body, refusals)
