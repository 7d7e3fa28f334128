"""The pages for administrators: the reviewers' accounts, the number series."""

from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Response

from services.portal.api import certnumber, review
from services.portal.audit_words import ROLES
from services.portal.context import Administrator, SignedIn
from services.portal.gateway import Refused
from services.portal.reference import posts
from services.portal.routing import page_router

router = page_router()

REVIEWERS = "/review/v1/reviewers"
SERIES = "/certnumber/v1/series"
PAGE = 100
Page = TypeVar("Page", review.PageReviewerAccount, certnumber.PageSeriesRead)


async def _listed(context: SignedIn, model: type[Page], path: str) -> Page:
    """Ask for the page of a list that the address names."""
    cursor = context.request.query_params.get("cursor")
    return await context.get(model, path, params={"limit": PAGE, **({"cursor": cursor} if cursor else {})})


async def _reviewer(context: SignedIn, reviewer_id: UUID) -> review.ReviewerAccount:
    return await context.get(review.ReviewerAccount, f"{REVIEWERS}/{reviewer_id}")


async def _series(context: SignedIn, series_id: UUID) -> certnumber.SeriesRead:
    return await context.get(certnumber.SeriesRead, f"{SERIES}/{series_id}")


def _filled(values: Mapping[str, object]) -> dict[str, object]:
    """Leave out the fields left empty, which are then missing and not too short."""
    return {name: value for name, value in values.items() if value != ""}


def _place(context: SignedIn) -> str:
    """Return the query that leads back to the same page of the list."""
    cursor = context.request.query_params.get("cursor")
    return "?" + urlencode({"cursor": cursor}) if cursor else ""


# --- reviewers


def _account(context: SignedIn) -> dict[str, object]:
    return {"name": context.field("name"), "roles": [str(role) for role in context.form.getlist("roles")]}


def _account_errors(problem: Refused) -> dict[str, str]:
    errors = problem.errors
    if "roles" in errors:
        errors["roles"] = "请至少选择一个角色"
    if problem.code == "reviewer_exists":
        errors["username"] = f"{problem.detail}；如果是刚刚重复提交的，请在列表中为它重置密码"
    return errors


@router.get("/admin/reviewers")
async def list_reviewers(context: Administrator) -> Response:
    page = await _listed(context, review.PageReviewerAccount, REVIEWERS)
    return context.page("admin/reviewers.html", page=page, place=_place(context), roles=ROLES)


@router.get("/admin/reviewers/new")
async def reviewer_form(context: Administrator) -> Response:
    return context.page("admin/reviewer_new.html", values={"username": "", "name": "", "roles": []}, roles=ROLES)


@router.post("/admin/reviewers")
async def add_reviewer(context: Administrator) -> Response:
    values = {"username": context.field("username"), **_account(context)}
    try:
        added = await context.post(review.ReviewerCreated, REVIEWERS, json=_filled(values))
    except Refused as problem:
        return context.page(
            "admin/reviewer_new.html",
            problem.status,
            values=values,
            roles=ROLES,
            errors=_account_errors(problem),
            problem=problem.detail,
        )
    return context.page("admin/password.html", 201, reviewer=added, password=added.initial_password, added=True)


@router.get("/admin/reviewers/{reviewer_id}")
async def show_reviewer(context: Administrator, reviewer_id: UUID) -> Response:
    reviewer = await _reviewer(context, reviewer_id)
    return context.page("admin/reviewer.html", reviewer=reviewer, values=reviewer, roles=ROLES, place=_place(context))


@router.post("/admin/reviewers/{reviewer_id}")
async def change_reviewer(context: Administrator, reviewer_id: UUID) -> Response:
    """Change name and roles, or with the button `disabled` only that."""
    values = _account(context)
    body = {"disabled": context.field("disabled") == "yes"} if context.field("disabled") else values
    try:
        await context.send("PATCH", f"{REVIEWERS}/{reviewer_id}", json=body)
    except Refused as problem:
        if problem.status == 404:
            raise
        return context.page(
            "admin/reviewer.html",
            problem.status,
            reviewer=await _reviewer(context, reviewer_id),
            values=values,
            roles=ROLES,
            place=_place(context),
            errors=_account_errors(problem),
            problem=problem.detail,
        )
    return context.redirect("/admin/reviewers" + _place(context), "reviewer-saved")


@router.get("/admin/reviewers/{reviewer_id}/password-reset")
async def confirm_reset(context: Administrator, reviewer_id: UUID) -> Response:
    reviewer = await _reviewer(context, reviewer_id)
    return context.page("admin/password_reset.html", reviewer=reviewer, place=_place(context))


@router.post("/admin/reviewers/{reviewer_id}/password-reset")
async def reset_password(context: Administrator, reviewer_id: UUID) -> Response:
    reviewer = await _reviewer(context, reviewer_id)
    answer = await context.post(review.InitialPassword, f"{REVIEWERS}/{reviewer_id}/password-reset")
    return context.page("admin/password.html", reviewer=reviewer, password=answer.initial_password, added=False)


# --- number series


def _rule(context: SignedIn) -> dict[str, object]:
    return {
        "name": context.field("name"),
        "layout": context.field("layout"),
        # None ticked: the series for whatever no other one names.
        "posts": [str(post) for post in context.form.getlist("posts")] or None,
        "yearly": bool(context.field("yearly")),
        "active": bool(context.field("active")),
    }


async def _series_page(
    context: SignedIn,
    values: Mapping[str, object] | certnumber.SeriesRead,
    series: certnumber.SeriesRead | None,
    problem: Refused | None = None,
    preview: certnumber.SeriesPreview | None = None,
) -> Response:
    """Show the form for a new series, or for the `series` that there is."""
    known = await posts(context)
    names = {post.code: post.name for post in known}
    detail, errors = (problem.detail, problem.errors) if problem else (None, {})
    if problem and problem.document.posts:
        detail = f"{detail}：" + "、".join(names.get(code, code) for code in problem.document.posts)
    if preview and preview.refusal:
        errors = {preview.refusal.field: preview.refusal.detail}
    return context.page(
        "admin/series_form.html",
        problem.status if problem else 200,
        values=values,
        series=series,
        posts=known,
        names=names,
        place=_place(context),
        problem=detail,
        errors=errors,
        preview=preview,
    )


async def _preview(context: SignedIn, values: Mapping[str, object], series: certnumber.SeriesRead | None) -> Response:
    """Show what the series would print as it stands in the form; nothing is saved."""
    body = {**_filled(values), **({"series_id": str(series.id)} if series else {})}
    # A preview needs no name.
    body.setdefault("name", "预览")
    try:
        preview = await context.post(certnumber.SeriesPreview, f"{SERIES}/preview", json=body)
    except Refused as problem:
        return await _series_page(context, values, series, problem)
    return await _series_page(context, values, series, preview=preview)


@router.get("/admin/series")
async def list_series(context: Administrator) -> Response:
    page = await _listed(context, certnumber.PageSeriesRead, SERIES)
    names = {post.code: post.name for post in await posts(context)}
    return context.page("admin/series.html", page=page, names=names, place=_place(context))


@router.get("/admin/series/new")
async def series_form(context: Administrator) -> Response:
    values = {"name": "", "layout": "", "posts": None, "yearly": False, "active": True}
    return await _series_page(context, values, None)


@router.post("/admin/series")
async def add_series(context: Administrator) -> Response:
    values = _rule(context)
    if context.field("preview"):
        return await _preview(context, values, None)
    try:
        await context.send("POST", SERIES, json=_filled(values), once=True)
    except Refused as problem:
        return await _series_page(context, values, None, problem)
    return context.redirect("/admin/series", "series-saved")


@router.get("/admin/series/{series_id}")
async def show_series(context: Administrator, series_id: UUID) -> Response:
    series = await _series(context, series_id)
    return await _series_page(context, series, series)


@router.post("/admin/series/{series_id}")
async def change_series(context: Administrator, series_id: UUID) -> Response:
    values = _rule(context)
    if context.field("preview"):
        return await _preview(context, values, await _series(context, series_id))
    try:
        await context.send("PATCH", f"{SERIES}/{series_id}", json=values)
    except Refused as problem:
        if problem.status == 404:
            raise
        return await _series_page(context, values, await _series(context, series_id), problem)
    return context.redirect("/admin/series" + _place(context), "series-saved")
