"""Registration, login, logout, password and profile."""

from typing import Annotated

from fastapi import Depends, Request, Response

from services.portal.errors import LoginRequired
from services.portal.forms import page_router
from services.portal.gateway import ApiProblem, Refused
from services.portal.login import interrupted, log_in, login_page, new_captcha
from services.portal.visit import (
    HOMES,
    LOGINS,
    Anyone,
    Enterprise,
    Staff,
    Visit,
    begin,
    local_path,
    logged_in,
    visit_of,
)

router = page_router()

REGISTRATION = ("taxpayer_id", "name", "contact_name", "contact_phone", "address")
PROFILE = ("name", "contact_name", "contact_phone", "address")
ENTERPRISE_LOGIN = ("taxpayer_id", "password")
REVIEW_LOGIN = ("username", "password", "captcha_id", "captcha_answer")


def given(visit: Visit, *names: str) -> dict[str, str]:
    """The named fields of the posted form that hold anything."""
    return {name: visit.field(name) for name in names if visit.field(name)}


async def _someone(request: Request) -> Visit:
    session = visit_of(request).portal.cookies.session(request)
    issuer = session[0] if session else "enterprise"
    return await logged_in(issuer, initial_password=True)(request)


Someone = Annotated[Visit, Depends(_someone)]


@router.get("/enterprise/registration")
async def registration_form(visit: Anyone) -> Response:
    return visit.page("account/registration.html", values={})


@router.post("/enterprise/registration")
async def register(visit: Anyone) -> Response:
    values = given(visit, *REGISTRATION)
    try:
        enterprise = await visit.api("POST", "/enterprise/v1/enterprises", json=values, once=True)
    except Refused as problem:
        errors = {"taxpayer_id": problem.detail} if problem.code == "enterprise_exists" else problem.errors
        return visit.page(
            "account/registration.html", problem.status, values=values, errors=errors, problem=problem.detail
        )
    return visit.page("account/registered.html", 201, enterprise=enterprise)


@router.get("/{issuer}/login")
async def login_form(visit: Anyone, issuer: str, next: str = "") -> Response:  # noqa: A002 - the query's name
    if issuer not in HOMES:
        return visit.redirect("/enterprise/login")
    return await login_page(visit, issuer, target=local_path(next, ""))


@router.post("/enterprise/login")
async def log_in_enterprise(visit: Anyone) -> Response:
    return await _log_in(visit, "enterprise", ENTERPRISE_LOGIN)


@router.post("/review/login")
async def log_in_reviewer(visit: Anyone) -> Response:
    if visit.field("refresh"):
        target, again = interrupted(visit)
        return await login_page(visit, "review", target=target, again=again, values=given(visit, "username"))
    return await _log_in(visit, "review", REVIEW_LOGIN)


async def _log_in(visit: Visit, issuer: str, names: tuple[str, ...]) -> Response:
    # A password may begin or end with a space, so it is not trimmed.
    credentials = {**given(visit, *names), "password": str(visit.form.get("password", ""))}
    try:
        return await log_in(visit, issuer, credentials)
    except Refused as problem:
        target, again = interrupted(visit)
        return await login_page(
            visit,
            issuer,
            problem.status,
            target=target,
            again=again,
            detail=problem.detail,
            errors=problem.errors,
            values=credentials,
        )


@router.get("/review")
async def home(visit: Staff) -> Response:
    """Where a reviewer or an administrator begins, and where somebody who only imports people does."""
    desk = visit.account is not None and visit.account.roles & {"reviewer", "admin"}
    return visit.redirect(
        "/review/items" if desk else "/registry/imports", visit.request.query_params.get("notice", "")
    )


@router.get("/review/captcha")
async def captcha(visit: Anyone) -> Response:
    return visit.page("login/captcha.html", captcha=await new_captcha(visit))


@router.post("/logout")
async def log_out(visit: Anyone) -> Response:
    notice = "logged-out"
    session = visit.portal.cookies.session(visit.request)
    if session is not None:
        try:
            someone = await _someone(visit.request)
            await someone.api("DELETE", f"/{session[0]}/v1/sessions/current")
        except LoginRequired:
            pass
        except ApiProblem:
            # This browser forgets the session in any case; at its issuer it ends by itself.
            notice = "logged-out-here"
    response = visit.redirect("/", notice)
    visit.portal.cookies.close(response)
    return response


@router.get("/password")
async def password_form(visit: Someone, next: str = "") -> Response:  # noqa: A002 - the query's name
    return visit.page("account/password.html", target=local_path(next, ""))


@router.post("/password")
async def change_password(visit: Someone) -> Response:
    target = local_path(visit.field("target"), "")
    new = str(visit.form.get("new_password", ""))
    if new != str(visit.form.get("repeated_password", "")):
        errors = {"repeated_password": "两次输入的新密码不一致"}
        return visit.page("account/password.html", 422, target=target, errors=errors)
    session = visit.portal.cookies.session(visit.request)
    if visit.account is None or session is None:
        raise LoginRequired("enterprise")
    issuer, session_id = session
    body = {"old_password": str(visit.form.get("old_password", "")), "new_password": new}
    try:
        await visit.api("PUT", f"/{issuer}/v1/password", json=body)
    except Refused as problem:
        errors = {"old_password": problem.detail} if problem.code == "wrong_old_password" else problem.errors
        return visit.page("account/password.html", problem.status, target=target, errors=errors, problem=problem.detail)
    # A new id, because the session may now do more than before.
    try:
        answer = await visit.api("POST", f"/{issuer}/v1/browser-sessions/rotation", json={"session_id": session_id})
    except ApiProblem:
        # It is changed all the same: trying again would find the old password wrong.
        response = visit.redirect(LOGINS[issuer], "password-changed")
        visit.portal.cookies.close(response)
        return response
    begin(visit, issuer, answer)
    response = visit.redirect(target or HOMES[issuer], "password-changed")
    visit.portal.cookies.open(response, issuer, answer["session_id"])
    return response


@router.get("/enterprise/profile")
async def profile_form(visit: Enterprise) -> Response:
    return visit.page("account/profile.html", values=await visit.api("GET", "/enterprise/v1/me"))


@router.post("/enterprise/profile")
async def change_profile(visit: Enterprise) -> Response:
    # All of them, also what was emptied: left out it would stay as it was, and the page say that it is saved.
    values: dict[str, str | None] = {name: visit.field(name) for name in PROFILE}
    values["address"] = values["address"] or None
    try:
        await visit.api("PATCH", "/enterprise/v1/me", json=values)
    except Refused as problem:
        shown = {**values, "taxpayer_id": visit.field("taxpayer_id")}
        return visit.page(
            "account/profile.html", problem.status, values=shown, errors=problem.errors, problem=problem.detail
        )
    return visit.redirect("/enterprise/profile", "profile-saved")
