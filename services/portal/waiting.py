"""What people see when more of them come than can be served: where they stand, and when it goes on by itself."""

from dataclasses import dataclass

from fastapi import Response
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.datastructures import Headers
from starlette.types import Scope

from services.portal.forms import SAFE
from services.portal.pages import Pages
from shared.errors import Overloaded
from shared.web.door import Full
from shared.web.entrance import refusal_headers
from shared.web.middleware import DEFAULT_BODY_LIMIT


def opens_again(method: str, full: Full) -> dict[str, str]:
    """Let the browser open a page again by itself when it is time, without script. A form nobody sends but its
    user."""
    return {"Refresh": str(full.retry_after)} if method in SAFE else {}


def no_room(full: Full) -> Overloaded:
    """Make a refusal of what the door says."""
    return Overloaded(retry_after=full.retry_after, ahead=full.ahead)


@dataclass(frozen=True)
class WaitingPage:
    """Answers at the door. What was typed into a form is offered again by the application, where there is not too much
    of it: a form with files, of which a browser gives none twice, has to be filled in again."""

    pages: Pages

    def answer(self, scope: Scope, full: Full) -> Response:
        headers = {**refusal_headers(full), **opens_again(scope["method"], full)}
        if Headers(scope=scope).get("x-requested-with") == "fetch":
            return JSONResponse({"detail": Overloaded.detail}, 503, headers)
        given = {"waiting": full, "detail": Overloaded.detail, "opens": scope["method"] in SAFE}
        return HTMLResponse(self.pages.render("waiting.html", given), 503, headers)

    def explains(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        small = length.isascii() and length.isdigit() and int(length[:20]) <= DEFAULT_BODY_LIMIT
        return scope["method"] not in SAFE and small and headers.get("x-requested-with") != "fetch"
