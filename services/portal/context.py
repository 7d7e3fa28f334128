"""What a page's handler is given: the request, who sent it, what the API says, and the page that answers."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from urllib.parse import quote, urlencode

import httpx2
from fastapi import Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.datastructures import FormData

from services.portal.api import enterprise, review
from services.portal.container import Portal
from services.portal.cookies import new_secret
from services.portal.errors import LoginRequired, PasswordChangeRequired, WrongRole
from services.portal.forms import KEY_FIELD, form_token, idempotency_key, new_key
from services.portal.gateway import ApiProblem
from services.portal.pages import NOTICES

T = TypeVar("T")
# Chromium turns a picture on a page by its orientation since this version; Safari and Firefox have done so for longer.
TURNED_SINCE = 81
_CHROMIUM = re.compile(r"Chrome/(\d+)\.")
# On a dependency: whose people it asks for, "" for those of either issuer. Read by routing.py.
ISSUER = "__issuer__"
Access = enterprise.BrowserAccess | review.BrowserAccess
Session = enterprise.BrowserSession | review.BrowserSession
ACCESS: dict[str, type[enterprise.BrowserAccess] | type[review.BrowserAccess]] = {
    "enterprise": enterprise.BrowserAccess,
    "review": review.BrowserAccess,
}
SESSION: dict[str, type[enterprise.BrowserSession] | type[review.BrowserSession]] = {
    "enterprise": enterprise.BrowserSession,
    "review": review.BrowserSession,
}


@dataclass(frozen=True)
class Account:
    """Who is signed in; `issuer` is enterprise or review. `seal_key` is what `seal.py` seals with for this account."""

    issuer: str
    name: str
    roles: frozenset[str]
    must_change_password: bool
    seal_key: str


@dataclass(frozen=True)
class PageContext:
    """One request of a browser, whoever sent it."""

    request: Request
    portal: Portal

    @property
    def form(self) -> FormData:
        """The posted fields, which PageRoute has checked."""
        form: FormData = self.request.state.form
        return form

    def field(self, name: str) -> str:
        """Return a posted text field, trimmed; empty where it is missing."""
        value = self.form.get(name, "")
        # Browsers end the lines of a text with two characters, the API with one.
        return value.strip().replace("\r\n", "\n") if isinstance(value, str) else ""

    @property
    def wants_fragment(self) -> bool:
        """Whether our own script asks, for a part of a page."""
        return self.request.headers.get("x-requested-with") == "fetch"

    @property
    def address(self) -> str:
        """The browser's network address."""
        return self.request.client.host if self.request.client else "0.0.0.0"  # noqa: S104 - not a bind

    @property
    def visitor(self) -> Account | None:
        """Whom the page greets: on a page for everybody, nobody."""
        return None

    @property
    def bearer(self) -> str | None:
        """The access token that the API is asked with."""
        return None

    @property
    def form_secret(self) -> str | None:
        """What the page's forms are bound to; None for a browser that has no cookie of ours yet."""
        return self.portal.cookies.form_secret(self.request)

    async def get(self, model: type[T], path: str, **request: Any) -> T:
        """Ask for what `/api{path}` holds. Raises ApiProblem, UnexpectedAnswer."""
        return await self.portal.gateway.call(model, "GET", path, **self._options(False, request))

    async def post(self, model: type[T], path: str, *, once: bool = False, **request: Any) -> T:
        """Post to `/api{path}` and read its answer. With `once` the form takes effect once however often it is sent.

        Raises ApiProblem, UnexpectedAnswer.
        """
        return await self.portal.gateway.call(model, "POST", path, **self._options(once, request))

    async def patch(self, model: type[T], path: str, **request: Any) -> T:
        """Change `/api{path}` and read what it is then. Raises ApiProblem, UnexpectedAnswer."""
        return await self.portal.gateway.call(model, "PATCH", path, **self._options(False, request))

    async def send(self, method: str, path: str, *, once: bool = False, **request: Any) -> None:
        """Change something where nobody needs the answer; `once` as for `post`. Raises ApiProblem."""
        await self.portal.gateway.fetch(method, path, **self._options(once, request))

    async def fetch(self, path: str, **request: Any) -> httpx2.Response:
        """Get what is not JSON; redirects are not followed. Raises ApiProblem."""
        return await self.portal.gateway.fetch("GET", path, **self._options(False, request))

    async def picture(self, path: str, *headers: str, **params: Any) -> Response:
        """Pass on a picture. A browser that does not turn it by its orientation gets it upright. Raises ApiProblem."""
        known = _CHROMIUM.search(self.request.headers.get("user-agent", ""))
        if known and int(known[1]) < TURNED_SINCE:
            params["upright"] = True
        return response_of(await self.fetch(path, params=params), *headers)

    def _options(self, once: bool, request: dict[str, Any]) -> dict[str, Any]:
        headers = request.pop("headers", {})
        if once and self.field(KEY_FIELD):
            headers = {**headers, "Idempotency-Key": idempotency_key(self.form)}
        return {"address": self.address, "token": self.bearer, "headers": headers, **request}

    def page(self, template: str, status: int = 200, **more: Any) -> HTMLResponse:
        """Render a page or fragment of `templates/`, which is given at least what is named below."""
        fresh: list[str] = []

        def token() -> str:
            secret = self.form_secret
            if not secret:
                if not fresh:
                    fresh.append(new_secret())
                secret = fresh[0]
            return form_token(secret)

        given: dict[str, Any] = {
            "request": self.request,
            "account": self.visitor,
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
        """Answer a form: the browser goes on to `path`, which then shows NOTICES[notice]."""
        path = path.removesuffix("?")
        if notice:
            path += ("&" if "?" in path else "?") + urlencode({"notice": notice})
        return RedirectResponse(quote(path, safe="/?&=%:#+,.~-_"), 303)


@dataclass(frozen=True)
class SignedIn(PageContext):
    """One request of somebody who is signed in, with a fresh access token."""

    account: Account
    token: str
    session_id: str

    @property
    def visitor(self) -> Account:
        return self.account

    @property
    def bearer(self) -> str:
        return self.token

    @property
    def form_secret(self) -> str:
        # Not the cookie's: the session may begin with this very answer.
        return self.session_id


def context_of(request: Request) -> PageContext:
    """Find this request's context: SignedIn once `sign_in` knows who it is, so that even an error page greets them."""
    known = getattr(request.state, "signed_in", None)
    return known if isinstance(known, SignedIn) else PageContext(request, request.app.state.portal)


def sign_in(context: PageContext, issuer: str, session_id: str, answer: Access | Session) -> SignedIn:
    """Take the account and the access token of this session from the issuer's answer."""
    account = Account(
        issuer, answer.account.name, frozenset(answer.account.roles), answer.must_change_password, answer.seal_key
    )
    signed_in = SignedIn(context.request, context.portal, account, answer.access_token, session_id)
    context.request.state.signed_in = signed_in
    context.portal.known.remember(issuer, session_id, answer.access_token, answer.expires_in)
    return signed_in


async def load_session(context: PageContext, issuer: str, session_id: str) -> SignedIn:
    """Ask the issuer whose session this is, once per request.

    Raises LoginRequired when the session has ended, ApiProblem when the issuer does not answer.
    """
    if isinstance(context, SignedIn):
        return context
    # A page that refreshes itself must not keep a session open that nobody uses any more.
    active = not (context.wants_fragment and context.request.method == "GET")
    body = {"session_id": session_id, "active": active}
    known = context.portal.known
    # Not what opens it, but what the issuer's door knows its people by.
    token = known.token_of(issuer, session_id)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = await context.post(ACCESS[issuer], f"/{issuer}/v1/browser-sessions/access", json=body, headers=headers)
    except ApiProblem as problem:
        if problem.status in {401, 422}:
            known.forget(issuer, session_id)
            raise LoginRequired(issuer) from None
        raise
    return sign_in(context, issuer, session_id, answer)


async def require_session(context: PageContext) -> SignedIn:
    """Load the session that the browser names, whoever issued it and even while the password is the initial one.

    Raises LoginRequired, ApiProblem.
    """
    session = context.portal.cookies.session(context.request)
    if session is None:
        raise LoginRequired("enterprise")
    return await load_session(context, *session)


def signed_in(issuer: str, *roles: str) -> Callable[[Request], Awaitable[SignedIn]]:
    """Make the dependency on somebody whom `issuer` knows, with any of `roles` where there are some.

    It raises LoginRequired, PasswordChangeRequired, WrongRole, ApiProblem.
    """

    async def check(request: Request) -> SignedIn:
        context = context_of(request)
        session = context.portal.cookies.session(request)
        if session is None or session[0] != issuer:
            raise LoginRequired(issuer)
        loaded = await load_session(context, *session)
        if loaded.account.must_change_password:
            raise PasswordChangeRequired
        if roles and not loaded.account.roles & set(roles):
            raise WrongRole
        return loaded

    setattr(check, ISSUER, issuer)
    return check


async def _anyone(request: Request) -> PageContext:
    return context_of(request)


async def _someone(request: Request) -> SignedIn:
    return await require_session(context_of(request))


setattr(_someone, ISSUER, "")

Anyone = Annotated[PageContext, Depends(_anyone)]
# Of either issuer, also with the initial password.
Someone = Annotated[SignedIn, Depends(_someone)]
Enterprise = Annotated[SignedIn, Depends(signed_in("enterprise"))]
DeskReader = Annotated[SignedIn, Depends(signed_in("review", "reviewer", "admin"))]
Reviewer = Annotated[SignedIn, Depends(signed_in("review", "reviewer"))]
Registrar = Annotated[SignedIn, Depends(signed_in("review", "registrar"))]
Administrator = Annotated[SignedIn, Depends(signed_in("review", "admin"))]
Staff = Annotated[SignedIn, Depends(signed_in("review", "reviewer", "registrar", "admin"))]


def polling_fragment(response: Response, going_on: bool) -> Response:
    """Answer with a part of a page that follows itself; the script asks for it again only while it is `going_on`."""
    if not going_on:
        response.headers["X-Live"] = "done"
    return response


def response_of(upstream: httpx2.Response, *headers: str) -> Response:
    """Pass on what the API answered: a file, or the link to it, with the named headers."""
    kept = {name: upstream.headers[name] for name in ("location", "content-type", *headers) if name in upstream.headers}
    return Response(upstream.content, upstream.status_code, kept)
