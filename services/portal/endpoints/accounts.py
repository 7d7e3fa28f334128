"""The pages of registration, login, logout, password and profile."""

from fastapi import Response

from services.portal.addresses import HOMES, LOGINS, local_path
from services.portal.api.enterprise import EnterpriseAccount, EnterpriseRead
from services.portal.context import SESSION, Anyone, Enterprise, PageContext, Someone, Staff, require_session
from services.portal.errors import LoginRequired
from services.portal.gateway import ApiProblem, Refused
from services.portal.login import interrupted, log_in, login_page, new_captcha
from services.portal.routing import page_router

router = page_router()

REGISTRATION = ("taxpayer_id", "name", "contact_name", "contact_phone", "address")
PROFILE = ("name", "contact_name", "contact_phone", "address")
LOGIN_NAMES = {"enterprise": "taxpayer_id", "review": "username"}
LOGIN = ("password", "captcha_id", "captcha_answer")
# Refusals of a login that only a captcha, or another one, helps against.
PASSWORDS = ("old_password", "new_password", "repeated_password")
CAPTCHA_NEEDED = {"captcha_required", "wrong_captcha"}


def given(context: PageContext, *names: str) -> dict[str, str]:
    """Pick the named fields of the posted form that hold anything."""
    return {name: context.field(name) for name in names if context.field(name)}


@router.get("/enterprise/registration")
async def registration_form(context: Anyone) -> Response:
    return context.page("account/registration.html", values={})


@router.post("/enterprise/registration")
async def register(context: Anyone) -> Response:
    values = given(context, *REGISTRATION)
    try:
        enterprise = await context.post(EnterpriseAccount, "/enterprise/v1/enterprises", json=values, once=True)
    except Refused as problem:
        errors = {"taxpayer_id": problem.detail} if problem.code == "enterprise_exists" else problem.errors
        return context.page(
            "account/registration.html", problem.status, values=values, errors=errors, problem=problem.detail
        )
    return context.page("account/registered.html", 201, enterprise=enterprise)


@router.get("/{issuer}/login")
async def login_form(context: Anyone, issuer: str, next: str = "") -> Response:  # noqa: A002 - the query's name
    if issuer not in HOMES:
        return context.redirect("/enterprise/login")
    return await login_page(context, issuer, target=local_path(next, ""))


@router.post("/enterprise/login")
async def log_in_enterprise(context: Anyone) -> Response:
    return await _log_in(context, "enterprise")


@router.post("/review/login")
async def log_in_reviewer(context: Anyone) -> Response:
    return await _log_in(context, "review")


async def _log_in(context: PageContext, issuer: str) -> Response:
    target, again = interrupted(context)
    name = LOGIN_NAMES[issuer]
    if context.field("refresh"):
        values = given(context, name)
        return await login_page(context, issuer, target=target, again=again, values=values, with_captcha=True)
    # A password may begin or end with a space, so it is not trimmed.
    credentials = {**given(context, name, *LOGIN), "password": str(context.form.get("password", ""))}
    try:
        return await log_in(context, issuer, credentials)
    except Refused as problem:
        needed = problem.code in CAPTCHA_NEEDED or problem.document.captcha_required
        return await login_page(
            context,
            issuer,
            problem.status,
            target=target,
            again=again,
            detail=problem.detail,
            errors=problem.errors,
            values=credentials,
            with_captcha=needed or "captcha_id" in credentials,
        )


@router.get("/review")
async def home(context: Staff) -> Response:
    """Lead reviewers and administrators to the desk, and whoever only imports people to that."""
    desk = context.account.roles & {"reviewer", "admin"}
    return context.redirect(
        "/review/items" if desk else "/registry/imports", context.request.query_params.get("notice", "")
    )


@router.get("/{issuer}/captcha")
async def captcha(context: Anyone, issuer: str) -> Response:
    if issuer not in HOMES:
        return context.redirect("/enterprise/login")
    return context.page("login/captcha.html", captcha=await new_captcha(context, issuer), issuer=issuer)


@router.post("/logout")
async def log_out(context: Anyone) -> Response:
    notice = "logged-out"
    try:
        someone = await require_session(context)
        await someone.send("DELETE", f"/{someone.account.issuer}/v1/sessions/current")
    except LoginRequired:
        pass
    except ApiProblem:
        # This browser forgets the session in any case; at its issuer it ends by itself.
        notice = "logged-out-here"
    response = context.redirect("/", notice)
    context.portal.cookies.close(response)
    if session := context.portal.cookies.session(context.request):
        context.portal.known.forget(*session)
    return response


@router.get("/password")
async def password_form(context: Someone, next: str = "") -> Response:  # noqa: A002 - the query's name
    return context.page("account/password.html", target=local_path(next, ""))


@router.post("/password")
async def change_password(context: Someone) -> Response:
    target = local_path(context.field("target"), "")
    old, new, repeated = (str(context.form.get(name, "")) for name in PASSWORDS)
    if errors := _unlike(old, new, repeated):
        return context.page("account/password.html", 422, target=target, errors=errors)
    issuer = context.account.issuer
    body = {"old_password": old, "new_password": new}
    try:
        await context.send("PUT", f"/{issuer}/v1/password", json=body)
    except Refused as problem:
        errors = {"old_password": problem.detail} if problem.code == "wrong_old_password" else problem.errors
        return context.page(
            "account/password.html", problem.status, target=target, errors=errors, problem=problem.detail
        )
    # A new id, because the session may now do more than before.
    try:
        session = {"session_id": context.session_id}
        answer = await context.post(SESSION[issuer], f"/{issuer}/v1/browser-sessions/rotation", json=session)
    except ApiProblem:
        # It is changed all the same: trying again would find the old password wrong.
        response = context.redirect(LOGINS[issuer], "password-changed")
        context.portal.cookies.close(response)
        return response
    response = context.redirect(target or HOMES[issuer], "password-changed")
    context.portal.cookies.open(response, issuer, answer.session_id)
    return response


def _unlike(old: str, new: str, repeated: str) -> dict[str, str]:
    """Say what of the form is missing, and whether the new password was not typed twice in the same way, by field."""
    wrong = (
        (not old, "请填写原密码"),
        (not new, "请填写新密码"),
        (bool(new) and repeated != new, "两次输入的新密码不一致" if repeated else "请再次输入新密码"),
    )
    return {name: words for name, (is_wrong, words) in zip(PASSWORDS, wrong, strict=True) if is_wrong}


@router.get("/enterprise/profile")
async def profile_form(context: Enterprise) -> Response:
    return context.page("account/profile.html", values=await context.get(EnterpriseRead, "/enterprise/v1/me"))


@router.post("/enterprise/profile")
async def change_profile(context: Enterprise) -> Response:
    # All of them, also what was emptied: left out it would stay as it was, and the page say that it is saved.
    values: dict[str, str | None] = {name: context.field(name) for name in PROFILE}
    values["address"] = values["address"] or None
    try:
        await context.send("PATCH", "/enterprise/v1/me", json=values)
    except Refused as problem:
        shown = {**values, "taxpayer_id": context.field("taxpayer_id")}
        return context.page(
            "account/profile.html", problem.status, values=shown, errors=problem.errors, problem=problem.detail
        )
    return context.redirect("/enterprise/profile", "profile-saved")
