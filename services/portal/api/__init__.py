"""What the services answer, as types: one module per service, written by `make models` from its OpenAPI document.

Imports nothing of the portal, so that every module of it may import this. A field that a service renames is an error
of mypy here after `make models`, which `make check` asks for.
"""

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, SkipValidation

T = TypeVar("T")

# A value of a set that may grow: mypy knows its members of today, a newer service may send others.
Known = Annotated[T, SkipValidation()]


class Answer(BaseModel):
    """What is read of an answer. A newer service may say more; what may be null may be missing."""

    model_config = ConfigDict(extra="ignore", frozen=True)
