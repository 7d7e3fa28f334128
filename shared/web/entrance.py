"""The outermost middleware: whoever comes when there is no room gets an answer at once, which costs next to nothing."""

import json
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Protocol

from fastapi import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.errors import Overloaded
from shared.observability.metrics import (
    REQUEST_WAIT,
    REQUESTS_CAPACITY,
    REQUESTS_SHED,
    REQUESTS_UNDER_WAY,
    REQUESTS_WAITING,
)
from shared.observability.telemetry import new_traceparent
from shared.web.door import PLACE, Caller, Door, Full, Place
from shared.web.problems import PROBLEM_MEDIA_TYPE, problem_document

# How others learn whether a process works, and the keys without which nobody's token is good.
PASSING = ("/healthz", "/readyz", "/.well-known/jwks.json")
# Requests that are sent away by the application itself, at once: it costs more, so there are not many.
EXPLAINED_AT_ONCE = 8
FULL = "full"

# For who knocks it asks by what is known here and now: it costs little, and whoever claims to be somebody is not.
Standing = Callable[[Scope], Caller]


class Refusal(Protocol):
    """How those are answered for whom there is no room. Of those `explains` speaks for, the application finds the Full
    in their scope, under FULL, and answers itself."""

    def answer(self, scope: Scope, full: Full) -> Response: ...

    def explains(self, scope: Scope) -> bool: ...


class ProblemRefusal:
    """Answers with a problem document."""

    _document = problem_document(Overloaded())

    def answer(self, _scope: Scope, full: Full) -> Response:
        document = {**self._document, "retry_after": full.retry_after, "ahead": full.ahead}
        content = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        return Response(content, 503, refusal_headers(full), PROBLEM_MEDIA_TYPE)

    def explains(self, _scope: Scope) -> bool:
        return False


def refusal_headers(full: Full) -> dict[str, str]:
    """Say when to come again, and that nobody keeps the answer."""
    return {
        "Retry-After": str(full.retry_after),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
        "traceparent": new_traceparent(),
    }


class Entrance:
    """Lets requests in by the door of their process. None holds a place while it waits for its sender or its reader."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        service: str,
        door: Door,
        standing: Standing,
        refusal: Refusal,
        passing: Callable[[str], bool] = lambda path: path.endswith(PASSING),
    ) -> None:
        self._app = app
        self._door = door
        self._standing = standing
        self._refusal = refusal
        self._passing = passing
        self._explained = 0
        self._wait = REQUEST_WAIT.labels(service)
        self._shed = {caller: REQUESTS_SHED.labels(service, caller) for caller in Caller}
        REQUESTS_WAITING.labels(service).set_function(lambda: door.waiting)
        REQUESTS_UNDER_WAY.labels(service).set_function(lambda: door.inside)
        REQUESTS_CAPACITY.labels(service).set_function(lambda: 1 / door.pace)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._passing(scope["path"]):
            await self._app(scope, receive, send)
            return
        caller = Caller.anonymous

        def ask() -> Caller:
            nonlocal caller
            caller = self._standing(scope)
            return caller

        try:
            self._wait.observe(await self._door.enter(ask))
        except Full as full:
            self._shed[caller].inc()
            await self._send_away(scope, receive, send, full)
            return
        place = Place(self._door)
        token = PLACE.set(place)
        try:
            await self._app(scope, _Unhurried(place, receive).receive, _Unhurried(place, send).send)
        finally:
            PLACE.reset(token)
            self._door.leave()

    async def _send_away(self, scope: Scope, receive: Receive, send: Send, full: Full) -> None:
        if self._explained >= EXPLAINED_AT_ONCE or not self._refusal.explains(scope):
            await self._refusal.answer(scope, full)(scope, receive, send)
            return
        scope[FULL] = full
        self._explained += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._explained -= 1


class _Unhurried:
    """Takes what comes, and gives what goes, without a place where that takes a while."""

    def __init__(self, place: Place, call: Callable[..., Any]) -> None:
        self._place = place
        self._call = call
        self._whole = False

    async def receive(self) -> Message:
        if self._whole:
            # Whoever waits now does so for the sender to go.
            message: Message = await self._call()
            return message
        message = await _stepping_aside(self._place, self._call())
        self._whole = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        await _stepping_aside(self._place, self._call(message))


@types.coroutine
def _stepping_aside(place: Place, work: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Await `work`, and step aside once it turns out that it has to be waited for."""
    try:
        awaited = work.send(None)
    except StopIteration as done:
        return done.value
    place.step_aside()
    try:
        while True:
            try:
                given = yield awaited
            except BaseException as error:
                awaited = work.throw(error)
            else:
                awaited = work.send(given)
    except StopIteration as done:
        return done.value
    finally:
        place.step_back()
