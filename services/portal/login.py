"""Logging in, and going on with what was begun before."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from fastapi import Response

from services.portal.visit import HOMES, Visit, begin, local_path

# Fields of the login form that hold an interrupted form: `again:<name>`.
AGAIN = "again:"
Fields = Sequence[tuple[str, str]]


async def login_page(
    visit: Visit,
    issuer: str,
    status: int = 200,
    *,
    target: str = "",
    again: Fields = (),
    detail: str = "",
    errors: Mapping[str, str] | None = None,
    values: Mapping[str, str] | None = None,
) -> Response:
    """The login form; after it the browser goes on to `target`, or sends `again` there if that holds anything."""
    captcha = await new_captcha(visit) if issuer == "review" else None
    return visit.page(
        f"login/{issuer}.html",
        status,
        target=target,
        again=again,
        problem=detail or None,
        errors=errors or {},
        values=values or {},
        captcha=captcha,
    )


async def new_captcha(visit: Visit) -> Any:
    return await visit.api("POST", "/review/v1/captchas")


def interrupted(visit: Visit) -> tuple[str, Fields]:
    """(target, form fields) that the posted login form carries."""
    fields = [
        (name.removeprefix(AGAIN), value)
        for name, value in visit.form.multi_items()
        if name.startswith(AGAIN) and isinstance(value, str)
    ]
    return local_path(visit.field("target"), ""), fields


async def log_in(visit: Visit, issuer: str, credentials: Mapping[str, str]) -> Response:
    """Open a session and go on. Raises ApiProblem when the credentials are refused."""
    answer = await visit.api("POST", f"/{issuer}/v1/browser-sessions", json=dict(credentials))
    begin(visit, issuer, answer)
    target, again = interrupted(visit)
    # The next page's forms belong to the new session.
    visit.opening = answer["session_id"]
    response: Response
    if answer["must_change_password"]:
        response = visit.redirect("/password?" + urlencode({"next": target}) if target else "/password")
    elif again:
        response = visit.page("continue.html", target=target, again=again)
    else:
        response = visit.redirect(target or HOMES[issuer])
    visit.portal.cookies.open(response, issuer, answer["session_id"])
    return response
