"""The administrators' page of taxpayer ids that may register though their check character is wrong."""

from uuid import UUID

from fastapi import Response

from services.portal.api.enterprise import ExceptionRead, PageExceptionRead
from services.portal.context import Administrator, SignedIn
from services.portal.gateway import Refused
from services.portal.routing import page_router
from shared.errors import NotFound

router = page_router()

API = "/enterprise/v1/taxpayer-exceptions"
PAGE = "/admin/taxpayer-exceptions"
# In the column of the id they are about.
ABOUT_THE_ID = frozenset({"enterprise_exists", "exception_exists"})


async def _listed(context: SignedIn, cursor: str | None) -> PageExceptionRead:
    return await context.get(PageExceptionRead, API, params={"limit": 100, **({"cursor": cursor} if cursor else {})})


async def _list_page(
    context: SignedIn, status: int = 200, values: dict[str, str] | None = None, problem: Refused | None = None
) -> Response:
    cursor = context.request.query_params.get("cursor")
    errors = problem.errors if problem else {}
    if problem and problem.code in ABOUT_THE_ID:
        errors["taxpayer_id"] = problem.detail
    return context.page(
        "admin/exceptions.html",
        status,
        page=await _listed(context, cursor),
        first=cursor is None,
        values=values or {"taxpayer_id": "", "reason": ""},
        errors=errors,
        problem=problem.detail if problem else None,
    )


@router.get(PAGE)
async def list_exceptions(context: Administrator) -> Response:
    return await _list_page(context)


@router.post(PAGE)
async def add_exception(context: Administrator) -> Response:
    values = {name: context.field(name) for name in ("taxpayer_id", "reason")}
    try:
        await context.send("POST", API, json={name: value for name, value in values.items() if value}, once=True)
    except Refused as problem:
        return await _list_page(context, problem.status, values, problem)
    return context.redirect(PAGE, "exception-added")


@router.get(PAGE + "/{exception_id}/revocation")
async def confirm_revocation(context: Administrator, exception_id: UUID) -> Response:
    return context.page("admin/exception_revocation.html", exception=await _exception(context, exception_id), reason="")


@router.post(PAGE + "/{exception_id}/revocation")
async def revoke_exception(context: Administrator, exception_id: UUID) -> Response:
    reason = context.field("reason")
    try:
        body = {"reason": reason} if reason else {}
        await context.send("POST", f"{API}/{exception_id}/revocation", json=body, once=True)
    except Refused as problem:
        if problem.status == 404:
            raise
        return context.page(
            "admin/exception_revocation.html",
            problem.status,
            exception=await _exception(context, exception_id),
            reason=reason,
            errors=problem.errors,
            problem=problem.detail,
        )
    return context.redirect(PAGE, "exception-revoked")


async def _exception(context: SignedIn, exception_id: UUID) -> ExceptionRead:
    """Find one in the list: the API has no address for one. Raises NotFound."""
    cursor = None
    while True:
        page = await _listed(context, cursor)
        for exception in page.items:
            if exception.id == exception_id:
                return exception
        cursor = page.next_cursor
        if cursor is None:
            raise NotFound
