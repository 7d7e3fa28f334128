"""Routers, by what surrounds a request's work: a transaction, or nothing; and what endpoints are given."""

import inspect
from collections.abc import Callable, Coroutine, Iterable
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from sqlalchemy.ext.asyncio import AsyncSession

from shared.web.container import WebContainer
from shared.web.idempotency import HEADER, reserve_key, store_response


class TransactionalRoute(APIRoute):
    """One request is one transaction, committed after the response is made and before it leaves.

    Under an Idempotency-Key the response is stored in the same transaction; a refused request stores nothing.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        original = super().get_route_handler()
        idempotent = is_idempotent(self)

        async def handle(request: Request) -> Response:
            container: WebContainer = request.app.state.container
            key = request.headers.get(HEADER) if request.method == "POST" and idempotent else None
            if key is not None:
                # The key's first statement takes a connection, and the sender may take long.
                await request.body()
            async with container.database.transaction() as session:
                request.state.session = session
                if key is None:
                    return await original(request)
                scope = await container.callers.idempotency_scope(request)
                replay = await reserve_key(session, request, key, scope)
                if replay is not None:
                    return replay
                response = await original(request)
                await store_response(session, key, scope, response)
                return response

        return handle


class BareRoute(APIRoute):
    """No transaction around the request. The endpoint opens `container.database.transaction()` where it needs one, and
    so holds no connection while it waits for something else.

    Raises ValueError for a POST that does not say that it takes no Idempotency-Key.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        if "POST" in (self.methods or ()) and is_idempotent(self):
            raise ValueError(f"{path} cannot store its answer: it must be declared with x-idempotent false")


def is_idempotent(route: APIRoute) -> bool:
    """Whether a POST of this route honours an Idempotency-Key."""
    return bool((route.openapi_extra or {}).get("x-idempotent", True))


def transactional_router(**options: Any) -> APIRouter:
    """Make a router whose requests are a transaction each."""
    return APIRouter(route_class=TransactionalRoute, **options)


def bare_router(**options: Any) -> APIRouter:
    """Make a router whose endpoints open their transactions themselves."""
    return APIRouter(route_class=BareRoute, **options)


def require_coroutines(routes: Iterable[APIRoute]) -> None:
    """See that nothing on a request's way is a plain function: FastAPI would send each, at every request, through a
    thread, which costs more than most of them do. Raises TypeError."""
    for route in routes:
        for call in _calls(route.dependant):
            if not inspect.iscoroutinefunction(call if inspect.isroutine(call) else type(call).__call__):
                raise TypeError(f"{route.path}: {call!r} must be a coroutine function")


def _calls(dependant: Dependant) -> list[Callable[..., Any]]:
    own = [dependant.call] if dependant.call is not None else []
    return own + [call for further in dependant.dependencies for call in _calls(further)]


def session_present(request: Request) -> AsyncSession | None:
    """Give the request's session; none where the route is bare."""
    present: AsyncSession | None = getattr(request.state, "session", None)
    return present


async def _session(request: Request) -> AsyncSession:
    return cast(AsyncSession, request.state.session)


async def _container(request: Request) -> Any:
    return request.app.state.container


# Only a transactional route has one.
Session = Annotated[AsyncSession, Depends(_session)]
# Each service annotates its own kind of container with it.
CONTAINER = Depends(_container)
