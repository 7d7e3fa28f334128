"""The pages of the review desk: the list, one application, decisions on one or many."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from fastapi import Response

from services.portal import words
from services.portal.api.review import (
    DecisionResult,
    DecisionResults,
    ImageRead,
    ItemDetail,
    ItemRead,
    NeighboursRead,
    PageItemRead,
)
from services.portal.context import DeskReader, Reviewer, SignedIn, polling_fragment
from services.portal.filters import Filters
from services.portal.gateway import Refused
from services.portal.reference import posts, reasons
from services.portal.routing import page_router
from shared.errors import NotFound

router = page_router()

HOME = "/review/items"
ITEMS = "/review/v1/items"
SIZES = ("20", "50", "100")
MOST = SIZES[-1]
# A draft is nobody's but its enterprise's.
STATUSES = [(status, label) for status, label in words.STATUSES.items() if status != "draft"]
LABELS = {"approve": "证书审核", "reject": "批量驳回", "withdraw": "撤回资质审核"}
# What the Enter key on a ticked box sends: it must not decide anything.
NO_ACTION = ""
# The order in which pictures are shown.
PICTURES: Sequence[str] = tuple(words.KINDS)
NOTHING_TICKED = "请先勾选申请"


@dataclass(frozen=True)
class Seen:
    """An application in the state that the reviewer was shown."""

    application_id: UUID
    revision: int
    decision_no: int

    @classmethod
    def of(cls, text: str) -> Self:
        """Read it from a form's field. Raises NotFound for what no page of ours has sent."""
        application_id, _, numbers = text.partition(":")
        revision, _, decision_no = numbers.partition(":")
        try:
            return cls(UUID(application_id), int(revision), int(decision_no))
        except ValueError:
            raise NotFound from None

    @property
    def body(self) -> dict[str, str | int]:
        return {"application_id": str(self.application_id), "revision": self.revision, "decision_no": self.decision_no}


def _filters(context: SignedIn, query: str) -> Filters:
    return Filters.of_query(query, context.account.seal_key)


def settled(item: ItemRead | ItemDetail) -> bool:
    """Tell whether nothing is on its way that would change the item by itself."""
    numbering = item.status == "approved" and not item.numbering_failure
    return not item.decision_pending and not numbering


async def _rows(context: SignedIn, application_ids: Iterable[UUID | str]) -> list[ItemRead]:
    params = {"application_ids": ",".join(map(str, application_ids)), "limit": MOST}
    return (await context.get(PageItemRead, ITEMS, params=params)).items


async def _list(context: SignedIn, filters: Filters, page: PageItemRead, status: int = 200, **more: Any) -> Response:
    given = {
        "filters": filters,
        "items": page.items,
        "next_cursor": page.next_cursor,
        "moving": [item.application_id for item in page.items if not settled(item)],
        "posts": [(post.code, post.name) for post in await posts(context)],
        "statuses": STATUSES,
        "sizes": [(size, f"{size} 条") for size in SIZES],
        "actions": LABELS,
        "ticked": frozenset(),
        "results": {},
        "path": HOME,
    }
    return context.page("desk/list.html", status, **{**given, **more})


@router.get("/review/items")
async def show_list(context: DeskReader, ticked: str = "") -> Response:
    filters = _filters(context, context.request.url.query)
    try:
        page = await context.get(PageItemRead, ITEMS, params={**filters.search, **filters.place})
    except Refused as problem:
        if problem.status != 422:
            raise
        return await _list(context, filters, PageItemRead(items=[]), 422, problem=problem.detail, errors=problem.errors)
    # An approval that was withdrawn is looked into again one by one.
    every = frozenset(item.application_id for item in page.items if not item.withdrawal)
    return await _list(context, filters, page, ticked=every if ticked == "all" else frozenset())


@router.post("/review/items/search")
async def search(context: DeskReader) -> Response:
    form = {name: context.field(name) for name in context.form}
    filters = Filters.of_form(form, context.account.seal_key)
    return context.redirect(f"{HOME}?{filters.query}" if filters.query else HOME)


@router.get("/review/items/states")
async def show_states(context: DeskReader, ids: str) -> Response:
    """Answer with the cells of a list that change by themselves."""
    items = await _rows(context, ids.split(","))
    return polling_fragment(context.page("desk/states.html", items=items), not all(settled(item) for item in items))


# --- many at once


@dataclass(frozen=True)
class Batch:
    """A posted selection: `shown` are the list's rows by application, `ticked` some of them."""

    action: str
    shown: Mapping[UUID, Seen]
    ticked: Sequence[UUID]

    @classmethod
    def of(cls, context: SignedIn) -> Self:
        """Read it from the posted form. Raises NotFound for what no page of ours has sent."""
        action = context.field("action")
        if action not in {*LABELS, NO_ACTION}:
            raise NotFound
        rows = [Seen.of(str(text)) for text in context.form.getlist("seen")]
        shown = {row.application_id: row for row in rows}
        written = {str(application_id): application_id for application_id in shown}
        ticked = [written[one] for one in context.form.getlist("ids") if isinstance(one, str) and one in written]
        return cls(action, shown, ticked)


@router.post("/review/decisions")
async def decide(context: Reviewer) -> Response:
    batch = Batch.of(context)
    if batch.action == NO_ACTION:
        return await _again(context, batch, ticked=frozenset(batch.ticked))
    if not batch.ticked:
        return await _again(context, batch, 422, problem=NOTHING_TICKED)
    if batch.action != "approve" and not context.field("asked"):
        return await _ask_reason(context, batch)
    try:
        results = await _send(context, batch.action, [batch.shown[one] for one in batch.ticked])
    except Refused as problem:
        wrong = {"problem": problem.detail, "errors": problem.errors}
        if batch.action != "approve":
            return await _ask_reason(context, batch, problem.status, **wrong)
        return await _again(context, batch, problem.status, **wrong, ticked=frozenset(batch.ticked))
    refused = frozenset(one for one, result in results.items() if result.outcome == "refused")
    return await _again(context, batch, ticked=refused, results=results)


async def _send(context: SignedIn, action: str, rows: Sequence[Seen]) -> dict[UUID, DecisionResult]:
    """Send the decision on these rows, and return the API's answers by application."""
    body: dict[str, Any] = {"action": action, "items": [row.body for row in rows]}
    body |= {name: context.field(name) for name in ("reason_code", "comment") if context.field(name)}
    answer = await context.post(DecisionResults, "/review/v1/decisions", json=body, once=True)
    return {result.application_id: result for result in answer.results}


async def _again(context: SignedIn, batch: Batch, status: int = 200, **more: Any) -> Response:
    """Show the same rows as before, whatever the filters would show by now, so that nothing slips out of sight."""
    rows = await _rows(context, batch.shown) if batch.shown else []
    page = PageItemRead(items=rows, next_cursor=context.field("next"))
    return await _list(context, _filters(context, context.field("query")), page, status, action=batch.action, **more)


async def _ask_reason(context: SignedIn, batch: Batch, status: int = 200, **more: Any) -> Response:
    return context.page(
        "desk/batch.html",
        status,
        path=HOME,
        batch=batch,
        label=LABELS[batch.action],
        items=await _rows(context, batch.ticked),
        reasons=await _fitting(context, (batch.action,)),
        query=context.field("query"),
        next_cursor=context.field("next"),
        values={name: context.field(name) for name in ("reason_code", "comment")},
        **more,
    )


async def _fitting(context: SignedIn, actions: Sequence[str]) -> list[tuple[str, str]]:
    """Return the reasons one of `actions` may have, as options."""
    return [
        (reason.code, reason.label + ("（须填写说明）" if reason.needs_comment else ""))
        for reason in await reasons(context)
        if set(reason.actions) & set(actions)
    ]


# --- one application


@router.get("/review/items/{application_id}")
async def show_item(context: DeskReader, application_id: UUID) -> Response:
    return await _item(context, application_id, _filters(context, context.request.url.query))


def _place(image: ImageRead) -> int:
    """Find the picture's place in a row; a kind of a later version is shown last."""
    return PICTURES.index(image.kind) if image.kind in PICTURES else len(PICTURES)


async def _item(
    context: SignedIn,
    application_id: UUID,
    filters: Filters,
    status: int = 200,
    values: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    """Show one application; `values` are what was typed into the decision's form."""
    item, neighbours = await asyncio.gather(
        context.get(ItemDetail, f"{ITEMS}/{application_id}"),
        context.get(NeighboursRead, f"{ITEMS}/{application_id}/neighbours", params=filters.search),
    )
    for images in (item.images, *(revision.images for revision in item.revisions)):
        images.sort(key=_place)
    return context.page(
        "desk/item.html",
        status,
        item=item,
        neighbours=neighbours,
        query=filters.query,
        reasons=await _fitting(context, item.actions),
        settled=settled(item),
        changed=False,
        at=_state(item),
        values=values or {"reason_code": "", "comment": "", "go_on": "yes"},
        **more,
    )


def _state(item: ItemRead | ItemDetail) -> str:
    return f"{item.revision}:{item.decision_no}:{item.status}"


@router.get("/review/items/{application_id}/status")
async def show_status(context: DeskReader, application_id: UUID, at: str = "") -> Response:
    """Answer with the state, and with whether it is another than `at`, which the page shows."""
    items = await _rows(context, [application_id])
    if not items:
        raise NotFound
    query = _filters(context, context.request.url.query).query
    page = context.page("desk/status.html", item=items[0], query=query, changed=_state(items[0]) != at)
    return polling_fragment(page, not settled(items[0]))


@router.get("/review/items/{application_id}/images/{kind}")
async def show_image(
    context: DeskReader, application_id: UUID, kind: words.Kind, revision: int | None = None
) -> Response:
    params = {} if revision is None else {"revision": revision}
    path = f"/renewal/v1/applications/{application_id}/images/{kind}"
    return await context.picture(path, "content-disposition", **params)


@router.post("/review/items/{application_id}/decision")
async def decide_one(context: Reviewer, application_id: UUID) -> Response:
    filters = _filters(context, context.field("query"))
    action, seen = context.field("action"), Seen.of(context.field("seen"))
    if seen.application_id != application_id:
        raise NotFound
    values = {name: context.field(name) for name in ("reason_code", "comment", "go_on")}
    if action == NO_ACTION:
        return await _item(context, application_id, filters, values=values)
    try:
        results = await _send(context, action, [seen])
    except Refused as problem:
        wrong = {"problem": problem.detail, "errors": problem.errors}
        return await _item(context, application_id, filters, problem.status, values, **wrong)
    result = results[seen.application_id]
    if result.outcome == "refused":
        return await _item(context, application_id, filters, 409, values, problem=result.detail)
    if not values["go_on"]:
        return context.redirect(f"{HOME}/{application_id}?{filters.query}", "decided")
    return await _go_on(context, application_id, action, filters)


async def _go_on(context: SignedIn, application_id: UUID, action: str, filters: Filters) -> Response:
    waiting = {} if action == "withdraw" else {"status": "pending_review"}
    path = f"{ITEMS}/{application_id}/neighbours"
    near = await context.get(NeighboursRead, path, params={**filters.search, **waiting})
    following = near.next or near.previous
    if following is None:
        return context.redirect(f"{HOME}?{filters.query}", "decided-last")
    return context.redirect(f"{HOME}/{following.application_id}?{filters.query}", "decided-next")
