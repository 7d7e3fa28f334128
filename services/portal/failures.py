"""Show what went wrong as a page: in the reader's words, with the way on, and with what was typed."""

from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from services.portal import words
from services.portal.addresses import LOGINS, local_path
from services.portal.container import Portal
from services.portal.context import context_of, require_session
from services.portal.errors import FilesMissing, ForeignForm, LoginRequired, PasswordChangeRequired
from services.portal.forms import Remains, comes_from_elsewhere, missing_files, remains_of
from services.portal.gateway import ApiProblem
from services.portal.login import interrupted, login_page
from services.portal.waiting import opens_again
from shared.errors import Overloaded, Problem
from shared.web.door import Full
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
QUEUEING = "正在排队"
LOGOUT = "/logout"
OUTDATED_LOGIN = "页面已失效，请重新输入密码登录"
DETAILS = {404: "请检查地址是否完整，或从首页重新进入", 405: "这个地址不能直接打开，请回到页面上重新操作"}


def _form(request: Request) -> FormData:
    form = getattr(request.state, "form", None)
    return form if isinstance(form, FormData) else FormData()


def _address(path: str, query: str) -> str:
    # A notice is about what went well before: coming back to the page after a failure it would be a lie.
    kept = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name != "notice"]
    return path + (f"?{urlencode(kept)}" if kept else "")


def _here(request: Request) -> str:
    return _address(request.url.path, request.url.query)


def _origin(request: Request) -> str:
    """Find the page that a form was sent from; empty where that is not known."""
    referer = urlsplit(request.headers.get("referer", ""))
    return local_path(_address(referer.path, referer.query), "")


def _kept_and_lost(again: Remains) -> str:
    """Say what of a form is there after the login, and what has to be done again."""
    fields = [words.KEPT[name] for name, value in dict(again.texts).items() if name in words.KEPT and value]
    kept = "您填写的内容已保留" + (f"（{'、'.join(fields)}）" if fields else "")
    if not again.files:
        return f"登录已过期，{kept}，登录后可继续提交"
    files = "、".join(f"{words.FILES.get(name, '文件')}（{file}）" for name, file in again.files)
    return f"登录已过期，{kept}。文件不能保留，登录后请重新选择：{files}"


def _above(request: Request) -> str:
    """Find the nearest address above this one that can be opened."""
    path = request.url.path
    while path := path.rpartition("/")[0]:
        scope = {**request.scope, "path": path, "method": "GET"}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes):
            break
    return path


def failed(request: Request, status: int, detail: str, title: str = "", waiting: Full | None = None) -> Response:
    """Say so on a page, from which a form that was sent can be sent again.

    Where it failed because too many came, `waiting` says for how long, and a page that was opened does so
    again by itself.
    """
    context = context_of(request)
    headers = {"Retry-After": str(waiting.retry_after)} if waiting else {}
    if waiting and not context.wants_fragment:
        headers |= opens_again(request.method, waiting)
    if context.wants_fragment:
        return JSONResponse({"detail": detail}, status, headers)
    # Opened again from the browser's address line, the address of a form has no page.
    back = _origin(request) if request.method == "POST" else _above(request) if status in {404, 405} else ""
    title = title or TITLES.get(status, "操作未完成")
    again = remains_of(_form(request))
    response = context.page(
        "error.html",
        status,
        title=QUEUEING if waiting else title,
        detail=detail,
        target=_here(request),
        again=again,
        back=back,
        waiting=waiting,
    )
    response.headers.update(headers)
    return response


def _full(code: str, retry_after: int | None, ahead: int | None) -> Full | None:
    return Full(retry_after, ahead or 0) if code == Overloaded.code and retry_after else None


async def _on_api(request: Request, error: Exception) -> Response:
    problem = cast(ApiProblem, error)
    status = problem.status if problem.status < 500 else 503
    full = _full(problem.code, problem.document.retry_after, problem.document.ahead)
    return failed(request, status, problem.detail, waiting=full)


async def _on_problem(request: Request, error: Exception) -> Response:
    problem = cast(Problem, error)
    return failed(
        request,
        status_of(problem),
        problem.detail,
        waiting=_full(problem.code, problem.members.get("retry_after"), problem.members.get("ahead")),
    )


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
    again = remains_of(form)
    target = _here(request) if again else _origin(request) or _here(request)
    if again:
        detail = _kept_and_lost(again)
    elif again.files or not form:
        detail = "登录已过期，刚才的内容没有保存，登录后请重新填写、重新选择文件"
    else:
        detail = "登录已过期，为安全起见密码没有保留，登录后请重新填写"
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
    if not context.wants_fragment and not comes_from_elsewhere(request):
        issuer = next((issuer for issuer, path in LOGINS.items() if path == request.url.path), None)
        if issuer is not None:
            # Another tab has logged in or out since the page was opened.
            target, again = interrupted(context)
            return await login_page(context, issuer, 403, target=target, again=again, detail=OUTDATED_LOGIN)
        if again := remains_of(_form(request)):
            return await _ask_again(request, again)
        if request.url.path == LOGOUT and context.portal.cookies.session(request) is None:
            return context.redirect("/", "logged-out")
    return failed(request, 403, cast(Problem, error).detail, "页面已失效")


async def _on_files_missing(request: Request, error: Exception) -> Response:
    form = _form(request)
    missing = missing_files(form)
    again = remains_of(form)
    # Those chosen now cannot be kept either.
    files = [(name, "") for name in dict.fromkeys([*missing, *(name for name, _ in again.files)])]
    return await _ask_again(request, Remains(again.texts, files), cast(Problem, error).detail, missing)


async def _ask_again(request: Request, again: Remains, problem: str = "", missing: Sequence[str] = ()) -> Response:
    """Ask instead of refusing, and say who would be sending it: it is from our own page, but not for the session of now
    (another login in between), or not whole."""
    context = context_of(request)
    with suppress(LoginRequired, ApiProblem):
        context = await require_session(context)
    status = 422 if problem else 403
    return context.page(
        "continue.html", status, target=_here(request), again=again, problem=problem or None, missing=missing
    )


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
    FilesMissing: _on_files_missing,
    RequestValidationError: _on_validation,
    HTTPException: _on_http,
    ClientDisconnect: _on_disconnect,
}
