"""The audit trails, for administrators: searched by what people know, shown in words."""

from collections.abc import Mapping
from urllib.parse import urlencode

from fastapi import Response

from services.portal.api import certnumber, enterprise, renewal, review
from services.portal.audit_words import ON_APPLICATIONS, TRAILS, details
from services.portal.context import Administrator, SignedIn
from services.portal.gateway import Refused
from services.portal.reference import posts, reasons
from services.portal.routing import page_router
from services.portal.seal import seal, unseal
from shared.errors import NotFound

router = page_router()

HERE = "/admin/audit"
LOOKUP = "/enterprise/v1/enterprises/lookup"
Page = review.PageAuditRead | renewal.PageAuditRead | enterprise.PageAuditRead | certnumber.PageAuditRead
Trail = (
    type[review.PageAuditRead]
    | type[renewal.PageAuditRead]
    | type[enterprise.PageAuditRead]
    | type[certnumber.PageAuditRead]
)
AUDITS: Mapping[str, Trail] = {
    "review": review.PageAuditRead,
    "renewal": renewal.PageAuditRead,
    "enterprise": enterprise.PageAuditRead,
    "certnumber": certnumber.PageAuditRead,
}
PERSONAL = ("application_number", "name", "id_number", "enterprise", "taxpayer_id")
# What may be typed, by trail. It travels sealed: it may be an id number even where none is asked for.
TYPED: Mapping[str, tuple[str, ...]] = {
    "review": ("account", "actor", *PERSONAL),
    "renewal": ("account", "actor", *PERSONAL),
    "enterprise": ("account", "actor", "taxpayer_id"),
    "certnumber": ("account", "actor", "series"),
}
ALL_TYPED = ("account", "actor", *PERSONAL, "series")
CHOSEN = ("trail", "action", "from", "to")
NO_ACCOUNT = "没有这个账号，请核对后重新填写"
BACKWARDS = "开始时间晚于结束时间，请修改"


@router.post("/admin/audit/search")
async def search_audit(context: Administrator) -> Response:
    """Turn the filters into an address."""
    query = {name: context.field(name) for name in CHOSEN if context.field(name)}
    typed = {name: context.field(name) for name in ALL_TYPED if context.field(name)}
    if typed:
        query["sealed"] = seal(context.account.seal_key, typed)
    return context.redirect(f"{HERE}?{urlencode(query)}")


@router.get("/admin/audit")
async def show_audit(context: Administrator) -> Response:
    query = dict(context.request.query_params)
    trail = query.get("trail", "review")
    if trail not in TRAILS:
        raise NotFound
    unsealed = unseal(context.account.seal_key, query["sealed"]) if "sealed" in query else {}
    typed = {name: value for name, value in (unsealed or {}).items() if name in TYPED[trail]}
    chosen = {name: query[name] for name in CHOSEN if query.get(name)}
    values = {**typed, **chosen}
    page, problem, errors = await _search(context, trail, values, query.get("cursor"))
    names = {post.code: post.name for post in await posts(context)}
    labels = {reason.code: reason.label for reason in await reasons(context)}
    # Filters without the position: other pages of the same search; without the action: another trail has others.
    same = {name: value for name, value in query.items() if name in (*CHOSEN, "sealed")}
    kept = {name: value for name, value in same.items() if name != "action"}
    return context.page(
        "admin/audit.html",
        422 if errors else 200,
        trail=trail,
        trails=TRAILS,
        tabs=[(name, label, f"{HERE}?{urlencode({**kept, 'trail': name})}") for name, (label, _) in TRAILS.items()],
        typed=TYPED[trail],
        values={**dict.fromkeys((*ALL_TYPED, *CHOSEN), ""), **values},
        lost=unsealed is None,
        entries=[(entry, list(details(entry.detail, names, labels))) for entry in page.items],
        on_applications=ON_APPLICATIONS,
        first_url=f"{HERE}?{urlencode(same)}" if "cursor" in query else "",
        next_url=f"{HERE}?{urlencode({**same, 'cursor': page.next_cursor})}" if page.next_cursor else "",
        problem=problem,
        errors=errors,
    )


async def _search(
    context: SignedIn, trail: str, values: Mapping[str, str], cursor: str | None
) -> tuple[Page, str | None, Mapping[str, str]]:
    """Ask the trail; gives its page, and what is wrong with the search, in one sentence and by field."""
    model = AUDITS[trail]
    params = {**values, **({"cursor": cursor} if cursor else {})}
    params.pop("trail", None)
    if params.get("from") and params.get("to") and params["to"] < params["from"]:
        return model(items=[]), BACKWARDS, {"to": BACKWARDS}
    try:
        if errors := await _resolve(context, trail, params):
            return model(items=[]), next(iter(errors.values())), errors
        return await context.get(model, f"/{trail}/v1/audit", params=params), None, {}
    except Refused as problem:
        if problem.status != 422:
            raise
        return model(items=[]), problem.detail, problem.errors or {"": problem.detail}


async def _resolve(context: SignedIn, trail: str, params: dict[str, str]) -> dict[str, str]:
    """Put ids in place of the accounts that only another service knows by name. Gives what is wrong, by field."""
    errors = {}
    if "account" in params and trail != "review":
        account = await _account(context, params.pop("account"))
        if account is None:
            errors["account"] = NO_ACCOUNT
        else:
            params["actor_id"] = account
    if "taxpayer_id" in params and trail != "enterprise":
        body = {"taxpayer_id": params.pop("taxpayer_id")}
        try:
            found = await context.post(enterprise.EnterpriseFound, LOOKUP, json=body)
            params["enterprise_id"] = str(found.id)
        except Refused as problem:
            if problem.status not in {404, 422}:
                raise
            errors["taxpayer_id"] = problem.errors.get("taxpayer_id", problem.detail)
    return errors


async def _account(context: SignedIn, username: str) -> str | None:
    """Find the id of a reviewer's account."""
    page = await context.get(review.PageReviewerAccount, "/review/v1/reviewers", params={"username": username})
    return str(page.items[0].id) if page.items else None
