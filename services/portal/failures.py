"""Show what went wrong as a page: in the reader's words, with the way on, and with what was typed."""

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from services.portal.addresses import LOGINS, local_path
from services.portal.container import Portal
from services.portal.context import context_of, require_session
from services.portal.errors import ForeignForm, LoginRequired, PasswordChangeRequired
from services.portal.forms import TOKEN_FIELD
from services.portal.gateway import ApiProblem
from services.portal.login import login_page
from shared.errors import Problem
from shared.web.problems import failure_response, status_of

TITLES = {
    403: "没有权限",
    404: "页面不存在",
    405: "不支持的操作",
    408: "传输超时",
    413: "内容过大",
    429: "操作过于频繁",
    500: "系统错误",
    503: "服务暂时不可用",
}
DETAILS = {404: "请检查地址是否完整，或从首页重新进入", 405: "这个地址不能直接打开，请回到页面上重新操作"}


def resubmittable_fields(form: FormData) -> list[tuple[str, str]]:
    """Pick the fields of a form that are to be sent again under the same key; none if not all of it can be.

    A file cannot be sent again by us, and a form with a password had better be filled in anew.
    """
    # Browsers also send the file that was not chosen.
    sent = [(name, value) for name, value in form.multi_items() if isinstance(value, str) or value.filename]
    pairs = [(name, value) for name, value in sent if name != TOKEN_FIELD]
    if any("password" in name for name, _ in pairs):
        return []
    texts = [(name, value) for name, value in pairs if isinstance(value, str)]
    return texts if len(texts) == len(pairs) else []


def _form(request: Request) -> FormData:
    form = getattr(request.state, "form", None)
    return form if isinstance(form, FormData) else FormData()


def _here(request: Request) -> str:
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _origin(request: Request) -> str:
    """Find the page that a form was sent from; empty where that is not known."""
    referer = urlsplit(request.headers.get("referer", ""))
    return local_path(referer.path + (f"?{referer.query}" if referer.query else ""), "")


def _above(request: Request) -> str:
    """Find the nearest address above this one that can be opened."""
    path = request.url.path
    while path := path.rpartition("/")[0]:
        scope = {**request.scope, "path": path, "method": "GET"}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes):
            break
    return path


def failed(request: Request, status: int, detail: str) -> Response:
    """Say so on a page, from which a form that was sent can be sent again."""
    context = context_of(request)
    if context.wants_fragment:
        return JSONResponse({"detail": detail}, status)
    # Opened again from the browser's address line, the address of a form has no page.
    back = _origin(request) if request.method == "POST" else _above(request) if status in {404, 405} else ""
    title = TITLES.get(status, "操作未完成")
    again = resubmittable_fields(_form(request))
    return context.page("error.html", status, title=title, detail=detail, target=_here(request), again=again, back=back)


async def _on_api(request: Request, error: Exception) -> Response:
    problem = cast(ApiProblem, error)
    return failed(request, problem.status if problem.status < 500 else 503, problem.detail)


async def _on_problem(request: Request, error: Exception) -> Response:
    problem = cast(Problem, error)
    return failed(request, status_of(problem), problem.detail)


async def _on_validation(request: Request, _error: Exception) -> Response:
    # Only addresses are validated here: what a path or query cannot hold does not exist.
    return failed(request, 404, DETAILS[404])


async def _on_http(request: Request, error: Exception) -> Response:
    http = cast(HTTPException, error)
    if isinstance(http.__cause__, Problem):
        return await _on_problem(request, http.__cause__)
    return failed(request, http.status_code, DETAILS.get(http.status_code, "请求无法解析"))


async def _on_login_required(request: Request, error: Exception) -> Response:
    required = cast(LoginRequired, error)
    context = context_of(request)
    login = LOGINS[required.issuer]
    if context.wants_fragment:
        return JSONResponse({"detail": required.detail, "login": login}, 401)
    if request.method != "POST":
        return RedirectResponse(f"{login}?{urlencode({'next': _here(request)})}", 303)
    form = _form(request)
    again = resubmittable_fields(form)
    target = _here(request) if again else _origin(request) or _here(request)
    if again:
        detail = "登录已过期，您填写的内容已保留，登录后可继续提交"
    elif not form or any(isinstance(value, UploadFile) for value in form.values()):
        detail = "登录已过期，登录后请重新选择文件"
    else:
        detail = required.detail
    try:
        return await login_page(context, required.issuer, 401, target=target, again=again, detail=detail)
    except ApiProblem as problem:
        # There is no captcha to be had at the moment.
        return await _on_api(request, problem)


async def _on_password_change(request: Request, error: Exception) -> Response:
    if context_of(request).wants_fragment:
        return JSONResponse({"detail": cast(PasswordChangeRequired, error).detail, "login": "/password"}, 403)
    target = _origin(request) if request.method == "POST" else _here(request)
    return RedirectResponse("/password?" + urlencode({"next": target}), 303)


async def _on_foreign_form(request: Request, error: Exception) -> Response:
    context = context_of(request)
    again = resubmittable_fields(_form(request))
    if not again or context.wants_fragment:
        return await _on_problem(request, error)
    # From our own page, but not for the session of now (another login in between): ask instead of refusing, and say who
    # would be sending it.
    with suppress(LoginRequired, ApiProblem):
        context = await require_session(context)
    return context.page("continue.html", 403, target=_here(request), again=again)


async def _on_disconnect(_request: Request, _error: Exception) -> Response:
    # Nobody reads it any more; it only must not count as a failure of ours.
    return Response(status_code=400)


def failure_page(portal: Portal) -> Callable[[Exception], Response]:
    """Make the last resort for what nobody handled: logged as in every service, shown as a page."""

    def fail(error: Exception) -> Response:
        failure_response(error)
        return HTMLResponse(portal.pages.render("failure.html", {"title": TITLES[500]}), 500)

    return fail


Handler = Callable[[Request, Exception], Coroutine[Any, Any, Response]]
FAILURES: dict[type[Exception], Handler] = {
    ApiProblem: _on_api,
    Problem: _on_problem,
    LoginRequired: _on_login_required,
    PasswordChangeRequired: _on_password_change,
    ForeignForm: _on_foreign_form,
    RequestValidationError: _on_validation,
    HTTPException: _on_http,
    ClientDisconnect: _on_disconnect,
}
