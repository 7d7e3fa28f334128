"""`create_app` builds every HTTP service of the same parts."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.middleware import Middleware

from shared.web.container import WebContainer
from shared.web.entrance import Entrance, ProblemRefusal
from shared.web.health import health_router
from shared.web.middleware import BodyLimits, Mounted, Pace, surroundings
from shared.web.openapi import install_openapi
from shared.web.problems import install_handlers
from shared.web.routing import require_coroutines


def create_app(
    container: WebContainer,
    *,
    title: str,
    description: str,
    routers: Sequence[APIRouter],
    body_limits: BodyLimits = (),
    pace: Pace | None = None,
    lifespan: Callable[[], AbstractAsyncContextManager[None]] | None = None,
) -> FastAPI:
    """Build the HTTP side of one service, mounted by a gateway at /api/<service>/v1. Raises TypeError for a router that
    includes another, and for what is no coroutine."""

    @asynccontextmanager
    async def run(_app: FastAPI) -> AsyncIterator[None]:
        if lifespan is None:
            yield
        else:
            async with lifespan():
                yield

    root = f"/api/{container.service}/v1"
    app = FastAPI(
        title=title,
        description=description,
        version="1",
        docs_url=None,
        redoc_url=None,
        lifespan=run,
        redirect_slashes=False,
        middleware=[
            Middleware(Mounted, root=root),
            Middleware(
                Entrance,
                service=container.service,
                door=container.door,
                standing=container.callers.standing,
                refusal=ProblemRefusal(),
            ),
            *surroundings(container.service, body_limits, pace=pace),
        ],
    )
    app.state.container = container
    install_handlers(app)
    app.include_router(health_router())
    for router in routers:
        app.include_router(router)
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    if len(routes) < sum(len(router.routes) for router in routers):
        raise TypeError("routers must not be nested: what is inside would be missing from the documents")
    require_coroutines(routes)
    app.state.routes = routes
    limited = [route for route in routes if _is_limited(route)]
    install_openapi(app, root, {(method.lower(), route.path) for route in limited for method in route.methods or ()})
    return app


def _is_limited(route: APIRoute) -> bool:
    return any(hasattr(dependency.dependency, "__rate_limit__") for dependency in route.dependencies)
