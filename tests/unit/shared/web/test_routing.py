"""What a router promises about its routes is checked when they are declared."""

from types import SimpleNamespace
from typing import Annotated, Any, cast

import pytest
from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer

from shared.web.app import create_app
from shared.web.container import WebContainer
from shared.web.door import Caller, Door
from shared.web.routing import bare_router, transactional_router


def _container() -> WebContainer:
    callers = SimpleNamespace(standing=lambda _scope: Caller.anonymous)
    return cast(WebContainer, SimpleNamespace(service="test", door=Door(1), callers=callers))


def test_a_bare_post_must_say_that_it_takes_no_idempotency_key() -> None:
    router = bare_router()

    @router.post("/kept", openapi_extra={"x-idempotent": False})
    @router.put("/put")
    async def endpoint() -> None: ...

    with pytest.raises(ValueError, match="/lost cannot store its answer"):
        router.post("/lost")(endpoint)
    assert len(router.routes) == 2


def test_a_nested_router_is_refused() -> None:
    inner, outer = transactional_router(), APIRouter()

    @inner.get("/hidden")
    async def hidden() -> None: ...

    outer.include_router(inner)
    container = _container()
    with pytest.raises(TypeError, match="nested"):
        create_app(container, title="t", description="d", routers=[outer])
    create_app(container, title="t", description="d", routers=[inner])


class Plain:
    """A class is called like a plain function, and so is what its instances are called by."""

    def __call__(self) -> None: ...


class Waited:
    async def __call__(self) -> None: ...


async def inner(found: Annotated[Any, Depends(Plain())]) -> Any:
    return found


async def waited(found: Annotated[Any, Depends(Waited())], _bearer: Annotated[Any, Depends(HTTPBearer())]) -> Any:
    return found


def _app(dependency: Any) -> None:
    router = transactional_router(dependencies=[Depends(dependency)])

    @router.get("/slow")
    async def endpoint() -> None: ...

    container = _container()
    create_app(container, title="t", description="d", routers=[router])


@pytest.mark.parametrize("dependency", [lambda: None, Plain, Plain(), inner])
def test_a_dependency_that_would_go_through_a_thread_is_refused(dependency: Any) -> None:
    with pytest.raises(TypeError, match=r"/slow: .* must be a coroutine function"):
        _app(dependency)


@pytest.mark.parametrize("dependency", [Waited(), waited])
def test_a_dependency_that_is_a_coroutine_is_taken(dependency: Any) -> None:
    _app(dependency)


def test_an_endpoint_that_would_go_through_a_thread_is_refused() -> None:
    router = transactional_router()
    router.get("/slow")(lambda: None)
    container = _container()
    with pytest.raises(TypeError, match="must be a coroutine function"):
        create_app(container, title="t", description="d", routers=[router])
