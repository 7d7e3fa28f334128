"""For administrators: the reviewers' accounts, the number series, the audit trails."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Response

from services.portal.audit_words import ON_APPLICATIONS, ROLES, TRAILS, details
from services.portal.forms import page_router
from services.portal.gateway import Refused
from services.portal.reference import posts, reasons
from services.portal.seal import seal, unseal
from services.portal.visit import Administering, Visit
from shared.errors import NotFound

router = page_router()

REVIEWERS = "/review/v1/reviewers"
SERIES = "/certnumber/v1/series"
PAGE = 100
AUDIT_TYPED = ("actor", "subject")
AUDIT_CHOSEN = ("trail", "action", "from", "to")


async def _listed(visit: Visit, path: str) -> dict[str, Any]:
    """The page of a list that the address asks for."""
    cursor = visit.request.query_params.get("cursor")
    page: dict[str, Any] = await visit.api(
        "GET", path, params={"limit": PAGE, **({"cursor": cursor} if cursor else {})}
    )
    return page


async def _found(visit: Visit, path: str, identity: UUID) -> dict[str, Any]:
    """One of a list, from the page of it that the address names: the API has no address for one. Raises NotFound."""
    for item in (await _listed(visit, path))["items"]:
        if item["id"] == str(identity):
            found: dict[str, Any] = item
            return found
    raise NotFound


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without the fields left empty, which are then missing and not too short."""
    return {name: value for name, value in values.items() if value != ""}


def _place(visit: Visit) -> str:
    """The query that leads back to the same page of the list."""
    cursor = visit.request.query_params.get("cursor")
    return "?" + urlencode({"cursor": cursor}) if cursor else ""


# --- reviewers


def _account(visit: Visit) -> dict[str, Any]:
    return {"name": visit.field("name"), "roles": [str(role) for role in visit.form.getlist("roles")]}


def _account_errors(problem: Refused) -> dict[str, str]:
    errors = problem.errors
    if "roles" in errors:
        errors["roles"] = "请至少选择一个角色"
    if problem.code == "reviewer_exists":
        errors["username"] = f"{problem.detail}；如果是刚刚重复提交的，请在列表中为它重置密码"
    return errors


@router.get("/admin/reviewers")
async def list_reviewers(visit: Administering) -> Response:
    page = await _listed(visit, REVIEWERS)
    return visit.page("admin/reviewers.html", page=page, place=_place(visit), roles=ROLES)


@router.get("/admin/reviewers/new")
async def reviewer_form(visit: Administering) -> Response:
    return visit.page("admin/reviewer_new.html", values={"username": "", "name": "", "roles": []}, roles=ROLES)


@router.post("/admin/reviewers")
async def add_reviewer(visit: Administering) -> Response:
    values = {"username": visit.field("username"), **_account(visit)}
    try:
        added = await visit.api("POST", REVIEWERS, json=_filled(values))
    except Refused as problem:
        errors = _account_errors(problem)
        context = {"values": values, "roles": ROLES, "errors": errors, "problem": problem.detail}
        return visit.page("admin/reviewer_new.html", problem.status, **context)
    return visit.page("admin/password.html", 201, reviewer=added, password=added["initial_password"], added=True)


@router.get("/admin/reviewers/{reviewer_id}")
async def show_reviewer(visit: Administering, reviewer_id: UUID) -> Response:
    reviewer = await _found(visit, REVIEWERS, reviewer_id)
    return visit.page("admin/reviewer.html", reviewer=reviewer, values=reviewer, roles=ROLES, place=_place(visit))


@router.post("/admin/reviewers/{reviewer_id}")
async def change_reviewer(visit: Administering, reviewer_id: UUID) -> Response:
    """Name and roles, or with the button `disabled` only that."""
    values = _account(visit)
    body = {"disabled": visit.field("disabled") == "yes"} if visit.field("disabled") else values
    try:
        await visit.api("PATCH", f"{REVIEWERS}/{reviewer_id}", json=body)
    except Refused as problem:
        if problem.status == 404:
            raise
        return visit.page(
            "admin/reviewer.html",
            problem.status,
            reviewer=await _found(visit, REVIEWERS, reviewer_id),
            values=values,
            roles=ROLES,
            place=_place(visit),
            errors=_account_errors(problem),
            problem=problem.detail,
        )
    return visit.redirect("/admin/reviewers" + _place(visit), "reviewer-saved")


@router.get("/admin/reviewers/{reviewer_id}/password-reset")
async def confirm_reset(visit: Administering, reviewer_id: UUID) -> Response:
    reviewer = await _found(visit, REVIEWERS, reviewer_id)
    return visit.page("admin/password_reset.html", reviewer=reviewer, place=_place(visit))


@router.post("/admin/reviewers/{reviewer_id}/password-reset")
async def reset_password(visit: Administering, reviewer_id: UUID) -> Response:
    reviewer = await _found(visit, REVIEWERS, reviewer_id)
    answer = await visit.api("POST", f"{REVIEWERS}/{reviewer_id}/password-reset")
    return visit.page("admin/password.html", reviewer=reviewer, password=answer["initial_password"], added=False)


# --- number series


def _series(visit: Visit) -> dict[str, Any]:
    return {
        "name": visit.field("name"),
        "layout": visit.field("layout"),
        # None ticked: the series for whatever no other one names.
        "posts": [str(post) for post in visit.form.getlist("posts")] or None,
        "yearly": bool(visit.field("yearly")),
        "active": bool(visit.field("active")),
    }


async def _series_page(
    visit: Visit, values: Mapping[str, Any], series: Mapping[str, Any] | None, problem: Refused | None = None
) -> Response:
    """The form for a new series, or for the `series` that there is."""
    known = await posts(visit)
    detail = problem.detail if problem else None
    if problem and problem.document.get("posts"):
        names = {post["code"]: post["name"] for post in known}
        detail = f"{detail}：" + "、".join(names.get(code, code) for code in problem.document["posts"])
    return visit.page(
        "admin/series_form.html",
        problem.status if problem else 200,
        values=values,
        series=series,
        posts=known,
        place=_place(visit),
        problem=detail,
        errors=problem.errors if problem else {},
    )


@router.get("/admin/series")
async def list_series(visit: Administering) -> Response:
    page = await _listed(visit, SERIES)
    names = {post["code"]: post["name"] for post in await posts(visit)}
    return visit.page("admin/series.html", page=page, names=names, place=_place(visit))


@router.get("/admin/series/new")
async def series_form(visit: Administering) -> Response:
    values = {"name": "", "layout": "", "posts": None, "yearly": False, "active": True}
    return await _series_page(visit, values, None)


@router.post("/admin/series")
async def add_series(visit: Administering) -> Response:
    values = _series(visit)
    try:
        await visit.api("POST", SERIES, json=_filled(values), once=True)
    except Refused as problem:
        return await _series_page(visit, values, None, problem)
    return visit.redirect("/admin/series", "series-saved")


@router.get("/admin/series/{series_id}")
async def show_series(visit: Administering, series_id: UUID) -> Response:
    series = await _found(visit, SERIES, series_id)
    return await _series_page(visit, series, series)


@router.post("/admin/series/{series_id}")
async def change_series(visit: Administering, series_id: UUID) -> Response:
    values = _series(visit)
    try:
        await visit.api("PATCH", f"{SERIES}/{series_id}", json=values)
    except Refused as problem:
        if problem.status == 404:
            raise
        return await _series_page(visit, values, await _found(visit, SERIES, series_id), problem)
    return visit.redirect("/admin/series" + _place(visit), "series-saved")


# --- audit trails


@router.post("/admin/audit/search")
async def search_audit(visit: Administering) -> Response:
    """The filters as an address, with what was typed sealed: it may be an id number."""
    query = {name: visit.field(name) for name in AUDIT_CHOSEN if visit.field(name)}
    typed = {name: visit.field(name) for name in AUDIT_TYPED if visit.field(name)}
    if typed:
        query["sealed"] = seal(visit.seal_key, typed)
    return visit.redirect("/admin/audit?" + urlencode(query))


@router.get("/admin/audit")
async def show_audit(visit: Administering) -> Response:
    query = dict(visit.request.query_params)
    trail = query.get("trail", "review")
    if trail not in TRAILS:
        raise NotFound
    typed = unseal(visit.seal_key, query["sealed"]) if "sealed" in query else {}
    values = {name: query[name] for name in AUDIT_CHOSEN if query.get(name)} | (typed or {})
    params = {name: value for name, value in {**values, "cursor": query.get("cursor")}.items() if value}
    params.pop("trail", None)
    wrong: Refused | None = None
    try:
        page = await visit.api("GET", f"/{trail}/v1/audit", params=params)
    except Refused as problem:
        if problem.status != 422:
            raise
        wrong, page = problem, {"items": [], "next_cursor": None}
    names = {post["code"]: post["name"] for post in await posts(visit)}
    labels = {reason["code"]: reason["label"] for reason in await reasons(visit)}
    # Filters without the position: other pages of the same search.
    same = {name: value for name, value in query.items() if name in (*AUDIT_CHOSEN, "sealed")}
    return visit.page(
        "admin/audit.html",
        wrong.status if wrong else 200,
        trail=trail,
        trails=TRAILS,
        values={**dict.fromkeys((*AUDIT_TYPED, *AUDIT_CHOSEN), ""), **values},
        lost=typed is None,
        entries=[(entry, list(details(entry, names, labels))) for entry in page["items"]],
        on_applications=ON_APPLICATIONS,
        first_url="/admin/audit?" + urlencode(same) if "cursor" in query else "",
        next_url="/admin/audit?" + urlencode({**same, "cursor": page["next_cursor"]}) if page["next_cursor"] else "",
        problem=wrong.detail if wrong else None,
        errors=wrong.errors if wrong else {},
    )
