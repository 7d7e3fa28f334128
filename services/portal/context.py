"""One request of a browser: who it is, what the API says, and the page that answers."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import httpx2
from fastapi import Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.datastructures import FormData

from services.portal.cookies import Cookies, new_secret
from services.portal.errors import LoginRequired, PasswordChangeRequired, WrongRole
from services.portal.forms import KEY_FIELD, form_token, idempotency_key, new_key
from services.portal.gateway import ApiProblem, Gateway
from services.portal.pages import NOTICES, Pages
from services.portal.settings import PortalSettings
from shared.runtime.container import Readiness

HOMES = {"enterprise": "/applications", "review": "/review"}
LOGINS = {"enterprise": "/enterprise/login", "review": "/review/login"}


@dataclass(kw_only=True)
class Portal(Readiness):
    """What the pages are made with. Built once per process. `reference` is services/portal/reference.py's."""

    settings: PortalSettings
    gateway: Gateway
    pages: Pages
    cookies: Cookies
    reference: dict[str, tuple[float, list[dict[str, Any]]]] = field(default_factory=dict)

    async def require_session(self, request: Request) -> None:
        """Before a large body is read: only from somebody who is logged in. Raises LoginRequired, ApiProblem."""
        session = self.cookies.session(request)
        if session is None:
            raise LoginRequired("enterprise")
        await load_session(context_of(request), *session)


@dataclass(frozen=True)
class Account:
    """Who is logged in; `issuer` is enterprise or review."""

    issuer: str
    id: str
    name: str
    roles: frozenset[str]
    must_change_password: bool
    seal_key: str


@dataclass
class PageContext:
    """What a handler is given. `account` and `token` are there where the route asked for a login; `opening` is the id
    of the session that begins with this answer."""

    request: Request
    portal: Portal
    account: Account | None = None
    token: str | None = None
    opening: str | None = None

    @property
    def form(self) -> FormData:
        """The posted fields, checked by PageRoute."""
        form: FormData = self.request.state.form
        return form

    def field(self, name: str) -> str:
        """A posted text field, trimmed; empty where it is missing."""
        value = self.form.get(name, "")
        # Browsers end the lines of a text with two characters, the API with one.
        return value.strip().replace("\r\n", "\n") if isinstance(value, str) else ""

    @property
    def seal_key(self) -> str:
        """What `seal.py` seals with for the account that is logged in."""
        if self.account is None:
            raise LoginRequired("enterprise")
        return self.account.seal_key

    @property
    def wants_fragment(self) -> bool:
        """Whether our own script asks, for a part of a page."""
        return self.request.headers.get("x-requested-with") == "fetch"

    @property
    def address(self) -> str:
        return self.request.client.host if self.request.client else "0.0.0.0"  # noqa: S104 - not a bind

    async def api(self, method: str, path: str, *, once: bool = False, **request: Any) -> Any:
        """The JSON answer of `/api{path}`. With `once` the posted form takes effect once however often it is sent.

        Raises ApiProblem.
        """
        return await self.portal.gateway.call(method, path, **self._options(once, request))

    async def fetch(self, method: str, path: str, **request: Any) -> httpx2.Response:
        """As `api`, for answers that are not JSON; redirects are not followed. Raises ApiProblem."""
        return await self.portal.gateway.fetch(method, path, **self._options(False, request))

    def _options(self, once: bool, request: dict[str, Any]) -> dict[str, Any]:
        headers = request.pop("headers", {})
        if once and self.field(KEY_FIELD):
            headers = {**headers, "Idempotency-Key": idempotency_key(self.form)}
        return {"address": self.address, "token": self.token, "headers": headers, **request}

    def page(self, template: str, status: int = 200, **more: Any) -> HTMLResponse:
        """A page or fragment from `templates/`, given at least what is named below."""
        fresh: list[str] = []

        def token() -> str:
            secret = self.opening or self.portal.cookies.form_secret(self.request)
            if not secret:
                if not fresh:
                    fresh.append(new_secret())
                secret = fresh[0]
            return form_token(secret)

        given: dict[str, Any] = {
            "request": self.request,
            "account": self.account,
            "path": self.request.url.path,
            "returning": self.portal.cookies.session(self.request),
            "notice": NOTICES.get(self.request.query_params.get("notice", "")),
            "demo": self.portal.settings.demo,
            "form_token": token,
            "form_key": new_key,
            "problem": None,
            "errors": {},
        }
        response = HTMLResponse(self.portal.pages.render(template, {**given, **more}), status)
        if fresh:
            self.portal.cookies.new_visitor(response, fresh[0])
        return response

    def redirect(self, path: str, notice: str = "") -> RedirectResponse:
        """After a form: GET `path`, which then shows NOTICES[notice]."""
        path = path.removesuffix("?")
        if notice:
            path += ("&" if "?" in path else "?") + urlencode({"notice": notice})
        return RedirectResponse(quote(path, safe="/?&=%:#+,.~-_"), 303)


def local_path(path: str | None, otherwise: str) -> str:
    """`path` if it leads to a page of ours, so that a link to our login cannot send people elsewhere."""
    if path and path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and len(path) < 2000:
        return path
    return otherwise


def context_of(request: Request) -> PageContext:
    """This request's context; the one that knows who is logged in, once that was asked."""
    known = getattr(request.state, "context", None)
    return known if isinstance(known, PageContext) else PageContext(request, request.app.state.portal)


def logged_in(issuer: str, *roles: str, initial_password: bool = False) -> Callable[[Request], Awaitable[PageContext]]:
    """Dependency: the context of somebody whom `issuer` knows, with any of `roles` where there are some.

    Raises LoginRequired, PasswordChangeRequired, WrongRole, ApiProblem.
    """

    async def check(request: Request) -> PageContext:
        context = context_of(request)
        session = context.portal.cookies.session(request)
        if session is None or session[0] != issuer:
            raise LoginRequired(issuer)
        await load_session(context, *session)
        if context.account and context.account.must_change_password and not initial_password:
            raise PasswordChangeRequired
        if roles and context.account and not context.account.roles & set(roles):
            raise WrongRole
        return context

    return check


async def load_session(context: PageContext, issuer: str, session_id: str) -> None:
    """Give the context the session's account and a fresh access token, unless it has them already.

    Raises LoginRequired when the session has ended.
    """
    if context.account is not None:
        return
    # A page that refreshes itself must not keep a session open that nobody uses any more.
    active = not (context.wants_fragment and context.request.method == "GET")
    body = {"session_id": session_id, "active": active}
    try:
        answer = await context.api("POST", f"/{issuer}/v1/browser-sessions/access", json=body)
    except ApiProblem as problem:
        if problem.status in {401, 422}:
            raise LoginRequired(issuer) from None
        raise
    sign_in(context, issuer, answer)


def sign_in(context: PageContext, issuer: str, answer: Mapping[str, Any]) -> None:
    """Take the account and the access token from the issuer's answer."""
    account = answer["account"]
    context.token = answer["access_token"]
    context.account = Account(
        issuer,
        account["id"],
        account["name"],
        frozenset(account["roles"]),
        answer["must_change_password"],
        answer["seal_key"],
    )
    # The answer to whatever goes wrong from here on still knows who is logged in.
    context.request.state.context = context


Anyone = Annotated[PageContext, Depends(context_of)]
Enterprise = Annotated[PageContext, Depends(logged_in("enterprise"))]
DeskReader = Annotated[PageContext, Depends(logged_in("review", "reviewer", "admin"))]
Reviewer = Annotated[PageContext, Depends(logged_in("review", "reviewer"))]
Registrar = Annotated[PageContext, Depends(logged_in("review", "registrar"))]
Administrator = Annotated[PageContext, Depends(logged_in("review", "admin"))]
Staff = Annotated[PageContext, Depends(logged_in("review", "reviewer", "registrar", "admin"))]


def polling_fragment(response: Response, going_on: bool) -> Response:
    """The fragment of a part that follows itself, which the script asks for again only while it is going on."""
    if not going_on:
        response.headers["X-Live"] = "done"
    return response


def response_of(upstream: httpx2.Response, *headers: str) -> Response:
    """Pass on what the API answered: a file, or the link to it, with the named headers."""
    kept = {name: upstream.headers[name] for name in ("location", "content-type", *headers) if name in upstream.headers}
    return Response(upstream.content, upstream.status_code, kept)
