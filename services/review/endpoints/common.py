"""What every route is given."""

from typing import Annotated

from shared.auth.access import allow
from shared.auth.tokens import Principal
from shared.runtime.container import Container
from shared.web.routing import CONTAINER

OwnContainer = Annotated[Container, CONTAINER]
DeskReader = Annotated[Principal, allow("reviewer", "admin")]
Reviewer = Annotated[Principal, allow("reviewer")]
Administrator = Annotated[Principal, allow("admin")]
