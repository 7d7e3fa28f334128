"""What every route is given."""

from typing import Annotated, cast

from fastapi import Depends, Request

from shared.auth.access import allow
from shared.auth.sessions import Sessions
from shared.auth.tokens import Principal
from shared.container import Container
from shared.pagination import PageRequest, page_request


def _container(request: Request) -> Container:
    return cast(Container, request.app.state.container)


def _sessions(request: Request) -> Sessions:
    return cast(Sessions, request.app.state.container.sessions)


Deps = Annotated[Container, Depends(_container)]
OwnSessions = Annotated[Sessions, Depends(_sessions)]
Paging = Annotated[PageRequest, Depends(page_request)]
LOOKING = allow("reviewer", "admin")
ADMINISTERING = allow("admin")
Looking = Annotated[Principal, LOOKING]
Reviewing = Annotated[Principal, allow("reviewer")]
Administering = Annotated[Principal, ADMINISTERING]
