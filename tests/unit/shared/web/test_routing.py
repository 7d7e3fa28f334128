"""What a router promises about its routes is checked when they are declared."""

from types import SimpleNamespace
from typing import cast

import pytest
from fastapi import APIRouter

from shared.web.app import create_app
from shared.web.container import WebContainer
from shared.web.routing import bare_router, transactional_router


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
    inner.get("/hidden")(lambda: None)
    outer.include_router(inner)
    container = cast(WebContainer, SimpleNamespace(service="test"))
    with pytest.raises(TypeError, match="nested"):
        create_app(container, title="t", description="d", routers=[outer])
    create_app(container, title="t", description="d", routers=[inner])
