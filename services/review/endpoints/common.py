"""What every route is given."""

from typing import Annotated

from shared.auth.access import allow
from shared.auth.tokens import Principal
from shared.runtime.container import Container
from shared.web.routing import CONTAINER

Deps = Annotated[Container, CONTAINER]
Looking = Annotated[Principal, allow("reviewer", "admin")]
Reviewing = Annotated[Principal, allow("reviewer")]
Administering = Annotated[Principal, allow("admin")]
