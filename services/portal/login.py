"""Log somebody in, and go on with what was begun before."""

from collections.abc import Mapping
from urllib.parse import urlencode

from fastapi import Response

from services.portal.addresses import HOMES, local_path
from services.portal.api.review import CaptchaRead
from services.portal.context import SESSION, PageContext, sign_in
from services.portal.cookies import new_secret
from services.portal.forms import Remains

# Fields of the login form that hold an interrupted form: `again:<name>` its texts, `lost:<name>` its files' names.
AGAIN, LOST = "again:", "lost:"


async def login_page(
    context: PageContext,
    issuer: str,
    status: int = 200,
    *,
    target: str = "",
    again: Remains = Remains(),
    detail: str = "",
    errors: Mapping[str, str] | None = None,
    values: Mapping[str, str] | None = None,
    with_captcha: bool = False,
) -> Response:
    """Show the login form; after it the browser goes on to `target`, or sends `again` there if that holds anything."""
    captcha = await new_captcha(context, issuer) if issuer == "review" or with_captcha else None
    return context.page(
        f"login/{issuer}.html",
        status,
        target=target,
        again=again,
        problem=detail or None,
        errors=errors or {},
        values=values or {},
        captcha=captcha,
        issuer=issuer,
    )


async def new_captcha(context: PageContext, issuer: str) -> CaptchaRead:
    """Ask for a captcha. Raises ApiProblem."""
    return await context.post(CaptchaRead, f"/{issuer}/v1/captchas")


def interrupted(context: PageContext) -> tuple[str, Remains]:
    """Return the target and what is left of a form for it, which the posted login form carries."""

    def carried(prefix: str) -> list[tuple[str, str]]:
        return [
            (name.removeprefix(prefix), value)
            for name, value in context.form.multi_items()
            if name.startswith(prefix) and isinstance(value, str)
        ]

    return local_path(context.field("target"), ""), Remains(carried(AGAIN), carried(LOST))


async def log_in(context: PageContext, issuer: str, credentials: Mapping[str, str]) -> Response:
    """Open a session and go on. Raises ApiProblem when the credentials are refused."""
    cookies = context.portal.cookies
    device = cookies.device(context.request) or new_secret()
    body = {**credentials, "device": device}
    answer = await context.post(SESSION[issuer], f"/{issuer}/v1/browser-sessions", json=body)
    signed_in = sign_in(context, issuer, answer.session_id, answer)
    target, again = interrupted(context)
    response: Response
    if signed_in.account.must_change_password:
        response = context.redirect("/password?" + urlencode({"next": target}) if target else "/password")
    elif again:
        response = signed_in.page("continue.html", target=target, again=again, missing=[])
    else:
        response = context.redirect(target or HOMES[issuer])
    cookies.open(response, issuer, signed_in.session_id)
    cookies.keep_device(response, device)
    return response
